"""One half of a block: a session is opened, warmed up, timed in one window, and asked what else it can tell.

Everything comes as plain data; what was not measured is None, and "<name>_reason" beside it says why.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from harness.backends.contract import Backend, Session, State
from harness.errors import CellFailed
from harness.measure.fairness import judged
from harness.measure.guards import check_finite, check_update, impossible, slack_of
from harness.measure.latency import latency, throughputs
from harness.measure.warmup import SUB_WINDOWS, FirstStep, Tell, Warmup, first_steps, in_whole_epochs, warm_up
from harness.measure.window import Player, Window, play_window, tokens_of
from harness.plan.binding import Arrays
from harness.plan.plan import Plan
from harness.records.process import Clock, process_peak_bytes
from harness.spec.execution import Execution
from harness.spec.timing import Timing

# The window in parts of half a second or a second; the idiomatic tier in one, because each call of `fit` has a price.
PARTS = 10
# Steps between the reset to the first weights and the window.
SETTLING_STEPS = 10
LEAST_STEPS = 10
# So much longer than asked for is the window planned, for it may not be shorter.
MARGIN, IDIOMATIC_MARGIN = 1.05, 1.25
EVALUATION_SECONDS, EVALUATION_BATCHES, MOST_EVALUATIONS = 0.5, 32, 50
END_TO_END_SECONDS = 1.0


class Meter(Protocol):
    """Measures the energy between two moments."""

    def start(self) -> None: ...

    def stop(self) -> dict[str, Any]:
        """{"joules": x or None, "seconds": x, "reason": why there are none}."""


@dataclass
class HalfJob:
    """What a half needs. state: first weights. data: the training split; evaluation: the split that is evaluated, or
    None. conditions: what Backend.conditions read back in this process. flops_per_step: of a full batch; ceiling:
    FLOP/s that the device cannot exceed. meter: of energy. end_to_end: also time the idiomatic loop, from the host's
    arrays.
    """

    backend: Backend
    plan: Plan
    state: State
    data: Arrays
    execution: Execution
    timing: Timing
    conditions: dict[str, Any] = field(default_factory=dict)
    evaluation: Arrays | None = None
    flops_per_step: float | None = None
    ceiling: float | None = None
    meter: Meter | None = None
    end_to_end: bool = False
    clock: Clock = time.perf_counter
    cpu_clock: Clock = time.process_time
    tell: Tell | None = None

    @property
    def on_gpu(self) -> bool:
        return str(self.conditions.get("device", "cpu")).startswith("gpu")

    @property
    def window_seconds(self) -> float:
        return self.timing.seconds(self.on_gpu)


def measure_half(job: HalfJob) -> dict[str, Any]:
    """Times one backend and gives the half of a block.

    The process is configured already. Metrics of the training are not collected. Raises CellFailed: "no_steady_state",
    "nan_loss", "no_update", "unfair", "impossible_speed", "recompiled"; whatever the framework raises passes through.
    """
    plan = replace(job.plan, collect_outputs=False)
    began = job.clock()
    session = job.backend.open(plan, job.state, job.data, job.execution)
    opened = job.clock() - began
    try:
        half = _measured(job, plan, session)
    finally:
        session.close()
    end_to_end = _end_to_end(job, plan, half)
    return {"versions": job.backend.versions(), "conditions": job.conditions, "open_seconds": opened, **half,
            **or_reason("end_to_end", end_to_end)}


def _measured(job: HalfJob, plan: Plan, session: Session) -> dict[str, Any]:
    """What an open session tells."""
    start = _copied(session.state())
    firsts = first_steps(session, plan.tape, job.clock)
    _tell(job, "first step", firsts[0].first_seconds)
    player = Player(session, plan, tokens_of(plan.spec, job.data.x))
    warmup = warm_up(
        player, plan, window_seconds=job.window_seconds, steadiness=job.timing.steadiness,
        limit=job.timing.warmup_seconds, step_seconds=firsts[0].again_seconds, by_cpu=not job.on_gpu,
        sub_windows=PARTS if job.execution.tier == "idiomatic" else SUB_WINDOWS, clock=job.clock,
        cpu_clock=job.cpu_clock, tell=job.tell)
    subject = judged(job.execution, job.backend.name, job.conditions, session, plan, job.data)
    _tell(job, "window", warmup.seconds)
    timed = _timed(job, plan, player, start, warmup)
    _tell(job, "inference", timed["window"]["seconds"])
    return {
        "program": session.program(), **subject, **_starting(firsts, warmup), **timed,
        "flops_per_step": job.flops_per_step,
        **or_reason("evaluation", _evaluation(job, plan, session)),
        **or_reason("latency", _latency(job, plan, session)),
    }


def _starting(firsts: list[FirstStep], warmup: Warmup) -> dict[str, Any]:
    return {
        "first_step_seconds": firsts[0].first_seconds,
        "compile_seconds": sum(first.compile_seconds for first in firsts),
        "first_steps": [first.to_data() for first in firsts], "warmup": warmup.to_data(),
    }


def _timed(job: HalfJob, plan: Plan, player: Player, start: State, warmup: Warmup) -> dict[str, Any]:
    """The timed window: the plan's own training from its first weights; and what is known right after it."""
    session = player.session
    session.load(start)
    player.position = 0
    player.play(SETTLING_STEPS)
    session.wait()
    session.collect()
    session.compilation()  # counts anew
    before = _copied(session.state()).weights
    steps, parts = window_length(job, plan, warmup.step_seconds)
    if job.meter is not None:
        job.meter.start()
    window = play_window(player, steps, job.clock, parts=parts, least_seconds=job.window_seconds,
                         cpu_clock=job.cpu_clock)
    energy = {"joules": None, "seconds": window.seconds, "reason": "energy was not measured"}
    if job.meter is not None:
        energy = job.meter.stop()
    losses, compilation = session.collect().losses, session.compilation()
    memory = _memory(session)  # before anything else allocates
    check_finite(losses)
    check_update(plan, before, session.state().weights, losses)
    _check_speed(job, plan, window)
    if compilation["recompiles"]:
        raise CellFailed("recompiled", f"{compilation['recompiles']} programs were compiled in the timed window.")
    tokens = {} if window.tokens else {"tokens_reason": "the model has no sequence of tokens as an input"}
    return {"window": {**window.to_data(), **tokens}, "compilation": compilation, "energy": energy, "memory": memory,
            "loss": float(losses[-1])}


def window_length(job: HalfJob, plan: Plan, step_seconds: float) -> tuple[int, int]:
    """(steps of the window, in how many parts)."""
    least = job.timing.window_steps if job.on_gpu else LEAST_STEPS
    idiomatic = job.execution.tier == "idiomatic"
    margin = IDIOMATIC_MARGIN if idiomatic else MARGIN
    steps = max(least, math.ceil(margin * job.window_seconds / step_seconds))
    if idiomatic:
        return in_whole_epochs(steps, plan.tape), 1
    part = in_whole_epochs(math.ceil(steps / PARTS), plan.tape)
    parts = math.ceil(steps / part)
    return part * parts, parts


def _check_speed(job: HalfJob, plan: Plan, window: Window) -> None:
    batches = window.samples / plan.tape.indices.shape[1]
    found = impossible(job.flops_per_step, batches, window.seconds, job.ceiling, slack_of(plan.spec))
    if found is not None:
        raise CellFailed("impossible_speed", found)


def _memory(session: Session) -> dict[str, Any]:
    peak = session.peak_bytes()
    none = {} if peak is not None else {"peak_bytes_reason": "the framework keeps no count of a CPU's memory"}
    return {"peak_bytes": peak, **none, "process_peak_bytes": process_peak_bytes(),
            "largest_batch": None, "largest_batch_reason": "it was not searched for (timing.largest_batch)"}


def _evaluation(job: HalfJob, plan: Plan, session: Session) -> dict[str, Any] | str:
    """The whole batches of a part of the split, from the host's arrays, again and again."""
    if not job.timing.evaluation:
        return "timing.evaluation is off"
    if job.evaluation is None or not len(job.evaluation):
        return "there is no split to evaluate"
    batch = min(plan.tape.indices.shape[1], len(job.evaluation))
    rows = min(len(job.evaluation) // batch, EVALUATION_BATCHES) * batch
    arrays = _first_rows(job.evaluation, rows)
    session.evaluate(arrays, batch)
    rounds, spent = 0, 0.0
    session.wait()
    began = job.clock()
    while rounds < MOST_EVALUATIONS and spent < EVALUATION_SECONDS:
        session.evaluate(arrays, batch)
        session.wait()
        rounds, spent = rounds + 1, job.clock() - began
    return {"samples": rounds * rows, "seconds": spent, "batch": batch}


def _latency(job: HalfJob, plan: Plan, session: Session) -> dict[str, Any] | str:
    if not job.timing.latency:
        return "timing.latency is off"
    fixed = [item.shape[0] for item in plan.spec.inputs if item.shape[0] is not None]
    if fixed:
        return f"the model's batch size is fixed at {fixed[0]}"
    one = asdict(latency(session.inference(1), 1, job.clock))
    return {**one, "throughput": throughputs(session, job.timing.batch_sizes, job.clock)}


def _end_to_end(job: HalfJob, plan: Plan, half: dict[str, Any]) -> dict[str, Any] | str:
    """The framework's own loader and loop, from the host's arrays; called when the first session is closed."""
    if job.execution.tier == "idiomatic":
        return {"samples": half["window"]["samples"], "seconds": half["window"]["seconds"]}
    if not job.end_to_end:
        return "the tuned tier plays data that lies on the device; the loaders are timed in the idiomatic tier"
    if any(variable.multiplier != 1 for variable in plan.trainable):
        return "the idiomatic tier has no learning-rate multipliers"
    execution = Execution(**{**{name: getattr(job.execution, name) for name in Execution.model_fields},
                             "tier": "idiomatic", "program": "auto"})
    session = job.backend.open(plan, job.state, job.data, execution)
    try:
        firsts = first_steps(session, plan.tape, job.clock)
        player = Player(session, plan)
        step = max(play_window(player, SETTLING_STEPS, job.clock).seconds / SETTLING_STEPS, 1e-9)
        steps = in_whole_epochs(max(LEAST_STEPS, math.ceil(END_TO_END_SECONDS / min(step, firsts[0].again_seconds))),
                                plan.tape)
        window = play_window(player, steps, job.clock)
        check_finite(session.collect().losses)
        return {"samples": window.samples, "seconds": window.seconds, "program": session.program()}
    finally:
        session.close()


def _first_rows(arrays: Arrays, rows: int) -> Arrays:
    weight = arrays.sample_weight
    return Arrays({name: array[:rows] for name, array in arrays.x.items()},
                  {name: array[:rows] for name, array in arrays.y.items()}, None if weight is None else weight[:rows])


def _copied(state: State) -> State:
    """A framework may hand out its own memory."""
    return State({name: np.array(array) for name, array in state.weights.items()},
                 {slot: {name: np.array(array) for name, array in arrays.items()}
                  for slot, arrays in state.slots.items()}, state.iterations)


def or_reason(name: str, found: dict[str, Any] | str) -> dict[str, Any]:
    """The finding under its name, or None and why."""
    return {name: None, f"{name}_reason": found} if isinstance(found, str) else {name: found}


def _tell(job: HalfJob, stage: str, seconds: float) -> None:
    if job.tell is not None:
        job.tell({"stage": stage, "seconds": seconds})
