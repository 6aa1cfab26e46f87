"""What a timed window cannot be: faster than the machine, without a finite loss, without a training in it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.errors import CellFailed
from harness.plan.plan import Plan
from harness.spec.model import ModelSpec

# A ceiling is measured too, or a data sheet's; and Winograd's convolutions multiply 2.25 times less than counted.
SLACK, WINOGRAD = 1.1, 2.25


def impossible(flops_per_step: float | None, steps: float, seconds: float, ceiling: float | None,
               slack: float = SLACK) -> str | None:
    """Why this cannot have happened, None if it can or if the ceiling (FLOP/s) is not known.

    flops_per_step: of a full batch. steps: full batches, a partial one as the part that it is.
    """
    if not flops_per_step or not ceiling:
        return None
    reached = flops_per_step * steps / seconds if seconds > 0 else float("inf")
    if reached <= slack * ceiling:
        return None
    return (f"missing barrier or skipped work: {steps:.0f} steps in {seconds:.3g} s are {reached:.3g} FLOP/s, "
            f"{reached / ceiling:.3g} times what this device can do ({ceiling:.3g}).")


def slack_of(spec: ModelSpec) -> float:
    """By how much a model may seem to exceed the ceiling."""
    convolves = any("Conv" in type(layer).__name__ for layer in spec.layers.values())
    return SLACK * (WINOGRAD if convolves else 1.0)


def check_finite(losses: np.ndarray) -> None:
    """Raises CellFailed("nan_loss") for a loss that is not a number."""
    bad = losses[~np.isfinite(losses)]
    if len(bad):
        raise CellFailed("nan_loss", f"the loss became {bad[0]}: what was timed is not a training.")


def check_update(
    plan: Plan, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], losses: np.ndarray,
) -> None:
    """Raises CellFailed("no_update") if nothing was learned while the clock ran: all losses are one number, or none of
    the weights that the optimizer updates has moved. before, after: the weights, by name."""
    if not plan.trainable or not plan.tape.learning_rates.any():
        return
    if not any(not np.array_equal(before[variable.name], after[variable.name]) for variable in plan.trainable):
        raise CellFailed("no_update", "no weight changed in the timed window: the update was not played, or a compiler "
                                      "took it for useless.")
    if len(losses) > 1 and bool(np.all(losses == losses[0])):
        raise CellFailed("no_update", f"all {len(losses)} losses of the timed window are {losses[0]:g}: what was timed "
                                      "is not a training.")
