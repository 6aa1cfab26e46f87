"""Mistakes in the loss and in what is added to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_softmax

from harness.certify.causes.evidence import Cause, Evidence, Signature, close, common_factor, factor, number
from harness.certify.rungs import Arrays
from harness.plan.masking import may_be_masked
from harness.spec.order import execution_order


def summed_or_averaged(evidence: Evidence) -> Cause | None:
    """A loss that is a multiple of the other's by the batch size, or by any number."""
    assert evidence.steps is not None
    size = int(evidence.plan.tape.sizes[evidence.finding.step])
    for title, deviant, sound in evidence.sides():
        c = float(deviant["loss"]) / float(sound["loss"])
        of_tensors = _of_tensors(evidence, deviant, sound)
        if of_tensors is not None and abs(of_tensors - size) < 1e-6 * size:
            return Cause(f"{title} sums the loss over the batch, the model averages it", "Use reduction='mean'.")
        weights = evidence.steps.reference.get("data sample_weight")
        if weights is not None and abs(c - size / float(np.sum(weights))) < 1e-6 * abs(c):
            return Cause(f"{title} divides the weighted losses by the sum of the weights",
                         "Keras divides them by the number of examples.")
        if abs(c - size) < 1e-6 * size:
            return Cause(f"{title} sums the loss over the batch, the model averages it", "reduction='mean'.")
        gradient = _of_gradients(evidence, deviant, sound)
        if abs(c - 1) > 1e-9 and gradient is not None and abs(gradient - c) < 1e-6 * abs(c):
            return Cause(f"loss and gradients of {title} are {number(c)} times the other's",
                         "Look at the loss's weight, at means over masked or weighted examples, and at loss scaling.")
        if abs(c - 1) < 1e-9 and gradient is not None:
            return Cause(f"the gradients of {title} are {number(gradient)} times the other's, the loss is the same",
                         "Look at what scales gradients: loss scaling that is not undone, division by the batch size.")
    return None


def _of_tensors(evidence: Evidence, deviant: Arrays, sound: Arrays) -> float | None:
    """The factor between the gradients of the last tensor that the loss reaches, before any penalty does."""
    order = [node.name for node in execution_order(evidence.plan.spec)]
    last = next((name for name in reversed(order) if np.any(sound.get(f"gradient {name}", 0.0))), None)
    return None if last is None else factor(deviant[f"gradient {last}"], sound[f"gradient {last}"])


def _of_gradients(evidence: Evidence, deviant: Arrays, sound: Arrays) -> float | None:
    names = [f"weight gradient {item.name}" for item in evidence.plan.trainable]
    return common_factor([(deviant[name], sound[name]) for name in names])


def penalty(evidence: Evidence) -> Cause | None:
    """The gradients differ by a multiple of the weight, or of its sign: a regularizer."""
    assert evidence.steps is not None
    weight = evidence.finding.weight
    names = [weight] if weight else [item.name for item in evidence.plan.trainable]
    for name in names:
        w = np.asarray(evidence.steps.reference[f"start {name}"], np.float64)
        key = f"weight gradient {name}"
        for title, deviant, sound in evidence.sides():
            difference = np.asarray(deviant[key], np.float64) - np.asarray(sound[key], np.float64)
            if not difference.any():
                continue
            for what, direction in (("2 l2 w", 2 * w), ("l1 sign(w)", np.sign(w))):
                c = factor(difference, direction, 1e-5)
                if c is not None:
                    return Cause(f"the penalty of {name} is another: {title} has {c:+.3g} in {what} more",
                                 "torch has no kernel_regularizer: add l2 * sum(w²) to the loss; weight_decay adds "
                                 "half of its gradient, to biases too.")
    return None


def smoothed(evidence: Evidence) -> Cause | None:
    """Label smoothing that one side leaves out shows in the gradient of the last layer: its mean over the classes
    stays 0, its size does not."""
    smoothing = [getattr(output.loss, "label_smoothing", 0.0) for output in evidence.plan.outputs]
    if any(smoothing):
        return Cause("the losses differ, and this one smooths its labels: one side may smooth otherwise or not at all",
                     f"label_smoothing={max(smoothing):g} mixes the targets with 1 / classes.")
    return None


def weighted(evidence: Evidence) -> Cause | None:
    """Sample weights that one side ignores."""
    assert evidence.steps is not None
    if "data sample_weight" not in evidence.steps.reference:
        return None
    return Cause("the losses differ, and the examples are weighted: one side may ignore the weights, or divide by "
                 "their sum", "Keras divides the weighted losses by the number of examples.")


def activity(evidence: Evidence) -> Cause | None:
    """Losses that differ by a multiple of what the activity regularizers add."""
    assert evidence.steps is not None
    reference = evidence.steps.reference
    added = 0.0
    for node in evidence.plan.spec.nodes:
        for penalty_ in evidence.plan.spec.layers[node.layer].activity_penalties:
            l1, l2 = penalty_.factors()
            y = np.asarray(reference[f"forward {node.name}"], np.float64)
            added += float(l1 * np.abs(y).sum() + l2 * np.square(y).sum()) / len(y)
    if not added:
        return None
    c = (float(evidence.steps.other["loss"]) - float(reference["loss"])) / added
    times = round(c, 3)
    return Cause(f"the losses differ by {times:+g} times what the activity regularizers add",
                 "Keras adds the penalty of an output divided by the batch size, once per call.") \
        if abs(c - times) < 1e-5 and times else None


def twice(evidence: Evidence) -> Cause | None:
    """A cross-entropy from logits that is given probabilities."""
    assert evidence.steps is not None
    for output in evidence.plan.outputs:
        if not type(output.loss).__name__.endswith("CategoricalCrossentropy"):
            continue
        y = np.asarray(evidence.steps.reference[f"forward {output.node}"], np.float64)
        targets = np.asarray(evidence.steps.reference[f"data y {output.name}"])
        hot = targets if targets.shape == y.shape else np.eye(y.shape[-1])[targets.reshape(y.shape[:-1]).astype(int)]
        wrong = float(-(hot * log_softmax(y, axis=-1)).sum(-1).mean())
        for title, deviant, _ in evidence.sides():
            found = float(deviant.get(f"loss part {output.name}", deviant["loss"]))
            if abs(found - wrong) < 1e-6 * abs(wrong):
                return Cause(f"{title} takes the softmax twice: its loss takes logits and is given probabilities",
                             "torch's CrossEntropyLoss takes logits: leave the softmax out, or use NLLLoss of the log.")
    return None


def masked(evidence: Evidence) -> Cause | None:
    """Losses of an output that carries a mask."""
    outputs = [output.name for output in evidence.plan.outputs if may_be_masked(evidence.plan.spec, output.node)]
    unlike = _unlike(evidence)
    found = [name for name in outputs if not unlike or name in unlike]
    if not found:
        return None
    return Cause(f"the losses of {', '.join(found)} differ, whose steps are masked: one side may count all steps, or "
                 "divide by their number", "Keras divides the sum over the steps that count by their number.")


def huber(evidence: Evidence) -> Cause | None:
    """A Huber loss with another delta."""
    assert evidence.steps is not None
    weights = evidence.steps.reference.get("data sample_weight")
    for output in evidence.plan.outputs:
        loss: Any = output.loss
        if type(loss).__name__ != "Huber":
            continue
        error = np.abs(np.asarray(evidence.steps.reference[f"forward {output.node}"], np.float64)
                       - np.asarray(evidence.steps.reference[f"data y {output.name}"], np.float64))
        for delta in (1.0, 0.5, 2.0, 1.345, 0.1, 10.0):
            each = np.where(error <= delta, 0.5 * error**2, delta * (error - 0.5 * delta)).mean(-1)
            value = float((each if weights is None else each * np.asarray(weights)).mean())
            for title, deviant, _ in evidence.sides():
                found = float(deviant.get(f"loss part {output.name}", deviant["loss"]))
                if delta != loss.delta and abs(found - value) < 1e-6 * abs(value):
                    return Cause(f"delta is {delta:g} in {title} and {loss.delta:g} in the model",
                                 f"Set delta={loss.delta:g}.")
    return None


def _unlike(evidence: Evidence) -> list[str]:
    """The outputs whose own losses differ."""
    assert evidence.steps is not None
    names = [output.name for output in evidence.plan.outputs
             if all(f"loss part {output.name}" in side for side in (evidence.steps.other, evidence.steps.reference))]
    return [name for name in names if not close(
        evidence.steps.other[f"loss part {name}"], evidence.steps.reference[f"loss part {name}"], 1e-9)]


def same_targets(evidence: Evidence) -> Cause | None:
    """Several outputs: which part of the loss differs."""
    assert evidence.steps is not None
    if len(evidence.plan.outputs) > 1 and not _unlike(evidence):
        return Cause("each output's loss agrees, their sum does not: the weights of the losses, or a penalty, differ",
                     "Look at loss_weights and at regularizers.")
    return None


SIGNATURES: tuple[Signature, ...] = (
    twice, summed_or_averaged, huber, activity, penalty, same_targets, masked, smoothed, weighted)
BACKWARD: tuple[Signature, ...] = (penalty,)
