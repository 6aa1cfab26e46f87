"""What a worker's child does for a pilot: the cell's training in lock-step, or the beginning of it as one program."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.backends import load_backend
from harness.backends.contract import Session
from harness.certify.rungs import rounds_in_float32
from harness.certify.samples import Program, Sampler, write_trajectory
from harness.measure.window import Player as WindowPlayer
from harness.measure.window import play_window
from harness.plan.plan import Plan, Tape
from harness.records.array_file import write_arrays
from harness.runner.certifying import OTHER_SEED as OTHER_SEED_OF_SETUP
from harness.runner.certifying import Setup
from harness.runner.matrix import Cell
from harness.runner.pilot import with_program
from harness.runner.timing import subject_of
from harness.runner.trajectory import NOISE, OTHER_SEED, ULPS, Player, changed, joined

# The controls that go furthest, and another seed: how far rounding is told from a mistake.
VARIANTS = (ULPS[0], NOISE, OTHER_SEED)
# Steps that are compared: the first ones, and those around the end of the first epoch.
FIRST_STEPS, AROUND_END = 24, 3
CHECKPOINTS = (1, 2, 5, 10, 20)
# A program so many times slower than the best so far is not looked at any further. In a call of a few steps the call
# itself still counts.
HOPELESS = 10.0
# Steps whose pace says so.
PACE_FROM, PACE_TO = 5, 10
WINDOW_SECONDS, SETTLING_SECONDS, PARTS = 2.0, 0.5, 8
MOST_STEPS = 2000


def base_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """Plays the lock-step training and its controls to arguments["file"] (.npz). arguments: "cell": Cell.to_data().
    Gives {"programs", "refused", "rounds_in_float32", "speed_by", "versions"}."""
    player = Player({**arguments, "variants": VARIANTS}, cell_setup)
    try:
        player.play_base()
        for variant in VARIANTS:
            player.play_variant(variant)
    finally:
        player.session.close()
    write_trajectory(arguments["file"], player.trajectory)
    backend, execution, plan = player.given.backend, player.given.execution, player.plan
    return {"programs": backend.programs(execution, plan), "refused": backend.refused_programs(execution, plan),
            "rounds_in_float32": bool(rounds_in_float32(plan)), "speed_by": _speed_by(player.given),
            "versions": backend.versions()}


def program_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """Plays the same steps as arguments["program"], many in one call, and times it. arguments, besides: "file": where
    its weights go; "best": the seconds of a step of the best program so far, or None; "speed_by": of base_job.

    Gives {"timed": see pilot.chosen_program, "reason": why it cannot be accepted whatever its weights are, or None}.
    """
    cell = with_program(Cell.from_data(arguments["cell"]), arguments["program"])
    checked = 0

    def tape_of(tape: Tape) -> Tape:
        nonlocal checked
        beginning = part(tape, compared(tape))
        checked = len(beginning)
        return joined([beginning, part(tape, range(min(len(tape), MOST_STEPS)))])

    given = _setup_of(cell, tape_of)
    session = given.open()
    try:
        return _played(session, given.plan, checked, arguments)
    finally:
        session.close()


def _played(session: Session, plan: Plan, checked: int, arguments: dict[str, Any]) -> dict[str, Any]:
    tape = part(plan.tape, range(checked))
    firsts = sorted(np.unique(tape.sizes, return_index=True)[1].tolist())
    places = sorted({step for step in CHECKPOINTS if step < checked} | {checked} | set(firsts[1:])
                    | {step + 1 for step in firsts})
    backend = load_backend(arguments["backend"])
    first = backend.weights_of(session.model)
    sampler = Sampler({variable.name: variable.shape for variable in plan.variables
                       if first[variable.name].dtype.kind == "f"})
    kept, losses, seconds, start = [], [], {}, 0
    by_cpu = arguments["speed_by"] == "cpu_seconds"
    for stop in places:
        began, cpu_began = time.perf_counter(), time.process_time()
        session.train(start, stop)
        session.wait()
        seconds[start, stop] = time.perf_counter() - began
        pace = (time.process_time() - cpu_began if by_cpu else seconds[start, stop]) / (stop - start)
        losses.append(session.collect().losses)
        kept.append(sampler(backend.weights_of(session.model)))
        if (start, stop) == (PACE_FROM, PACE_TO) and pace > HOPELESS * (arguments["best"] or math.inf):
            times = pace / arguments["best"]
            return {"timed": {**_compiled(seconds, firsts, pace), "step_seconds": pace, "words": session.program()},
                    "reason": f"not looked at any further: a step takes {times:.1f} times as long as the best one's"}
        start = stop
    weights = [np.stack(column) for column in zip(*kept, strict=True)]
    _write(arguments["file"], Program(session.program(), tuple(places), weights, np.concatenate(losses)))
    return _timed(session, plan, seconds, firsts, by_cpu)


def _timed(
    session: Session, plan: Plan, seconds: dict[tuple[int, int], float], firsts: Sequence[int], by_cpu: bool,
) -> dict[str, Any]:
    """Its speed, after the steps that are compared."""
    player = WindowPlayer(session, plan)
    settled = play_window(player, PACE_TO, least_seconds=SETTLING_SECONDS)
    steps = max(PARTS, math.ceil(WINDOW_SECONDS * settled.steps / settled.seconds))
    window = play_window(player, steps, parts=PARTS)
    session.collect()
    spent = window.cpu_seconds if by_cpu else float(np.median(window.sub_seconds)) * PARTS
    step = spent / window.steps
    return {"timed": {"samples_per_second": window.samples / spent, "step_seconds": step,
                      **_compiled(seconds, firsts, step), "words": session.program()},
            "reason": session.compilation().get("fallback")}


def _compiled(seconds: dict[tuple[int, int], float], firsts: Sequence[int], step: float) -> dict[str, float]:
    """What the first steps took, those of every batch size that was played."""
    each = [seconds[first, first + 1] for first in firsts if (first, first + 1) in seconds]
    return {"first_step_seconds": seconds[0, 1], "compile_seconds": sum(max(0.0, taken - step) for taken in each)}


def cell_setup(arguments: dict[str, Any]) -> Setup:
    """The cell's own plan, its tape cut down to the steps that are compared; see certifying.setup. What a framework
    draws by itself comes from the tape, or nothing could be compared."""
    cell = Cell.from_data(arguments["cell"])
    if arguments.get("variant") == OTHER_SEED_OF_SETUP:
        cell = replace(cell, seed=cell.seed + 1)
    return _setup_of(cell, lambda tape: part(tape, compared(tape)))


def _setup_of(cell: Cell, tape_of: Callable[[Tape], Tape]) -> Setup:
    subject = subject_of(cell, load_backend(cell.backend))
    plan = replace(subject.plan, tape=tape_of(subject.plan.tape), collect_outputs=False)
    return Setup(cell.backend, plan, subject.state, subject.train, changed(cell.execution, random="tape"))


def compared(tape: Tape) -> list[int]:
    """The steps that are compared: the first ones, those around the end of the first epoch, every batch size."""
    end = tape.epoch_bounds()[0][1]
    steps = {*range(FIRST_STEPS), *range(end - AROUND_END, end + AROUND_END),
             *np.unique(tape.sizes, return_index=True)[1].tolist()}
    return sorted(step for step in steps if 0 <= step < len(tape))


def part(tape: Tape, steps: Sequence[int]) -> Tape:
    """Some steps of a tape."""
    chosen = list(steps)
    return Tape(**{name: getattr(tape, name)[chosen] for name in
                   ("indices", "sizes", "learning_rates", "epochs", "keys")})


def _speed_by(given: Setup) -> str:
    """Which clock tells the programs apart. One thread on a CPU: its own seconds, which another process that has the
    core for a while does not change."""
    on_cpu = str(given.backend.conditions(given.execution)["device"]).startswith("cpu")
    return "cpu_seconds" if on_cpu and given.execution.threads == 1 else "seconds"


def _write(file: str, program: Program) -> None:
    write_arrays(file, {"name": np.array(program.name), "steps": np.array(program.steps),
                        "losses": np.asarray(program.losses, np.float64),
                        **{f"weight {index}": array for index, array in enumerate(program.weights)}})
