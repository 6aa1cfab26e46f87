"""Mistakes in the update, seen in what it makes of the same gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from harness.certify.causes.evidence import Cause, Evidence, Signature, close, common_factor, factor, number
from harness.certify.rungs import Arrays

EPSILONS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
# (gradient, weight, learning rate) -> the change of a first step.
Rule = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def _names(evidence: Evidence) -> list[str]:
    if evidence.finding.weight:
        return [evidence.finding.weight]
    return [item.name for item in evidence.plan.trainable]


def _changes(evidence: Evidence, deviant: Arrays, sound: Arrays) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.asarray(deviant[f"change {name}"], np.float64), np.asarray(sound[f"change {name}"], np.float64))
            for name in _names(evidence)]


def not_updated(evidence: Evidence) -> Cause | None:
    """A weight that stays as it is."""
    for title, deviant, sound in evidence.sides():
        still = [name for name in _names(evidence)
                 if not np.any(deviant[f"change {name}"]) and np.any(sound[f"change {name}"])]
        if still:
            return Cause(f"{title} does not update {', '.join(still[:3])}",
                         "Is it frozen, missing in the optimizer's parameters, or was its update optimised away?")
    return None


def clipped(evidence: Evidence) -> Cause | None:
    """First moments that are the other's times a number: one for all (a global norm), or one each."""
    plan = evidence.plan.optimizer
    clips = [name for name in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(plan, name, None) is not None]
    if not clips:
        return None
    for title, deviant, sound in evidence.sides():
        slots = [key for key in deviant if key.startswith("slot ") and key in sound and np.any(sound[key])]
        unlike = [key for key in slots if factor(deviant[key], sound[key]) is not None]
        if unlike or not slots:
            return Cause(f"the gradients are clipped otherwise in {title}: the model says {clips[0]}="
                         f"{getattr(plan, clips[0])}", "clipnorm is per variable, global_clipnorm over all of them, "
                         "clipvalue element by element; clip_grad_norm_ is the global one.")
    return None


def moments(evidence: Evidence) -> Cause | None:
    """A slot that is a multiple of the other's: its decay rate."""
    optimizer = evidence.plan.optimizer
    rates = {"m": "beta_1", "v": "beta_2", "velocity": "rho", "average": "ema_momentum"}
    for title, deviant, sound in evidence.sides():
        for slot, argument in rates.items():
            pairs = [(deviant[f"slot {slot} {name}"], sound[f"slot {slot} {name}"]) for name in _names(evidence)
                     if f"slot {slot} {name}" in deviant and f"slot {slot} {name}" in sound]
            c = common_factor(pairs) if pairs else None
            declared = getattr(optimizer, argument, None)
            if c is not None and isinstance(declared, float):
                return Cause(f"{argument} is {number(1 - c * (1 - declared))} in {title} and {declared:g} in the model",
                             f"Set {argument}={declared:g}.")
    return None


def decayed(evidence: Evidence) -> Cause | None:
    """Changes, or moments, whose difference is a multiple of the weight: weight decay, decoupled or coupled."""
    assert evidence.steps is not None
    rate = float(evidence.plan.tape.learning_rates[evidence.finding.step])
    decay = float(evidence.plan.optimizer.weight_decay or 0.0)
    mend = "Keras's decay is lr * weight_decay * w, on all weights that are not excluded, biases too."
    for slot in ("m", "velocity", "momentum"):
        coupled = _multiple_of_weights(evidence, f"slot {slot} ")
        if coupled:
            return Cause(f"weight decay is coupled in one framework (the moments of {_listed(coupled)} hold a multiple "
                         "of the weight)", mend)
    found = _multiple_of_weights(evidence, "change ")
    if found:
        theirs = decay - found[0][1] / rate
        return Cause(f"the weight decay of {_listed(found)} is {number(round(theirs, 9))} in PyTorch where Keras has "
                     f"{number(decay)}", mend)
    return _decayed_late(evidence, decay, rate)


def _multiple_of_weights(evidence: Evidence, prefix: str) -> list[tuple[str, float]]:
    """(weight, c) where PyTorch's array is Keras's plus c times the weight, for all weights that differ."""
    assert evidence.steps is not None
    found = []
    for name in _names(evidence):
        w = np.asarray(evidence.steps.reference[f"start {name}"], np.float64)
        key = f"{prefix}{name}"
        if key not in evidence.steps.other or key not in evidence.steps.reference:
            return []
        ours, theirs = (np.asarray(side[key], np.float64) for side in (evidence.steps.other, evidence.steps.reference))
        if w.any() and not close(ours, theirs, 1e-12):
            c = factor(ours - theirs, w, 1e-5)
            if c is None:
                return []
            found.append((name, c))
    return found


def _listed(found: list[tuple[str, float]]) -> str:
    return ", ".join(name for name, _ in found[:3])


def _decayed_late(evidence: Evidence, decay: float, rate: float) -> Cause | None:
    """w decayed after its update and not before: the changes differ by the decay of the update."""
    assert evidence.steps is not None
    if not decay:
        return None
    found = False
    for name in _names(evidence):
        w = np.asarray(evidence.steps.reference[f"start {name}"], np.float64)
        ours, theirs = (np.asarray(side[f"change {name}"], np.float64)
                        for side in (evidence.steps.other, evidence.steps.reference))
        if not close(ours, theirs, 1e-12):
            update = theirs + rate * decay * w
            c = factor(ours - theirs, update, 1e-3)
            if c is None or abs(abs(c) - rate * decay) > 1e-2 * rate * decay:
                return None
            found = True
    return Cause("the weight decays after its update in one framework, before it in the other",
                 "Keras applies weight decay first, then the update.") if found else None


def scaled(evidence: Evidence) -> Cause | None:
    """Changes that are the other's times one number: the learning rate, or momentum's form."""
    for title, deviant, sound in evidence.sides():
        c = common_factor([pair for pair in _changes(evidence, deviant, sound) if pair[1].any()])
        if c is None:
            continue
        optimizer = evidence.plan.optimizer
        batches = optimizer.gradient_accumulation_steps
        if batches and any(abs(c - value) < 1e-6 for value in (batches, 1 / batches)):
            return Cause(f"accumulated gradients: {title} updates by {number(c)} times what the other does",
                         f"Keras takes the mean of the {batches} gradients, torch's .grad is their sum.")
        factors = {item.multiplier for item in evidence.plan.trainable if item.name in _names(evidence)} - {1.0}
        if any(abs(c * value - 1) < 1e-6 for value in factors):
            return Cause(f"{title} ignores the learning-rate multiplier of {', '.join(_names(evidence)[:3])}",
                         "Give these weights a parameter group of their own.")
        momentum, nesterov = getattr(optimizer, "momentum", 0.0), getattr(optimizer, "nesterov", False)
        if momentum and any(abs(c - value) < 1e-6 for value in (1 + momentum, 1 / (1 + momentum))):
            return Cause(f"{title} {'has not' if nesterov else 'has'} Nesterov's momentum, the model "
                         f"{'has' if nesterov else 'has not'}", f"nesterov={nesterov}.")
        if momentum and abs(c - (1 - momentum)) < 1e-6:
            return Cause(f"{title} dampens the gradient by 1 - momentum", "dampening=0.")
        return Cause(f"the updates of {title} are {number(c)} times the other's: another learning rate, schedule or "
                     "bias correction", "Compare the learning rate of this step.")
    return None


def momentum_form(evidence: Evidence) -> Cause | None:
    """SGD's first change from its own momentum slot: v, or with Nesterov momentum * v - lr * g."""
    optimizer: Any = evidence.plan.optimizer
    if type(optimizer).__name__ != "SGD" or not optimizer.momentum or evidence.finding.step:
        return None
    m = optimizer.momentum
    for title, deviant, sound in evidence.sides():
        v = [np.asarray(sound[f"slot momentum {name}"], np.float64) for name in _names(evidence)]
        theirs = [np.asarray(deviant[f"slot momentum {name}"], np.float64) for name in _names(evidence)]
        # A first step's v is -lr * g, so that Nesterov's change is (1 + momentum) v.
        own = [1 + m if optimizer.nesterov else 1.0] * len(v)
        if not _changed_by(evidence, sound, v, own):
            continue
        if _changed_by(evidence, deviant, theirs, [1.0 if optimizer.nesterov else 1 + m] * len(v)):
            return Cause(f"{title} {'has not' if optimizer.nesterov else 'has'} Nesterov's momentum, the model "
                         f"{'has' if optimizer.nesterov else 'has not'}", f"nesterov={optimizer.nesterov}.")
        c = common_factor([pair for pair in zip(theirs, v, strict=True) if pair[1].any()])
        if c is not None and abs(c - (1 - m)) < 1e-6:
            return Cause(f"{title} dampens the gradient by 1 - momentum", "dampening=0.")
        changes = common_factor([(np.asarray(deviant[f"change {name}"], np.float64), value)
                                 for name, value in zip(_names(evidence), v, strict=True) if value.any()])
        if changes is not None and c is None:
            return Cause(f"{title} changes the weights by {number(changes)} of the momentum, the model by "
                         f"{number(own[0])}: another form of Nesterov's momentum", f"nesterov={optimizer.nesterov}.")
    return None


def _changed_by(evidence: Evidence, side: Arrays, slots: list[np.ndarray], factors: list[float]) -> bool:
    """Whether the changes of the unconstrained weights are the slots times these numbers."""
    constrained = {item.name for item in evidence.plan.variables if item.constraint is not None}
    return all(name in constrained or close(side[f"change {name}"], c * slot, 1e-9)
               for name, slot, c in zip(_names(evidence), slots, factors, strict=True) if slot.any())


def other_rule(evidence: Evidence) -> Cause | None:
    """The change of a first step by the known variants of a rule: where epsilon stands, whether moments are
    corrected, how decay is coupled."""
    if evidence.finding.step or evidence.plan.first_iteration:
        return None
    optimizer = evidence.plan.optimizer
    rate = float(evidence.plan.tape.learning_rates[0])
    for title, deviant, sound in evidence.sides():
        if not _explains(evidence, sound, _declared(optimizer), rate):
            continue
        for what, rule in _variants(optimizer):
            if _explains(evidence, deviant, rule, rate):
                return Cause(f"{what} in {title}", f"The model's: {optimizer!r}.")
    return None


def _explains(evidence: Evidence, side: Arrays, rule: Rule | None, rate: float) -> bool:
    if rule is None:
        return False
    for name in _names(evidence):
        g = np.asarray(side[f"weight gradient {name}"], np.float64)
        w = np.asarray(side[f"start {name}"], np.float64)
        change = np.asarray(side[f"change {name}"], np.float64)
        # By the mean: where a gradient is nothing but rounding, so is its update.
        if not np.abs(rule(g, w, rate) - change).mean() <= 1e-8 * np.abs(change).mean():
            return False
    return True


def _declared(optimizer: Any) -> Rule | None:
    kind = type(optimizer).__name__
    return next((rule for what, rule in _rules(kind, optimizer) if what == ""), None)


def _variants(optimizer: Any) -> Iterator[tuple[str, Rule]]:
    for what, rule in _rules(type(optimizer).__name__, optimizer):
        if what:
            yield what, rule


def _rules(kind: str, optimizer: Any) -> Iterator[tuple[str, Rule]]:
    decay = optimizer.weight_decay or 0.0
    if kind in ("Adam", "AdamW"):
        yield from _adam(optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, decay)
    elif kind == "RMSprop":
        yield from _rmsprop(optimizer, decay)
    elif kind == "SGD":
        yield "", lambda g, w, lr: -lr * g * (1 + optimizer.momentum * optimizer.nesterov) - lr * decay * w
    elif kind == "Adagrad":
        start, epsilon = optimizer.initial_accumulator_value, optimizer.epsilon
        yield "", lambda g, w, lr: -lr * g / np.sqrt(start + g * g + epsilon)
        yield "epsilon stands outside of the root", lambda g, w, lr: -lr * g / (np.sqrt(start + g * g) + epsilon)
        yield "the accumulator starts at 0", lambda g, w, lr: -lr * g / np.sqrt(g * g + epsilon)


def _adam(b1: float, b2: float, epsilon: float, decay: float) -> Iterator[tuple[str, Rule]]:
    root = np.sqrt(1 - b2)

    def rule(eps: float, form: str = "outside", corrected: bool = True, coupled: float = 0.0) -> Rule:
        def change(g: np.ndarray, w: np.ndarray, lr: float) -> np.ndarray:
            g = g + coupled * w
            m, v = (1 - b1) * g, (1 - b2) * g * g
            alpha = lr * (root / (1 - b1) if corrected else 1.0)
            below = np.sqrt(v + eps) if form == "inside" else np.sqrt(v) + eps * (root if form == "torch" else 1.0)
            return -alpha * m / below - (0.0 if coupled else lr * decay * w)

        return change

    yield "", rule(epsilon)
    for other in EPSILONS:
        if other != epsilon:
            yield f"epsilon is {other:g} (the model's is {epsilon:g})", rule(other)
            yield f"epsilon is {other:g} (the model's is {epsilon:g}) and stands behind the bias correction", \
                rule(other, "torch")
    yield "epsilon stands behind the bias correction, as torch.optim has it", rule(epsilon, "torch")
    yield "epsilon stands inside of the root", rule(epsilon, "inside")
    yield "the moments are not corrected for their start at zero", rule(epsilon, corrected=False)
    if decay:
        yield "weight decay is coupled (added to the gradient)", rule(epsilon, coupled=decay)


def _rmsprop(optimizer: Any, decay: float) -> Iterator[tuple[str, Rule]]:
    rho, epsilon = optimizer.rho, optimizer.epsilon

    def rule(eps: float, inside: bool = True, centered: bool = optimizer.centered, rate: float = rho) -> Rule:
        def change(g: np.ndarray, w: np.ndarray, lr: float) -> np.ndarray:
            v = (1 - rate) * g * g - (np.square((1 - rate) * g) if centered else 0.0)
            return -lr * g / (np.sqrt(v + eps) if inside else np.sqrt(v) + eps) - lr * decay * w

        return change

    yield "", rule(epsilon)
    yield "epsilon stands outside of the root", rule(epsilon, inside=False)
    centering = "not centered" if optimizer.centered else "centered"
    yield f"the moment is {centering}", rule(epsilon, centered=not optimizer.centered)
    for other in EPSILONS:
        if other != epsilon:
            yield f"epsilon is {other:g} (the model's is {epsilon:g})", rule(other)
            yield f"epsilon is {other:g} (the model's is {epsilon:g}), outside of the root", rule(other, inside=False)
    for other in (0.9, 0.95, 0.99, 0.999):
        if other != rho:
            yield f"rho is {other:g} (the model's is {rho:g})", rule(epsilon, rate=other)


SIGNATURES: tuple[Signature, ...] = (not_updated, other_rule, momentum_form, decayed, scaled, moments, clipped)
