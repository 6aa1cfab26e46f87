"""Plays one backend's training of a phase in lock-step, in a worker's child: as it is, moved by rounding in several
ways, from another seed, and as the program that is timed. What it finds is judged in certify/trajectories.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from harness.backends.contract import Session, State, Weights
from harness.certify.controls import one_half_ulp, one_ulp
from harness.certify.distances import distance_again
from harness.certify.samples import Distance, Program, Sampler, Trajectory, write_trajectory
from harness.plan.plan import Plan, Tape
from harness.records.checkpoint import save_checkpoint
from harness.spec.execution import MIXED, Execution
from harness.training.state import to_tensors

ULPS = ("one ulp 1", "one ulp 2", "one ulp 3")
NOISE, REDUCTION, OTHER_SEED = "one ulp after every step", "reduction", "other seed"
VARIANTS = (*ULPS, NOISE, REDUCTION, OTHER_SEED)
CHECKPOINTS = (1, 2, 5, 10, 20, 50)
# How many steps are played once more at the end: what one leaves behind shows in the next.
AGAIN = 2
# Where the rows of a batch cannot change places, because a mask goes with each place: another program for the same
# sums, if the backend has a cheap one; else noise of other directions.
OTHER_PROGRAMS: dict[str, tuple[str, dict[str, Any]]] = {"pytorch": ("for-each optimizer", {"tier": "idiomatic"})}
SetupOf = Callable[[dict[str, Any]], Any]


def trajectory_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """The workers' entry point. arguments: those of certifying.setup, and

    "file": where the trajectory goes (.npz); "variants": which of VARIANTS are played beside the base, all where
    absent; "timed": whether the cell's own execution is played as well (True where absent), and "checkpoints": after
    which steps it is looked at; "next": the file to write the state to with which the next phase begins.
    Gives {"program", "timed_program" (or None), "seconds" by variant, "cpu_seconds" of all,
    "step_seconds" (the median of the base's), "notes"}.
    """
    from harness.runner.certifying import setup

    return play(arguments, setup)


def play(arguments: dict[str, Any], setup: SetupOf) -> dict[str, Any]:
    """The job, with the function that makes the plan."""
    began = time.process_time()
    player = Player(arguments, setup)
    try:
        player.play_base()
        for variant in arguments.get("variants", VARIANTS):
            player.timing(variant, partial(player.play_variant, variant))
        player.timing("again", player.play_again)
        if arguments.get("timed", True):
            player.timing("timed", player.play_timed)
    finally:
        player.session.close()
    player.timing("file", lambda: write_trajectory(arguments["file"], player.trajectory))
    timed = player.trajectory.timed
    return {"program": player.trajectory.program, "timed_program": timed and timed.name, "seconds": player.seconds,
            "cpu_seconds": time.process_time() - began, "step_seconds": player.step_seconds, "notes": player.notes}


class Player:
    """One open session that plays all variants of one plan.

    The tape holds the variants that have batches of their own behind the base's: a session compiles its step once.
    """

    def __init__(self, arguments: dict[str, Any], setup: SetupOf) -> None:
        self.arguments, self.setup = arguments, setup
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []
        began = time.perf_counter()
        given = setup({**arguments, "variant": None})
        self.plan: Plan = replace(given.plan, collect_outputs=False)
        self.given = replace(given, plan=self.plan)
        self.name: str = given.backend.name
        self.half = MIXED.get(given.execution.precision)
        self.steps = len(self.plan.tape)
        self.execution = changed(given.execution, compile="none", program="auto", tier="tuned", random="tape")
        self.offsets, tape, self.other_state = self._tape()
        self.session: Session = replace(given, plan=replace(self.plan, tape=tape), execution=self.execution).open()
        # With every slot in it: loading it takes a session back to its beginning.
        self.first: State = copied(self.session.state())
        names = {variable.name: variable.shape for variable in self.plan.variables
                 if np.asarray(self.first.weights[variable.name]).dtype.kind == "f"}
        self.sampler = Sampler(names)
        self.step_seconds = 0.0
        self.seconds["open"] = time.perf_counter() - began

    def _tape(self) -> tuple[dict[str, int], Tape, State]:
        """(where each variant's steps begin, the tape of all of them, the state of another seed)."""
        wanted = self.arguments.get("variants", VARIANTS)
        tapes, offsets, state = [self.plan.tape], {}, self.given.state
        for variant, of_setup in ((REDUCTION, "reversed"), (OTHER_SEED, "other seed")):
            if variant not in wanted or (variant == REDUCTION and self.plan.stochastic):
                continue
            made = self.setup({**self.arguments, "variant": of_setup})
            offsets[variant] = sum(len(tape) for tape in tapes)
            tapes.append(made.plan.tape)
            if variant == OTHER_SEED:
                state = made.state
        return offsets, joined(tapes), state

    def timing(self, name: str, work: Callable[[], None]) -> None:
        began = time.perf_counter()
        work()
        self.seconds[name] = time.perf_counter() - began

    # -- the variants

    def play_base(self) -> None:
        """The training as it is; the state that it leaves is where the next phase begins."""
        kept: list[list[np.ndarray]] = [self.sampler(self.first.weights)]
        losses = self._lock_step(self.session, self.first, 0, lambda weights: kept.append(self.sampler(weights)))
        self.trajectory = Trajectory(
            backend=self.name, dtype=self.given.execution.precision if self.half else self.plan.dtype,
            program=self.session.program(), names=self.sampler.names,
            updated=frozenset(variable.name for variable in self.plan.trainable),
            weights=[np.stack(column) for column in zip(*kept, strict=True)], losses=losses,
        )
        self.seconds["base"] = sum(self.step_times)
        self.step_seconds = float(np.median(self.step_times))
        if self.arguments.get("next"):
            if self.plan.optimizer.use_ema:
                self.session.finish()
            save_checkpoint(self.arguments["next"], to_tensors(self.session.state()))

    def play_variant(self, variant: str) -> None:
        """One of VARIANTS, from the beginning."""
        if self.half and variant in (*ULPS, NOISE):
            # Weights are float32: moved by one of its ulps they are the same ones in the half type.
            self._control(f"one ulp of {self.half} in every step, {VARIANTS.index(variant) + 1}", self.first,
                          nudges=VARIANTS.index(variant) * self.steps)
        elif variant in ULPS:
            self._control(variant, self._moved(self.first, ULPS.index(variant)))
        elif variant == NOISE:
            self._control(variant, self.first, noise=0)
        elif variant == OTHER_SEED:
            state = fresh(self.first, self.other_state)
            self.trajectory.seeds = self._distance(self.session, state, self.offsets[variant])
        elif variant in self.offsets:
            self._control("reversed rows", self.first, self.offsets[variant])
        else:
            self._other_program()

    def _other_program(self) -> None:
        if self.name not in OTHER_PROGRAMS:
            self._control(f"{NOISE}, other directions", self.first, noise=self.steps)
            return
        name, change = OTHER_PROGRAMS[self.name]
        session = replace(self.given, execution=changed(self.execution, **change)).open()
        self.trajectory.controls[name] = self._distance(session, self.first, 0)
        session.close()

    def _control(self, name: str, state: State, offset: int = 0, **moved: int) -> None:
        self.trajectory.controls[name] = self._distance(self.session, state, offset, **moved)

    def _distance(self, session: Session, state: State, offset: int, **moved: int) -> Distance:
        base = self.trajectory.weights
        squares: list[list[float]] = []

        def look(weights: Weights) -> None:
            sample = self.sampler(weights)
            with np.errstate(over="ignore", invalid="ignore"):
                squares.append([float(np.sum(np.square(ours.astype(np.float64) - theirs[len(squares)])))
                                for ours, theirs in zip(sample, base, strict=True)])

        look(state.weights)
        losses = self._lock_step(session, state, offset, look, **moved)
        return Distance(np.array(squares).reshape(self.steps + 1, len(base)), losses)

    def _lock_step(
        self, session: Session, state: State, offset: int, look: Callable[[Weights], None], *, noise: int | None = None,
        nudges: int | None = None,
    ) -> np.ndarray:
        """Plays all steps one by one; look: gets the weights after each; noise: the seed of what they are moved by
        then; nudges: of what they are moved by for the time of each step. float64 [steps], the losses."""
        session.load(state)
        losses, self.step_times = [], []
        for step in range(offset, offset + self.steps):
            before = None if nudges is None else self._nudged(session, nudges + step)
            began = time.perf_counter()
            session.train(step, step + 1)
            session.wait()
            self.step_times.append(time.perf_counter() - began)
            if before is not None:
                self._taken_back(session, *before)
            # One at a time: what a session keeps of other variants' steps is not this one's.
            losses.append(session.collect().losses[-1:])
            look(self.given.backend.weights_of(session.model))
            if noise is not None:
                left = session.state()
                moved = self._moved(left, len(ULPS) + noise + step)
                session.load(State(moved.weights, {}, left.iterations))
        return np.concatenate(losses).astype(np.float64)

    def _nudged(self, session: Session, seed: int) -> tuple[Weights, Weights]:
        """(the trained weights, the same as the session has them now: one ulp of the half type away)."""
        state = session.state()
        kept = {variable.name: np.array(state.weights[variable.name]) for variable in self.plan.trainable}
        moved = one_half_ulp(kept, str(self.half), seed)
        session.load(State({**state.weights, **moved}, {}, state.iterations))
        return kept, moved

    def _taken_back(self, session: Session, kept: Weights, moved: Weights) -> None:
        """Leaves of a step from moved weights what it changed them by."""
        state = session.state()
        back = {name: np.asarray(kept[name] + (state.weights[name] - moved[name]), kept[name].dtype) for name in kept}
        session.load(State({**state.weights, **back}, {}, state.iterations))

    def _moved(self, state: State, seed: int) -> State:
        return State(one_ulp(state.weights, self.plan.dtype, seed), state.slots, state.iterations)

    def play_again(self) -> None:
        """The first steps, after everything else. A session's state is all that a step begins with: what is left of
        earlier steps beside it (gradients, running sums, random numbers) would move the controls as it moves the
        training, and so hide behind them."""
        self.session.load(self.first)
        steps = min(AGAIN, self.steps)
        for step in range(steps):
            self.session.train(step, step + 1)
        self.session.wait()
        self.session.collect()
        sample = self.sampler(self.given.backend.weights_of(self.session.model))
        self.trajectory.again = distance_again(sample, [array[steps] for array in self.trajectory.weights])

    # -- the program that is timed

    def play_timed(self) -> None:
        """The cell's execution as it is timed: many steps in one call into the framework."""
        execution: Execution = self.given.execution
        if self.plan.stochastic and not execution.uses_tape:
            self.notes.append("the timed program draws its own random numbers: it is not compared.")
            return
        session = self.given.open()
        if session.program() == self.trajectory.program:
            # It is the one that is open, whose steps the framework has compiled already.
            session.close()
            session = self.session
        session.load(self.first)
        places = sorted({min(step, self.steps) for step in self.arguments.get("checkpoints", CHECKPOINTS)}
                        | {self.steps})
        kept, losses, start = [], [], 0
        for stop in places:
            session.train(start, stop)
            session.wait()
            losses.append(session.collect().losses)
            kept.append(self.sampler(self.given.backend.weights_of(session.model)))
            start = stop
        self.trajectory.timed = Program(
            session.program(), tuple(places), [np.stack(column) for column in zip(*kept, strict=True)],
            np.concatenate(losses).astype(np.float64))
        if session is not self.session:
            session.close()


def joined(tapes: list[Tape]) -> Tape:
    """Several trainings' steps one behind the other."""
    return Tape(**{name: np.concatenate([getattr(tape, name) for tape in tapes])
                   for name in ("indices", "sizes", "learning_rates", "epochs", "keys")})


def fresh(first: State, other: State) -> State:
    """The state of another seed, with the slots that a fresh optimizer has. first: of the base, slots and all."""
    slots = {
        slot: {name: _slot(first, other, name, array) if name in first.weights else array
               for name, array in arrays.items()}
        for slot, arrays in first.slots.items()
    }
    return State(other.weights, {**slots, **other.slots}, other.iterations)


def _slot(first: State, other: State, name: str, array: np.ndarray) -> np.ndarray:
    """Some slots begin as a copy of their weight."""
    copies = bool(np.any(array)) and np.array_equal(array, first.weights[name])
    return np.asarray(other.weights[name], array.dtype) if copies else array


def copied(state: State) -> State:
    """The state in memory of its own: a session may hand out views of what it trains."""
    return State({name: np.array(array) for name, array in state.weights.items()},
                 {slot: {name: np.array(array) for name, array in arrays.items()}
                  for slot, arrays in state.slots.items()}, state.iterations)


def changed(execution: Execution, **change: Any) -> Execution:
    """The execution with some of its fields changed."""
    return Execution(**{**{name: getattr(execution, name) for name in Execution.model_fields}, **change})
