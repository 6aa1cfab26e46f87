"""What a backend read back that is not the plan: first weights, what is trained, batches, rates, random keys."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.certify.causes.evidence import TITLES, Cause, Evidence, Signature, close


def _told(evidence: Evidence) -> tuple[str, str, Any]:
    """(the backend's title, what it read back, its array)."""
    assert evidence.steps is not None
    backend, _, what = evidence.finding.what.partition(": ")
    side = evidence.steps.reference if backend == "tensorflow" else evidence.steps.other
    return TITLES[backend], what, side.get(what)


def trained(evidence: Evidence) -> Cause | None:
    """A weight that one side updates and the plan does not, or the reverse."""
    title, what, found = _told(evidence)
    if not what.startswith("multiplier "):
        return None
    name = what.removeprefix("multiplier ")
    planned = next((item for item in evidence.plan.variables if item.name == name), None)
    if found is None:
        return Cause(f"{name} is trained by the plan and not by {title}",
                     f"Make {name} trainable (requires_grad, and in the optimizer's parameters).")
    if planned is None or not planned.trainable:
        return Cause(f"{name} is frozen by the plan and trained by {title}",
                     f"Freeze it: requires_grad_(False), or leave it out of the optimizer ({name}).")
    return Cause(f"{title} multiplies the learning rate of {name} by {float(found):g}, the plan by "
                 f"{planned.multiplier:g}", "Set the parameter group's learning rate.")


def first_weights(evidence: Evidence) -> Cause | None:
    """First weights that are the plan's in another arrangement, or not the plan's at all."""
    title, what, found = _told(evidence)
    if not what.startswith("start ") or found is None:
        return None
    name = what.removeprefix("start ")
    assert evidence.steps is not None
    other = evidence.steps.other if title == TITLES["tensorflow"] else evidence.steps.reference
    wanted = np.asarray(other[what], np.float64)
    found = np.asarray(found, np.float64)
    if found.ndim == 2 and close(found, wanted.T):
        return Cause(f"{name} is transposed in {title}",
                     "A Dense kernel is (in, out) in Keras and (out, in) in torch: transpose it, square ones as well.")
    if found.shape == wanted.shape and close(np.sort(found, None), np.sort(wanted, None)):
        return Cause(f"{name} holds the right numbers in another order in {title}",
                     "Look at the order of axes or of gates in which the weight is copied.")
    if not found.any():
        return Cause(f"{name} starts at zero in {title}", "Load the plan's first weights.")
    if evidence.finding.phase and evidence.plan.name:
        return Cause(f"{name} does not begin with the weights of the plan in {title}: it was not loaded, not drawn "
                     "anew, or drawn by another rule", "Load the first weights; draw a replaced head anew.")
    return None


def setting(evidence: Evidence) -> Cause | None:
    """A number of the optimizer."""
    title, what, found = _told(evidence)
    if not what.startswith("setting ") or found is None:
        return None
    name = what.removeprefix("setting ")
    return Cause(f"{name} is {float(found):g} in {title} and {float(getattr(evidence.plan.optimizer, name)):g} in the "
                 "plan", f"Give the optimizer {name}={float(getattr(evidence.plan.optimizer, name)):g}.")


def batches(evidence: Evidence) -> Cause | None:
    """The batches that a backend plays are not the plan's."""
    title, what, found = _told(evidence)
    if what != "indices" or found is None:
        return None
    wanted, step = evidence.plan.tape.indices, evidence.finding.step
    if found.shape != wanted.shape:
        return Cause(f"{title} plays {len(found)} batches, the plan has {len(wanted)}", "Look at drop_last.")
    ours, theirs = found[step][found[step] >= 0], wanted[step][wanted[step] >= 0]
    place = f"from step {step + 1} on"
    if len(ours) != len(theirs):
        return Cause(f"the batch of step {step + 1} has {len(ours)} examples in {title}, {len(theirs)} in the plan",
                     "Look at the last, partial batch of an epoch: drop_last differs.")
    if np.array_equal(np.sort(ours), np.sort(theirs)):
        return Cause(f"{place} the examples of a batch stand in another order in {title}", "Use one order.")
    if step and np.array_equal(found[step], found[step - 1]):
        return Cause(f"{title} plays the batch of step {step} twice", "Look at the loop that draws batches.")
    epochs = evidence.plan.tape.epochs
    if step and epochs[step] != epochs[step - 1]:
        return Cause(f"{place} (epoch {int(epochs[step]) + 1}) {title} shuffles otherwise",
                     "Shuffle every epoch from the seed of the plan.")
    return Cause(f"{place} {title} takes other examples", "Play the tape's indices.")


def gathered(evidence: Evidence) -> Cause | None:
    """The batch that was gathered is not the one of the tape."""
    if not evidence.finding.what.startswith("data ") or evidence.steps is None:
        return None
    name, step = evidence.finding.what, evidence.finding.step
    a, b = evidence.steps.reference.get(name), evidence.steps.other.get(name)
    if a is None or b is None:
        missing = "Keras" if a is None else "PyTorch"
        return Cause(f"{name.removeprefix('data ')} does not reach the step in {missing}",
                     "Hand it to the loss (sample and class weights are easily left behind).")
    if len(a) != len(b):
        return Cause(f"the batch of step {step + 1} has {len(a)} examples in Keras and {len(b)} in PyTorch",
                     "Look at the last, partial batch of an epoch: drop_last differs.")
    if close(np.sort(np.asarray(a, np.float64), 0), np.sort(np.asarray(b, np.float64), 0), 1e-12):
        return Cause("the same examples stand in another order", "Play the tape's indices in their order.")
    epochs = evidence.plan.tape.epochs
    if step and epochs[step] != epochs[step - 1]:
        return Cause(f"the batches differ from epoch {int(epochs[step]) + 1} on: one side shuffles otherwise",
                     "Shuffle every epoch from the seed of the plan.")
    return Cause("one side is given other examples", "A batch may be repeated, left out, or drawn from another order.")


def rates(evidence: Evidence) -> Cause | None:
    """Learning rates of the plan, one step early or late, or other ones."""
    if evidence.steps is None:
        return None
    wanted = evidence.plan.tape.learning_rates
    step = evidence.finding.step
    for title, deviant, sound in evidence.sides():
        used = deviant.get("learning rate")
        if used is not None and abs(float(used) - wanted[step]) > 1e-6 * abs(wanted[step]) \
                and "learning rate" in sound:
            return _rate(title, float(used), wanted, step)
        told = deviant.get("learning_rates")
        if told is not None and told.shape == wanted.shape and not np.allclose(told, wanted, rtol=1e-6, atol=0):
            at = int(np.argmax(np.abs(told - wanted) > 1e-6 * np.abs(wanted)))
            return _rate(title, float(told[at]), wanted, at)
    return None


def _rate(title: str, used: float, wanted: np.ndarray, step: int) -> Cause:
    for shift, word in ((1, "early"), (-1, "late")):
        if 0 <= step + shift < len(wanted) and abs(used - wanted[step + shift]) <= 1e-6 * abs(used) \
                and wanted[step + shift] != wanted[step]:
            return Cause(f"{title} is one step {word} in the schedule: {used:.6g} at step {step + 1}, where the plan "
                         f"has {wanted[step]:.6g}", "Read the schedule before the step is counted, as Keras does.")
    return Cause(f"{title} uses the learning rate {used:.6g} at step {step + 1}, the plan {wanted[step]:.6g}",
                 "Use the schedule of the plan.")


def keys(evidence: Evidence) -> Cause | None:
    """Random bits that are not the tape's."""
    layer = evidence.finding.layer
    return Cause(f"{layer or 'a layer'} draws other random numbers in one framework: its seed or key is another",
                 "Draw from the tape's key of that call.")


SIGNATURES: tuple[Signature, ...] = (trained, first_weights, setting)
DATA: tuple[Signature, ...] = (batches, gathered)
SCHEDULE: tuple[Signature, ...] = (rates,)
RANDOM: tuple[Signature, ...] = (keys,)
