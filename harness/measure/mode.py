"""Does a session train? Read off what one of its steps does: no framework says of a whole step in which mode it is."""

from __future__ import annotations

import numpy as np

from harness.backends.contract import Session
from harness.plan.binding import Arrays
from harness.plan.plan import Plan

MOVING = ("moving_mean", "moving_variance")
# A loss with dropout is not the loss without it; two float32 sums of the same terms agree to about 1e-7.
SAME_LOSS = 1e-6


def mode_of(session: Session, plan: Plan, data: Arrays, step: int = 0) -> str:
    """Plays one step of the tape, as a part of warm-up, and says what it did: "training", "inference" (dropout left the
    loss as it is without, or moving averages stood still) or "no update". data: what the session was opened with.

    It costs two reads of the weights, and with random layers the evaluation of one batch.
    """
    rows = session.readback()["indices"][step]
    batch = _rows(data, rows[rows >= 0])
    without = session.evaluate(batch, len(batch))[0] if plan.stochastic else None
    session.collect()
    before = session.state()
    # A framework may hand out its own memory.
    weights = {name: np.array(array) for name, array in before.weights.items()}
    session.train(step, step + 1)
    session.wait()
    loss, after = float(session.collect().losses[-1]), session.state()
    names = [variable.name for variable in plan.trainable]
    still = all(np.array_equal(weights[name], after.weights[name]) for name in names)
    # An optimizer that accumulates gradients counts a step at which no weight moves.
    if still and after.iterations == before.iterations:
        return "no update"
    if without is not None and abs(loss - without) <= SAME_LOSS * max(abs(without), 1e-30):
        return "inference"
    moving = [variable.name for variable in plan.variables
              if variable.role in MOVING and plan.spec.layers[variable.layer].trainable]
    if moving and all(np.array_equal(weights[name], after.weights[name]) for name in moving):
        return "inference"
    return "training"


def _rows(data: Arrays, rows: np.ndarray) -> Arrays:
    weight = None if data.sample_weight is None else data.sample_weight[rows]
    return Arrays({name: array[rows] for name, array in data.x.items()},
                  {name: array[rows] for name, array in data.y.items()}, weight)
