"""Every signature on arrays that are made with its mistake, and on arrays that differ by nothing it knows."""

from __future__ import annotations

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.certify.causes import cause_of
from harness.certify.causes.evidence import Evidence, common_factor, factor
from harness.certify.causes.recurrent import gru, lstm
from harness.certify.certificate import Finding
from harness.certify.rungs import Pair
from harness.plan.compiler import compile_phase
from harness.spec.recipe import Recipe

RNG = np.random.default_rng(0)


def plan_of(*stack, shape=(6,), loss="mean_squared_error", optimizer="sgd", **recipe):
    x = inputs = Input(shape, name="inputs")
    for layer in stack:
        x = layer(x)
    x = layers.Dense(1, name="end")(x)  # so that there is something to train
    phase = Recipe.parse({"loss": loss, "optimizer": optimizer, "batch_size": 8, **recipe}).resolved_phases()[0]
    return compile_phase(Model(inputs, x, name="m"), phase, index=0, examples=20, seed=0, dtype="float64")


def finding(part, layer=None, weight=None, what="", rung="R1", step=0):
    return Finding(rung, "train", step, part, layer, weight, what, 1.0, 1e-10)


def evidence_of(plan, found, steps=(None, None), forced=None):
    return Evidence(plan, found, Pair(*steps) if steps[0] is not None else None,
                    Pair(*forced) if forced is not None else None)


def normalized(x, axes, epsilon):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


@pytest.mark.parametrize(("kind", "axes", "own"), [("BatchNormalization", 0, 1e-3), ("LayerNormalization", -1, 1e-3)])
def test_epsilon_of_a_normalization_is_read_from_its_outputs(kind, axes, own):
    plan = plan_of(getattr(layers, kind)(name="norm"))
    x = RNG.normal(size=(8, 6)) * 0.05
    forced = [{"output norm": normalized(x, axes, epsilon)} for epsilon in (own, 1e-5)]
    steps = {"data x inputs": x, "start norm/beta": np.zeros(6), "start norm/gamma": np.ones(6)}
    found = cause_of(evidence_of(plan, finding("forward", "norm"), (steps, steps), forced))
    assert found is not None
    assert "epsilon is 1e-05 in PyTorch and 0.001 in the model" in found.cause


def test_momentum_and_unbiased_variance_of_moving_statistics():
    plan = plan_of(layers.BatchNormalization(name="norm"))
    x = RNG.normal(size=(8, 6))
    steps = {"data x inputs": x, "start norm/moving_variance": np.ones(6), "start norm/moving_mean": np.zeros(6)}

    def changes(momentum, ddof=0):
        return {"change norm/moving_mean": (1 - momentum) * x.mean(0),
                "change norm/moving_variance": (1 - momentum) * (x.var(0, ddof=ddof) - 1)}

    def cause(other):
        found = cause_of(evidence_of(plan, finding("buffer", "norm"), (steps, steps), (changes(0.99), other)))
        return found.cause if found else ""

    assert "momentum is 0.9 in PyTorch and 0.99" in cause(changes(0.9))
    assert "unbiased variance" in cause(changes(0.99, ddof=1))


@pytest.mark.parametrize(("declared", "computed", "words"), [
    ("gelu", lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), "tanh approximation"),
    ("relu", lambda x: x, "computes linear where the model has relu"),
])
def test_another_activation(declared, computed, words):
    from harness.certify.causes.layers import ACTIVATIONS

    plan = plan_of(layers.Activation(declared, name="act"))
    x = RNG.normal(size=(8, 6))
    forced = ({"output act": ACTIVATIONS[declared](x)}, {"output act": computed(x)})
    found = cause_of(evidence_of(plan, finding("forward", "act"), ({"data x inputs": x},) * 2, forced))
    assert found is not None
    assert words in found.cause


def test_slope_below_zero():
    plan = plan_of(layers.LeakyReLU(0.3, name="act"))
    x = RNG.normal(size=(8, 6))
    forced = tuple({"output act": np.where(x > 0, x, slope * x)} for slope in (0.3, 0.01))
    found = cause_of(evidence_of(plan, finding("forward", "act"), ({"data x inputs": x},) * 2, forced))
    assert "slope below zero is 0.01 in PyTorch and 0.3" in found.cause


def test_flatten_in_another_order_and_a_shifted_output():
    plan = plan_of(layers.Flatten(name="flat"), shape=(3, 4, 2))
    x = RNG.normal(size=(8, 3, 4, 2))
    forced = ({"output flat": x.reshape(8, -1)}, {"output flat": x.transpose(0, 3, 1, 2).reshape(8, -1)})
    found = cause_of(evidence_of(plan, finding("forward", "flat"), ({"data x inputs": x},) * 2, forced))
    assert "another order" in found.cause


@pytest.mark.parametrize(("kind", "cell", "mistake", "words"), [
    ("LSTM", lstm, {"bias": 2.0}, "counted twice"),
    ("LSTM", lstm, {"order": (0, 1, 3, 2)}, "input, forget, output, cell"),
    ("LSTM", lstm, {"forget": 1.0}, "forget gate has +1"),
    ("GRU", gru, {"reset_after": False}, "reset_after is False"),
    ("GRU", gru, {"swapped": True}, "update gate keeps"),
    ("GRU", gru, {"order": (1, 0, 2)}, "reset, update, candidate"),
])
def test_recurrent_equations(kind, cell, mistake, words):
    plan = plan_of(getattr(layers, kind)(3, name="rnn"), shape=(5, 4))
    x = RNG.normal(size=(8, 5, 4))
    w = {item.role: RNG.normal(size=item.shape) for item in plan.variables if item.layer == "rnn"}
    steps = {"data x inputs": x, **{f"start rnn/{role}": array for role, array in w.items()}}
    forced = ({"output rnn": cell(x, w)[:, -1]}, {"output rnn": cell(x, w, **mistake)[:, -1]})
    found = cause_of(evidence_of(plan, finding("forward", "rnn"), (steps, steps), forced))
    assert found is not None
    assert words in found.cause


def updates(plan, rule, decay=0.0):
    """The arrays of a first step in which the change follows from the gradient by a rule."""
    arrays = {}
    for item in plan.trainable:
        g, w = RNG.normal(size=item.shape), RNG.normal(size=item.shape)
        arrays |= {f"weight gradient {item.name}": g, f"start {item.name}": w,
                   f"change {item.name}": rule(g, w) - decay * w}
    return arrays


def adam(epsilon=1e-7, form="outside", corrected=True):
    def rule(g, w):
        m, v = 0.1 * g, 0.001 * g * g
        alpha = 0.001 * (np.sqrt(0.001) / 0.1 if corrected else 1.0)
        return -alpha * m / (np.sqrt(v + epsilon) if form == "inside" else np.sqrt(v) + epsilon)

    return rule


@pytest.mark.parametrize(("mistake", "words"), [
    ({"epsilon": 1e-3}, "epsilon is 0.001 (the model's is 1e-07)"),
    ({"form": "inside"}, "epsilon stands inside of the root"),
    ({"corrected": False}, "not corrected"),
])
def test_variants_of_adam(mistake, words):
    plan = plan_of(layers.Dense(4, name="dense"), optimizer="adam")
    reference = updates(plan, adam())
    other = {**reference}
    for item in plan.trainable:
        g, w = reference[f"weight gradient {item.name}"], reference[f"start {item.name}"]
        other[f"change {item.name}"] = adam(**mistake)(g, w)
    found = cause_of(evidence_of(plan, finding("update", rung="R2"), (reference, other)))
    assert found is not None
    assert words in found.cause
    # The same mistake in the reference is said to be there.
    found = cause_of(evidence_of(plan, finding("update", rung="R2"), (other, reference)))
    assert found.cause.endswith("in Keras")


def test_decay_and_missing_updates():
    plan = plan_of(layers.Dense(4, name="dense"), optimizer={"AdamW": {"weight_decay": 0.01}})
    reference = updates(plan, adam(), decay=0.001 * 0.01)
    other = dict(reference)
    other["change dense/bias"] = reference["change dense/bias"] + 0.001 * 0.01 * reference["start dense/bias"]
    found = cause_of(evidence_of(plan, finding("update", "dense", "dense/bias", rung="R2"), (reference, other)))
    assert "the weight decay of dense/bias is 0 in PyTorch where Keras has 0.01" in found.cause
    other["change dense/bias"] = np.zeros(4)
    found = cause_of(evidence_of(plan, finding("update", "dense", "dense/bias", rung="R2"), (reference, other)))
    assert "PyTorch does not update dense/bias" in found.cause


def test_batches_and_rates():
    plan = plan_of(layers.Dense(4, name="dense"), epochs=3, optimizer={"SGD": {"learning_rate": {
        "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.5}}}})
    rates, indices = plan.tape.learning_rates, plan.tape.indices
    good = {"indices": indices, "learning_rates": rates}
    swapped = indices.copy()
    swapped[3:6] = indices[[4, 3, 5]]
    found = cause_of(evidence_of(plan, finding("data", what="pytorch: indices", rung="R0", step=3),
                                 (good, {"indices": swapped})))
    assert "(epoch 2) PyTorch shuffles otherwise" in found.cause
    late = np.concatenate([rates[:1], rates[:-1]])
    found = cause_of(evidence_of(plan, finding("schedule", what="pytorch: learning_rates", rung="R0", step=1),
                                 (good, {"learning_rates": late})))
    assert "PyTorch is one step late" in found.cause


def test_loss_and_penalties():
    plan = plan_of(layers.Dense(4, name="dense", kernel_regularizer={"L2": {"l2": 0.01}}))
    g = {f"weight gradient {item.name}": RNG.normal(size=item.shape) for item in plan.trainable}
    start = {f"start {item.name}": RNG.normal(size=item.shape) for item in plan.trainable}
    good = {"loss": np.float64(2.0), **g, **start}
    summed = {**good, "loss": np.float64(16.0), **{name: 8 * array for name, array in g.items()}}
    assert "sums the loss" in cause_of(evidence_of(plan, finding("loss", rung="R2"), (good, summed))).cause
    half = {**good, "loss": np.float64(1.9),
            "weight gradient dense/kernel": g["weight gradient dense/kernel"] - 0.01 * start["start dense/kernel"]}
    found = cause_of(evidence_of(plan, finding("backward", "dense", "dense/kernel", "weight gradient dense/kernel",
                                               "R2"), (good, half)))
    assert "the penalty of dense/kernel is another" in found.cause


def test_nothing_is_named_where_nothing_fits():
    plan = plan_of(layers.Dense(4, name="dense"), optimizer="adam")
    x = RNG.normal(size=(8, 6))
    steps = {"data x inputs": x, "start dense/kernel": RNG.normal(size=(6, 4)), "start dense/bias": np.ones(4)}
    forced = ({"output dense": RNG.normal(size=(8, 4))}, {"output dense": RNG.normal(size=(8, 4))})
    for part in ("forward", "inference", "backward", "buffer", "loss", "update", "plan", "data"):
        assert cause_of(evidence_of(plan, finding(part, "dense"), (steps, steps), forced)) is None


def test_factors():
    a = RNG.normal(size=(3, 3))
    assert factor(2 * a, a) == pytest.approx(2)
    assert factor(a, a) is None
    assert factor(a + 0.1, a) is None
    assert common_factor([(3 * a, a), (3 * a.T, a.T)]) == pytest.approx(3)
    assert common_factor([(3 * a, a), (2 * a, a)]) is None
