"""Early stopping and the choice of the best epoch: Keras's logic, decided once for both backends.

Source: keras/src/callbacks/early_stopping.py and monitor_callback.py (3.15.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.errors import SpecError, did_you_mean
from harness.spec.metrics import Metric
from harness.spec.recipe import EarlyStopping

Mode = Literal["min", "max"]


def direction(monitor: str, mode: str, metrics: Mapping[str, Metric]) -> Mode:
    """Whether less or more of `monitor` is better.

    mode: "min", "max" or "auto". metrics: {reported name: metric}. Raises SpecError where "auto" cannot know.
    """
    if mode in ("min", "max"):
        return "min" if mode == "min" else "max"
    name = monitor.removeprefix("val_")
    if name == "loss" or name.endswith("_loss"):
        return "min"
    if name in metrics:
        return "max" if metrics[name].direction == "up" else "min"
    raise SpecError(
        f"cannot tell whether {monitor!r} should be small or large.",
        hint=f"Give mode: min or mode: max. {did_you_mean(monitor, ['loss', 'val_loss', *metrics])}",
    )


def monitored(monitor: str, log: Mapping[str, float]) -> float:
    """The log's entry. Raises SpecError if there is none (Keras only warns, and then never stops)."""
    if monitor not in log:
        raise SpecError(f"the epoch's log has no {monitor!r} to monitor.", hint=did_you_mean(monitor, log))
    return log[monitor]


def improves(current: float, reference: float | None, mode: Mode, min_delta: float = 0.0) -> bool:
    """Keras's comparison: strict, NaN never improves, anything improves on nothing."""
    if reference is None:
        return True
    if mode == "min":
        return current + abs(min_delta) < reference
    return current - abs(min_delta) > reference


@dataclass(frozen=True)
class Decision:
    """What an epoch's end asks for. keep: these weights are the best so far. stop: end the phase here."""

    keep: bool = False
    stop: bool = False


@dataclass
class EarlyStopper:
    """Keras's EarlyStopping callback without the model.

    `epoch_end(epoch, log)` returns what to do: `keep` (these weights are the best so far: take them) and `stop`.
    Epochs count from 0. At the end of training the weights of `best_epoch` are restored if
    `restores_best_weights`, whether or not training was stopped early.
    """

    spec: EarlyStopping
    mode: Mode
    wait: int = 0
    best: float | None = None
    best_epoch: int | None = None
    stopped_epoch: int | None = None
    _kept: bool = field(default=False, repr=False)

    @property
    def restores_best_weights(self) -> bool:
        return self.spec.restore_best_weights and self._kept

    def epoch_end(self, epoch: int, log: Mapping[str, float]) -> Decision:
        current = monitored(self.spec.monitor, log)
        if epoch < self.spec.start_from_epoch:
            return Decision()
        # Keras takes the first epoch's weights even where the monitor is NaN.
        keep = not self._kept
        if keep:
            self.best_epoch, self._kept = epoch, True
        self.wait += 1
        if improves(current, self.best, self.mode, self.spec.min_delta):
            self.best, self.best_epoch = current, epoch
            baseline = self.spec.baseline
            if baseline is None or improves(current, baseline, self.mode, self.spec.min_delta):
                self.wait = 0
            return Decision(keep=True)
        if self.wait >= self.spec.patience and epoch > 0:
            self.stopped_epoch = epoch
            return Decision(keep=keep, stop=True)
        return Decision(keep=keep)


@dataclass
class BestKeeper:
    """`keep_best`: ModelCheckpoint(save_best_only=True) of Keras: strict improvement, NaN never improves."""

    monitor: str
    mode: Mode
    best: float | None = None
    best_epoch: int | None = None

    def epoch_end(self, epoch: int, log: Mapping[str, float]) -> bool:
        """Whether the weights at the end of this epoch (from 0) are the best so far."""
        current = monitored(self.monitor, log)
        if current != current or not improves(current, self.best, self.mode):
            return False
        self.best, self.best_epoch = current, epoch
        return True
