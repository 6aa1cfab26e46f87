"""A training loop that is played epoch by epoch, and is asked at the end whether it trained at all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# A variant so many times slower than the best so far, by its first steps after compiling, is not looked at any further.
HOPELESS = 4.0
PROBED, EPOCHS = 4, 3


class Loop:
    """train(epochs) trains so many and gives the loss: of the last step, or the mean of the last epoch, as that way of
    training knows it. weights(): the trainable ones. program: in words, what runs. tried: what it was chosen among."""

    def __init__(
        self, program: str, train: Callable[[int], float], weights: Callable[[], list[np.ndarray]],
    ) -> None:
        self.program = program
        self.tried: list[dict[str, Any]] = []
        self._train, self._weights = train, weights
        self._first = [np.array(array) for array in weights()]
        self.losses: list[float] = []

    @property
    def parameters(self) -> int:
        return sum(array.size for array in self._first)

    def train(self, epochs: int) -> None:
        self.losses.append(float(self._train(epochs)))

    def check(self) -> dict[str, Any]:
        """{"parameters", "first_loss", "last_loss", "moved": relative L2 distance of all weights from the first ones,
        "problem": why this was no training, or None}. A compiler that removes the update is caught here."""
        moved, size, still = 0.0, 0.0, 0
        for before, after in zip(self._first, self._weights(), strict=True):
            distance = float(np.linalg.norm(np.asarray(after, np.float64) - before))
            still += distance == 0.0
            moved, size = moved + distance**2, size + float(np.linalg.norm(before)) ** 2
        first, last = self.losses[0], self.losses[-1]
        if not math.isfinite(moved) or not math.isfinite(last):
            problem = "weights or loss are not finite"
        elif still:
            problem = f"{still} of {len(self._first)} trainable weights never changed"
        elif last >= first:
            problem = f"the loss did not fall: {first:.4g}, then {last:.4g}"
        else:
            problem = None
        return {"parameters": self.parameters, "first_loss": first, "last_loss": last,
                "moved": math.sqrt(moved / max(size, 1e-30)), "problem": problem}


# Opens a variant: (a loop, and what plays only the first few steps).
Variant = Callable[[], tuple[Loop, Callable[[int], None]]]


def fastest(variants: Mapping[str, Variant]) -> Loop:
    """The variant whose steady epoch takes the least CPU time, of those that train. RuntimeError where none does."""
    best: Loop | None = None
    best_epoch, best_step = math.inf, math.inf
    tried: list[dict[str, Any]] = []
    for name, variant in variants.items():
        entry: dict[str, Any] = {"program": name, "first_seconds": None, "epoch_cpu_seconds": None, "reason": None}
        tried.append(entry)
        try:
            loop, step, epoch = _paced(variant, entry, best_step)
        except Exception as error:
            first, *_ = [*str(error).strip().splitlines(), ""]
            entry["reason"] = f"{type(error).__name__}: {first[:200]}"
            continue
        if entry["reason"] is None and epoch < best_epoch:
            best, best_epoch, best_step = loop, epoch, step
    if best is None:
        raise RuntimeError("; ".join(f"{entry['program']}: {entry['reason']}" for entry in tried))
    best.tried = tried
    return best


def _paced(variant: Variant, entry: dict[str, Any], best_step: float) -> tuple[Loop, float, float]:
    """(the loop, CPU seconds of a step, of an epoch); entry["reason"] says why it cannot be the best."""
    began = time.perf_counter()
    loop, probe = variant()
    probe(PROBED)
    entry["first_seconds"] = time.perf_counter() - began
    step = _cpu_of(lambda: probe(PROBED), 1) / PROBED
    if step > HOPELESS * best_step:
        entry["reason"] = f"not looked at any further: a step takes {step / best_step:.1f} times the best's"
        return loop, step, math.inf
    loop.train(1)
    epoch = _cpu_of(lambda: loop.train(1), EPOCHS)
    entry["epoch_cpu_seconds"], entry["reason"] = epoch, loop.check()["problem"]
    return loop, step, epoch


def _cpu_of(play: Callable[[], None], times: int) -> float:
    """CPU seconds of one play, the least of several: what is compared is the program, not what came between."""
    found = []
    for _ in range(times):
        began = time.process_time()
        play()
        found.append(time.process_time() - began)
    return min(found)
