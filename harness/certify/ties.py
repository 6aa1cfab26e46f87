"""Where rounding decides an update.

An optimizer that takes the sign of its momentum moves a weight by a whole step, one way or the other, where that
momentum is zero but for rounding: from there on two trainings part, although they mean the same.
"""

from __future__ import annotations

import numpy as np

from harness.certify.rungs import Pair
from harness.plan.plan import Plan

# Optimizers that take a sign, and the slot that it is taken of (Lion: Chen et al. 2023, https://arxiv.org/abs/2302.06675).
SIGN_OF = {"Lion": "momentum"}
# A momentum below this part of the model's largest is rounding, in float64.
ROUNDING = 1e-10
# Updates differ where they are further apart than this part of the larger one: a sign is off by twice the update.
APART = 1e-3


def tied_updates(plan: Plan, step: Pair) -> dict[str, int]:
    """Weight -> in how many of its elements the update of a traced step was decided by rounding; {} where an update
    differs for any other reason, or none does."""
    slot = SIGN_OF.get(type(plan.optimizer).__name__)
    if slot is None:
        return {}
    names = [variable.name for variable in plan.trainable]
    momenta = {name: [np.abs(side[f"slot {slot} {name}"]) for side in (step.reference, step.other)] for name in names}
    scale = max((float(sides[0].max(initial=0.0)) for sides in momenta.values()), default=0.0)
    found = {}
    for name in names:
        ours, theirs = step.other[f"change {name}"], step.reference[f"change {name}"]
        differ = np.abs(ours - theirs) > APART * np.maximum(np.abs(ours), np.abs(theirs))
        if not differ.any():
            continue
        if any((momentum[differ] > ROUNDING * scale).any() for momentum in momenta[name]):
            return {}
        found[name] = int(differ.sum())
    return found
