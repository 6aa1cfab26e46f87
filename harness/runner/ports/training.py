"""R2's further checks: the user's own loss, optimizer and training step, where they are given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.backends.pytorch.ports.training import compare_losses, compare_optimizers, setting_differences, watch_step
from harness.certify.certificate import Difference
from harness.certify.ports.causes import PortCause
from harness.certify.ports.formulas import close, factor
from harness.certify.ports.plan import PlanCheck

if TYPE_CHECKING:
    from harness.runner.ports.pupil import Pupil

LIMIT = 1e-9
STEPS = 50
Found = Iterator[tuple[PlanCheck, PortCause | None]]


def training_checks(pupil: Pupil, session: Any) -> Found:
    """(check, the cause of its failure) of everything of the user's that was given."""
    if loss := pupil.own("loss"):
        yield from _loss(pupil, session, loss)
    if step := pupil.own("step"):
        yield from _step(pupil, session, step)
    if make := pupil.own("optimizer"):
        yield from _optimizer(pupil, session, make)


def _check(part: str, what: str, difference: float, weight: str | None = None) -> PlanCheck:
    layer = None if weight is None else weight.rpartition("/")[0]
    return PlanCheck(part, what, layer, weight, Difference(what, difference, LIMIT))


def _loss(pupil: Pupil, session: Any, loss: Any) -> Found:
    function = loss() if isinstance(loss, type) else loss
    found = compare_losses(session, pupil.start, function)
    ours, theirs = found["ours"], found["theirs"]
    cause = None
    size = int(session.plan.tape.sizes[0])

    def near(a: float, b: float) -> bool:
        return abs(a - b) <= 1e-9 * max(abs(b), 1e-9)

    given = pupil.network.given_as.get(pupil.spec.outputs[0], "same")
    if "of logits" in found and near(found["of logits"], ours) and given == "same":
        cause = PortCause("softmax twice", "the port gives probabilities and the loss takes logits: it applies softmax "
                          "a second time", "leave the softmax out of the forward, or use NLLLoss of the logarithm")
    elif near(found.get("of probabilities", np.nan), ours) and given != "same":
        cause = PortCause("missing softmax", "the port gives logits and the loss takes probabilities",
                          "use CrossEntropyLoss, or apply the softmax")
    elif near(theirs, ours * size):
        cause = PortCause("loss sum", "the loss is the sum over the batch, Keras's the mean", "reduction='mean'")
    yield _check("loss", "your loss", abs(theirs - ours) / max(abs(ours), 1e-12)), cause


def _step(pupil: Pupil, session: Any, step: Any) -> Found:
    found = watch_step(session, pupil.start, step)
    counts = found["calls"]
    yield _check("update", "your step: updates per batch", float(counts != [1, 1])), PortCause(
        "updates per batch", f"your step calls optimizer.step() {counts[0]} times for the first batch and {counts[1]} "
        "for the second", "call it once per batch")
    if 0 in counts:
        return
    wrong = [index for index, mode in enumerate(found["training"]) if not mode]
    yield _check("forward", "your step: training mode", float(bool(wrong))), PortCause(
        "forgotten train()", "the module is in inference mode while your step trains it: dropout is off and batch "
        "normalization uses its moving averages", "call net.train() at the beginning of the step")
    if wrong:
        return
    for place, other in (("first", None), ("second", "first")):
        for name, wanted in found[f"own {place}"].items():
            ours = found[place][name]
            far = float(np.abs(ours - wanted).max(initial=0.0))
            size = max(float(np.abs(item).max(initial=0.0)) for item in found[f"own {place}"].values()) * 1e-3
            far /= max(float(np.abs(wanted).max(initial=0.0)), size, 1e-300)
            cause = None
            scale = factor(ours, wanted)
            if other is not None and close(ours, wanted + found[other][name]):
                cause = PortCause("gradients not cleared", "the gradients of the batch before are still there",
                                  "call optimizer.zero_grad() in every step")
            elif scale is not None:
                cause = PortCause("scaled gradient", f"your step's gradients are {scale:.6g} times Keras's: the loss "
                                  "is a sum, or the regularisation is missing", "use the mean over the batch")
            yield _check("backward", f"your step: gradient of {name}, {place} batch", far, name), cause


def _optimizer(pupil: Pupil, session: Any, make: Any) -> Found:
    figures, plain = compare_optimizers(session, pupil.start, pupil.twin(), make, min(STEPS, len(session.plan.tape)))
    found = setting_differences(session.plan.optimizer, plain)
    own = type(session.plan.optimizer).__name__
    suspects = tuple(f"{name}: {ours} | {theirs}" for name, ours, theirs in found)
    if found:
        name, ours, theirs = found[0]
        cause = PortCause(f"optimizer {name}", f"{name} is {ours} in Keras's {own} and {theirs} in the port's "
                          f"{plain['class']}", f"set it to {ours}", suspects=suspects)
    elif own in ("Adam", "AdamW", "Nadam", "Adamax"):
        cause = PortCause("epsilon form", "Keras adds epsilon to the root before the bias correction, torch behind it: "
                          "the same epsilon is another number in the first steps", "accept it, or divide epsilon by "
                          "the root of 1 - beta_2^t")
    else:
        cause = PortCause("optimizer", f"{plain['class']} updates otherwise than Keras's {own}", "compare their rules")
    for name, value in figures.items():
        step, _, weight = name.partition(" ")
        yield _check("update", f"your optimizer: {weight} after {step} steps", float(value), weight), cause
