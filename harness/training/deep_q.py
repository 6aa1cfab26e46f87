"""Deep Q-learning on a session: games and replay on the host, once for both backends; the gradient steps are the
session's own, over a replay on the device whose rows are exchanged.

A step's loss is of the action that was taken alone, against r + discount * max Q_target(next state), or r where the
game is over. The target network is a second session of the same plan, which is asked and never trained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.backends.contract import Backend, Session, State
from harness.data.games import Games, Moves, one_hot
from harness.errors import CellFailed, SpecError
from harness.plan.binding import Arrays
from harness.plan.deep_q import ACTION, VALUE, GamePlan
from harness.plan.plan import Plan
from harness.records.process import Clock
from harness.spec.execution import Execution
from harness.spec.game_sources import Gymnasium
from harness.training.loop import PhaseRun, Progress, Window


@dataclass
class Replay:
    """The last moves, by their number: move m lies at m % size. values: an action's target, as far as it is known."""

    size: int
    shape: tuple[int, ...]
    actions: int
    dtype: str
    moves: int = 0

    def __post_init__(self) -> None:
        self.states = np.zeros((self.size, *self.shape), self.dtype)
        self.next_states = np.zeros_like(self.states)
        self.taken = np.zeros((self.size, self.actions), self.dtype)
        self.rewards = np.zeros(self.size, self.dtype)
        self.goes_on = np.zeros(self.size, self.dtype)

    def add(self, made: Moves) -> None:
        """One move of each game; a game that was cut off goes on, as far as its value is concerned."""
        rows = (self.moves + np.arange(len(made.actions))) % self.size
        self.states[rows], self.next_states[rows] = made.states, made.next_states
        self.taken[rows] = one_hot(made.actions, self.actions)
        self.rewards[rows], self.goes_on[rows] = made.rewards, ~made.terminated
        self.moves += len(rows)


@dataclass
class GameRun:
    """What playing left, beside what every phase leaves. played: the games of the training as columns; test: the
    returns of the test's games; actions: one for each move, in order."""

    phase: PhaseRun
    played: dict[str, list[float]]
    actions: np.ndarray
    solved_at: int | None = None
    test: list[float] = field(default_factory=list)

    def to_data(self, environment: str) -> dict[str, Any]:
        """The part of the record that is about the games."""
        return {"environment": environment, **self.played, "moves": len(self.actions), "solved_at": self.solved_at,
                "test_returns": self.test}


class Player:
    """One training. clock, progress: as of the loop over data."""

    def __init__(
        self, backend: Backend, plan: GamePlan, source: Gymnasium, execution: Execution, state: State, clock: Clock,
        progress: Progress | None,
    ) -> None:
        self.plan, self.settings, self.source = plan, plan.settings, source
        self.clock, self.progress = clock, progress
        self.games = Games(source, self.settings.games, plan.game_seed)
        self.replay = Replay(self.settings.replay_size, self.games.shape, self.games.actions, plan.plan.dtype)
        self.session = backend.open(plan.plan, state, self._resident(self.replay.size), execution)
        self.target = backend.open(_asked(plan.plan), state, self._resident(1), execution)
        self.actions: list[np.ndarray] = []
        self.run = PhaseRun(plan.plan.name, plan.plan.digest)

    def _resident(self, rows: int) -> Arrays:
        """An empty replay for the device."""
        dtype = self.plan.plan.dtype
        x = {self.plan.state: np.zeros((rows, *self.games.shape), dtype),
             ACTION: np.zeros((rows, self.games.actions), dtype)}
        return Arrays(x, {VALUE: np.zeros((rows, 1), dtype)})

    def __call__(self) -> GameRun:
        settings, solved_at = self.settings, None
        seconds = self._play(settings.first_moves)
        per_epoch = settings.rounds_per_epoch
        for epoch in range(self.plan.epochs):
            first, before = epoch * per_epoch, len(self.run.windows)
            for number in range(first, first + per_epoch):
                seconds += self._play(settings.round_moves) + self._train(number)
                if self.solved():
                    solved_at = len(self.games.played)
                    break
            self._log(epoch, before, seconds)
            seconds = 0.0
            if solved_at is not None:
                self.run.stopped_early = number + 1 < self.plan.rounds
                break
        if self.plan.plan.optimizer.use_ema:
            self.session.finish()
        self.run.program = self.session.program()
        self.target.close()
        played = self.games.played
        columns: dict[str, list[float]] = {
            "returns": [game.returned for game in played], "lengths": [game.length for game in played],
            "ended_at": [game.at for game in played]}
        self.games.close()
        return GameRun(self.run, columns, np.concatenate(self.actions), solved_at, self._test())

    # -- moves

    def _play(self, moves: int) -> float:
        """Makes so many moves; the seconds that it took."""
        began = self.clock()
        count = self.settings.games
        for _ in range(moves // count):
            here = slice(self.replay.moves, self.replay.moves + count)
            chance, actions = self.plan.by_chance[here], self.plan.chosen[here].copy()
            if not chance.all():
                best = self._values(self.session, self.games.states).argmax(axis=1)
                actions[~chance] = best[~chance]
            self.replay.add(self.games.move(actions))
            self.actions.append(actions)
        return self.clock() - began

    def _values(self, session: Session, states: np.ndarray) -> np.ndarray:
        """[states, actions]: what the network of a session says each action is worth."""
        states = np.ascontiguousarray(states, self.plan.plan.dtype)
        nothing = np.zeros((len(states), self.games.actions), states.dtype)
        outputs = session.predict({self.plan.state: states, ACTION: nothing}, len(states))
        return np.asarray(outputs[self.plan.action_values])

    def mean_return(self) -> float:
        """Of the last games that ended; not a number before there is one."""
        last = self.games.played[-self.settings.solved_games:]
        return float(np.mean([game.returned for game in last])) if last else math.nan

    def solved(self) -> bool:
        enough = len(self.games.played) >= self.settings.solved_games
        return enough and self.settings.solved is not None and self.mean_return() >= self.settings.solved

    # -- steps

    def targets(self, rows: np.ndarray) -> np.ndarray:
        """[rows, 1]: what the actions taken there were worth, as the target network sees it."""
        following = self.replay.next_states[rows]
        worth = self._values(self.target, following)
        if self.settings.double:
            best = self._values(self.session, following).argmax(axis=1)
            later = worth[np.arange(len(rows)), best]
        else:
            later = worth.max(axis=1)
        discount = np.asarray(self.settings.discount, worth.dtype)
        return (self.replay.rewards[rows] + discount * self.replay.goes_on[rows] * later)[:, None]

    def _train(self, number: int) -> float:
        """The steps of a round; the seconds that it took to prepare them."""
        began = self.clock()
        if number and number % self.settings.target_rounds == 0:
            self.target.load(State(self.session.state().weights))
        rows = self.plan.round_rows(number)
        self.session.replace(rows, Arrays(
            {self.plan.state: self.replay.states[rows], ACTION: self.replay.taken[rows]}, {VALUE: self.targets(rows)}))
        self.session.wait()
        prepared = self.clock() - began
        start, stop = self.plan.steps(number)
        began = self.clock()
        self.session.train(start, stop)
        self.session.wait()
        self.run.windows.append(Window(start, stop, self.clock() - began, warmup=not self.run.windows))
        if number == 0:
            self.run.first_step_seconds = self.run.windows[0].seconds
        return prepared

    def _log(self, epoch: int, before: int, play_seconds: float) -> None:
        windows, tape = self.run.windows[before:], self.plan.plan.tape
        start, stop = windows[0].start, windows[-1].stop
        losses = self.session.collect().losses
        bad = np.nonzero(~np.isfinite(losses))[0]
        if len(bad):
            raise CellFailed("nan_loss", f"the loss became {losses[bad[0]]} at step {start + int(bad[0])}.")
        self.run.losses.append(losses)
        log = {"epoch": epoch + 1, "loss": float(losses.mean()), "mean_return": self.mean_return(),
               "seconds": sum(window.seconds for window in windows), "play_seconds": play_seconds,
               "learning_rate": float(tape.learning_rates[stop - 1])}
        self.run.epochs.append(log)
        if self.progress is not None:
            examples = int(tape.sizes[start:stop].sum())
            self.progress({
                "event": "step", "phase": self.plan.plan.name, "epoch": epoch + 1, "epochs": self.plan.epochs,
                "step": stop, "steps": len(tape), "loss": log["loss"],
                "samples_per_second": examples / max(log["seconds"] + play_seconds, 1e-9)})

    # -- the trained network, without chance

    def _test(self) -> list[float]:
        """The return of one game from each of the test's starts, which both backends share."""
        count = self.settings.test_games
        games = Games(self.source, count, self.plan.test_seed)
        returns = np.zeros(count)
        open_ = np.ones(count, bool)
        while open_.any():
            made = games.move(self._values(self.session, games.states).argmax(axis=1))
            returns[open_] += made.rewards[open_]
            open_ &= ~made.ended
        games.close()
        return [float(value) for value in returns]


def _asked(plan: Plan) -> Plan:
    """The plan of a session that is never trained: a tape of one step that reads the only row."""
    tape = plan.tape
    one = replace(tape, indices=np.zeros_like(tape.indices[:1]), sizes=tape.sizes[:1], epochs=tape.epochs[:1],
                  learning_rates=tape.learning_rates[:1], keys=tape.keys[:1])
    return replace(plan, tape=one)


def check_source(source: Any) -> Gymnasium:
    """Raises SpecError for data that is no game."""
    if not isinstance(source, Gymnasium):
        name = "arrays" if source is None else source.name
        raise SpecError(f"deep_q_learning plays a game, the data is {name!r}.", where="data.source",
                        hint="Write data: {source: {gymnasium: {environment: CartPole-v1}}}.")
    return source
