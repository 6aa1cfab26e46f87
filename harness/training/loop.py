"""The one loop, for every backend: plays a phase epoch by epoch, times it, measures it, decides when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.backends.contract import Session, State
from harness.errors import CellFailed
from harness.plan.binding import Arrays
from harness.plan.plan import Plan
from harness.records.process import Clock
from harness.spec.recipe import ResolvedPhase, metrics_by_output
from harness.training.early_stopping import BestKeeper, EarlyStopper, direction
from harness.training.metrics import MetricSet

Progress = Callable[[dict[str, Any]], None]
# A window is one call into the session between two readings of the clock; long epochs are cut into
# windows of about this long, so that progress can be shown.
WINDOW_SECONDS = 2.0
FIRST_WINDOW_STEPS = 10


@dataclass
class Window:
    """Steps [start, stop) of the phase in `seconds`. warmup: something was compiled or first allocated."""

    start: int
    stop: int
    seconds: float
    warmup: bool


@dataclass
class PhaseRun:
    """What a phase left. series: column -> one value per step. epochs: Keras's log of each epoch."""

    name: str
    plan_digest: str
    epochs: list[dict[str, Any]] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    best_epoch: int | None = None
    restored_best: bool = False
    stopped_early: bool = False
    program: str = ""
    first_step_seconds: float = 0.0
    losses: list[np.ndarray] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return self.windows[-1].stop if self.windows else 0


class PhaseLoop:
    """Runs one phase. clock: seconds, monotonic; progress: called with an event about once a window."""

    def __init__(
        self, session: Session, plan: Plan, phase: ResolvedPhase, train: Arrays, validation: Arrays | None,
        clock: Clock = time.perf_counter, progress: Progress | None = None,
    ) -> None:
        self.session, self.plan, self.phase = session, plan, phase
        self.train, self.validation = train, validation
        self.clock, self.progress = clock, progress
        self.run = PhaseRun(plan.name, plan.digest)
        self.metrics = metric_sets(plan, phase)
        self.seen_sizes: set[int] = set()
        self.best: State | None = None
        known = {name: metric for item in self.metrics.values() for name, metric in item.metrics.items()}
        stopping = phase.early_stopping
        self.stopper = stopping and EarlyStopper(stopping, direction(stopping.monitor, stopping.mode, known))
        self.keeper = phase.keep_best and BestKeeper(phase.keep_best, direction(phase.keep_best, "auto", known))

    def __call__(self) -> PhaseRun:
        for epoch, (start, stop) in enumerate(self.plan.tape.epoch_bounds()):
            log = self._epoch(epoch, start, stop)
            if self._decide(epoch, log):
                self.run.stopped_early = stop < len(self.plan.tape)
                break
        if self.plan.optimizer.use_ema:
            self.session.finish()
        self._restore()
        self.run.program = self.session.program()
        return self.run

    def _epoch(self, epoch: int, start: int, stop: int) -> dict[str, Any]:
        before = len(self.run.windows)
        for begin, end in self._windows(start, stop):
            self._window(begin, end)
            self._tell(epoch, end)
        played = self.session.collect()
        self._check(played.losses, start)
        self.run.losses.append(played.losses)
        sizes = self.plan.tape.sizes[start:stop]
        log: dict[str, Any] = {"epoch": epoch + 1, "loss": float((played.losses * sizes).sum() / sizes.sum())}
        if played.parts is not None:
            # Not weighted by the batches' sizes: inside of Keras's graph a batch's size is not known.
            means = played.parts.mean(axis=0)
            log |= {f"{output.name}_loss": float(mean) for output, mean in zip(self.plan.outputs, means, strict=True)}
        if played.outputs is not None:
            rows = self.plan.tape.indices[start:stop]
            log |= self._measured(played.outputs, self.train, rows[rows >= 0])
        log["seconds"] = sum(window.seconds for window in self.run.windows[before:])
        log["learning_rate"] = float(self.plan.tape.learning_rates[stop - 1])
        if self.validation is not None:
            assert self.phase.batch_size is not None
            loss, outputs = self.session.evaluate(self.validation, self.phase.batch_size)
            measured = self._measured(outputs, self.validation)
            log["val_loss"] = loss
            if len(self.plan.outputs) > 1:
                log |= {f"val_{name}_loss": part for name, part in self.session.part_losses.items()}
            log |= {f"val_{name}": value for name, value in measured.items()}
        self.run.epochs.append(log)
        return log

    def _windows(self, start: int, stop: int) -> Any:
        """Cuts [start, stop): the first step of each batch size alone (it compiles), then stretches of about
        WINDOW_SECONDS by the pace so far."""
        while start < stop:
            size = int(self.plan.tape.sizes[start])
            if size not in self.seen_sizes:
                end = start + 1
            elif len(self.seen_sizes) and not self._pace():
                end = min(stop, start + FIRST_WINDOW_STEPS)
            else:
                end = min(stop, start + max(1, int(self._pace() * WINDOW_SECONDS)))
            for place in range(start, end):
                # A size that was not played yet ends the window before it.
                if place > start and int(self.plan.tape.sizes[place]) not in self.seen_sizes:
                    end = place
                    break
            yield start, end
            start = end

    def _pace(self) -> float:
        """Steps per second over the latest window after warm-up, 0 before there is one."""
        steady = next((window for window in reversed(self.run.windows) if not window.warmup), None)
        return 0.0 if steady is None else (steady.stop - steady.start) / max(steady.seconds, 1e-9)

    def _window(self, start: int, stop: int) -> None:
        sizes = {int(size) for size in self.plan.tape.sizes[start:stop]}
        warmup = not sizes <= self.seen_sizes
        self.session.wait()
        began = self.clock()
        self.session.train(start, stop)
        self.session.wait()
        seconds = self.clock() - began
        self.seen_sizes |= sizes
        if not self.run.windows:
            self.run.first_step_seconds = seconds
        self.run.windows.append(Window(start, stop, seconds, warmup))

    def _check(self, losses: np.ndarray, start: int) -> None:
        bad = np.nonzero(~np.isfinite(losses))[0]
        if len(bad):
            step = start + int(bad[0])
            raise CellFailed("nan_loss", f"the loss became {losses[bad[0]]} at step {step} of phase {self.plan.name!r} "
                                         f"(learning rate {self.plan.tape.learning_rates[step]:.3g}).")

    def _measured(self, outputs: tuple[np.ndarray, ...], arrays: Arrays, rows: Any = ...) -> dict[str, float]:
        for metrics in self.metrics.values():
            metrics.reset()
        return measured(self.plan, self.metrics, outputs, arrays, rows)

    def _decide(self, epoch: int, log: dict[str, Any]) -> bool:
        """Keeps the best weights, and says whether training ends here."""
        stop = False
        if self.stopper:
            decision = self.stopper.epoch_end(epoch, log)
            stop = decision.stop
            if decision.keep and self.stopper.spec.restore_best_weights:
                self.best = self.session.state()
        if self.keeper and self.keeper.epoch_end(epoch, log):
            self.best = self.session.state()
        return stop

    def _restore(self) -> None:
        """Puts the best weights back where the recipe wants them; the optimizer's slots stay the last ones'."""
        restores = self.keeper or (self.stopper and self.stopper.restores_best_weights)
        chooser = self.keeper or self.stopper
        if chooser and chooser.best_epoch is not None:
            self.run.best_epoch = chooser.best_epoch + 1
        if restores and self.best is not None:
            last = self.session.state()
            self.session.load(State(self.best.weights, last.slots, last.iterations))
            self.run.restored_best = True

    def _tell(self, epoch: int, step: int) -> None:
        if self.progress is None:
            return
        sizes = self.plan.tape.sizes
        window = self.run.windows[-1]
        examples = int(sizes[window.start:window.stop].sum())
        last = self.run.epochs[-1] if self.run.epochs else {}
        self.progress({
            "event": "step", "phase": self.plan.name, "epoch": epoch + 1,
            "epochs": int(self.plan.tape.epochs[-1]) + 1, "step": step, "steps": len(self.plan.tape),
            "loss": last.get("loss"), "samples_per_second": examples / max(window.seconds, 1e-9),
        })


def metric_sets(plan: Plan, phase: ResolvedPhase) -> dict[str, MetricSet]:
    """Output name -> its metrics, their names prefixed where the model has several outputs, as Keras does."""
    names = [output.name for output in plan.outputs]
    metrics = metrics_by_output(phase.metrics or (), names)
    weighted = metrics_by_output(phase.weighted_metrics or (), names, "weighted_metrics")
    return {name: MetricSet(metrics[name], name if len(names) > 1 else None, weighted[name]) for name in names}


def measured(
    plan: Plan, metrics: Mapping[str, MetricSet], outputs: tuple[np.ndarray, ...], arrays: Arrays,
    rows: Any = ...,
) -> dict[str, float]:
    """What the metrics say of the outputs for these rows of a split (all: `...`)."""
    results: dict[str, float] = {}
    weight = None if arrays.sample_weight is None else arrays.sample_weight[rows]
    for output, predicted in zip(plan.outputs, outputs, strict=True):
        metrics[output.name].update(arrays.y[output.name][rows], predicted, weight)
        results |= metrics[output.name].result()
    return results
