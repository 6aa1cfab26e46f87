"""R0 to R2 and the place of what fails, on arrays of a small plan."""

from __future__ import annotations

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.certify.agreement import array_difference, floors_of
from harness.certify.certificate import FAILED, PASSED
from harness.certify.controls import one_ulp
from harness.certify.localise import Scene, locate
from harness.certify.rungs import Pair, check_plan, compare_forced, compare_steps, layer_of
from harness.plan.compiler import compile_phase
from harness.spec.recipe import Recipe

RNG = np.random.default_rng(0)


@pytest.fixture
def plan():
    x = inputs = Input((4,), name="inputs")
    x = layers.Dense(5, name="first")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.5, name="drop")(x)
    x = layers.Dense(1, name="last")(x)
    phase = Recipe.parse({"loss": "mean_squared_error", "optimizer": "adam", "batch_size": 8}).resolved_phases()[0]
    return compile_phase(Model(inputs, x, name="m"), phase, index=0, examples=20, seed=0, dtype="float64")


def step_of(plan):
    """Arrays as a trace has them."""
    found = {"data x inputs": RNG.normal(size=(8, 4)), "data y last": RNG.normal(size=(8, 1)),
             "learning rate": np.float64(0.001), "random drop 0": RNG.integers(0, 99, 40).astype(np.int32),
             "loss": np.float64(1.5), "iterations": np.int64(1), "gradient inputs": RNG.normal(size=(8, 4))}
    for node in plan.spec.nodes:
        shape = (8, *plan.spec.tensors[node.name][1:])
        for kind in ("inference", "forward", "gradient"):
            found[f"{kind} {node.name}"] = RNG.normal(size=shape)
    for item in plan.variables:
        found[f"start {item.name}"] = RNG.normal(size=item.shape)
        found[f"change {item.name}"] = RNG.normal(size=item.shape)
        if item.trainable:
            found[f"weight gradient {item.name}"] = RNG.normal(size=item.shape)
            found[f"slot m {item.name}"] = RNG.normal(size=item.shape)
    return found


def readback_of(plan, start):
    return {"indices": plan.tape.indices, "learning_rates": plan.tape.learning_rates, "keys": plan.tape.keys,
            **{f"multiplier {item.name}": np.float64(1) for item in plan.trainable},
            **{f"start {name}": array for name, array in start.items()}, "setting epsilon": np.float64(1e-7)}


def test_a_plan_that_both_play(plan):
    start = {item.name: RNG.normal(size=item.shape) for item in plan.variables}
    sides = {name: readback_of(plan, start) for name in ("tensorflow", "pytorch")}
    rung = check_plan(plan, start, sides)
    assert rung.status == PASSED
    assert rung.checked > 2 * len(plan.variables)


@pytest.mark.parametrize(("change", "part", "place", "cause"), [
    (lambda found, plan: found.pop("multiplier norm/gamma"), "plan", "norm", "norm/gamma is trained by the plan"),
    (lambda found, plan: found.update({"multiplier norm/moving_mean": np.float64(1)}), "plan", "norm", "is frozen"),
    (lambda found, plan: found.update({"setting epsilon": np.float64(1e-8)}), "plan", None, "epsilon is 1e-08"),
    (lambda found, plan: found.update({"learning_rates": plan.tape.learning_rates * 2}), "schedule", None, "0.002"),
    (lambda found, plan: found.update({"keys": plan.tape.keys + 1}), "random", "drop", "other random numbers"),
    (lambda found, plan: found.update({"indices": plan.tape.indices[:, ::-1].copy()}), "data", None, ""),
    (lambda found, plan: found.update({"start first/kernel": np.zeros((4, 5))}), "plan", "first", "starts at zero"),
])
def test_a_plan_that_one_does_not_play(plan, change, part, place, cause):
    start = {item.name: RNG.normal(size=item.shape) for item in plan.variables}
    sides = {name: readback_of(plan, start) for name in ("tensorflow", "pytorch")}
    change(sides["pytorch"], plan)
    rung = check_plan(plan, start, sides)
    assert rung.status == FAILED
    found = locate(rung, Scene(plan, "train", 0, Pair(sides["tensorflow"], sides["pytorch"])))
    assert (found.part, found.layer) == (part, place)
    assert cause in (found.cause or "")


def test_equal_steps_pass_and_every_array_is_looked_at(plan):
    step = step_of(plan)
    rung = compare_steps(plan, Pair(step, dict(step)))
    assert rung.status == PASSED
    compared = [name for name in step if not name.startswith("start ")]
    assert rung.checked == len(compared)


@pytest.mark.parametrize(("names", "part", "layer", "weight"), [
    (["data y last", "loss", "gradient last"], "data", "last", None),
    (["random drop 0", "forward drop", "loss"], "random", "drop", None),
    (["forward norm", "forward drop", "forward last", "loss", "gradient last"], "forward", "norm", None),
    (["loss", "gradient last"], "loss", None, None),
    (["gradient first", "gradient norm", "gradient drop"], "backward", "drop", None),
    (["weight gradient first/kernel"], "backward", "first", "first/kernel"),
    (["change norm/moving_variance"], "buffer", "norm", "norm/moving_variance"),
    (["change last/bias"], "update", "last", "last/bias"),
    (["learning rate", "change last/bias"], "schedule", None, None),
])
def test_the_first_pass_and_layer_that_differ_are_named(plan, names, part, layer, weight):
    step = step_of(plan)
    other = {name: array + 1e-6 if array.dtype.kind == "f" else array + 1 for name, array in step.items()
             if name in names}
    rung = compare_steps(plan, Pair(step, {**step, **other}))
    assert rung.status == FAILED
    assert len(rung.failed) == len(names)
    found = locate(rung, Scene(plan, "train", 3, Pair(step, {**step, **other})))
    assert (found.part, found.weight) == (part, weight)
    if part != "data":
        assert found.layer == layer
    assert found.place.startswith("step 4, ")


def test_an_update_that_differs_everywhere_is_the_optimizers(plan):
    step = step_of(plan)
    other = {name: array * 1.01 for name, array in step.items() if name.startswith("change ") and "moving" not in name}
    rung = compare_steps(plan, Pair(step, {**step, **other}))
    found = locate(rung, Scene(plan, "train", 0, Pair(step, {**step, **other})))
    assert (found.part, found.layer) == ("update", None)


def test_an_update_may_differ_as_its_gradient_does_where_that_is_rounding(plan):
    step = step_of(plan)
    # Terms that cancel: nothing beside the other gradients, and yet Adam makes a step of it.
    step["weight gradient last/bias"] = np.array([1e-17])
    step["change last/bias"] = np.array([3e-7])
    other = {**step, "weight gradient last/bias": np.array([1.3e-17]), "change last/bias": np.array([4e-7])}
    assert compare_steps(plan, Pair(step, other)).status == PASSED
    # With a gradient that agrees, the same change is a mistake.
    other["weight gradient last/bias"] = step["weight gradient last/bias"]
    rung = compare_steps(plan, Pair(step, other))
    assert [item.what for item in rung.failed] == ["change last/bias"]


def test_what_is_missing_or_of_another_shape_fails(plan):
    step = step_of(plan)
    other = dict(step)
    del other["slot m norm/beta"]
    other["forward norm"] = step["forward norm"][:4]
    rung = compare_steps(plan, Pair(step, other))
    assert {item.what for item in rung.failed} == {"slot m norm/beta", "forward norm"}


def test_a_call_by_itself_is_allowed_what_one_ulp_does_to_it(plan):
    forced = {"output first": np.ones((8, 5)), "output norm": np.ones((8, 5)), "change norm/moving_mean": np.ones(5),
              "input gradient last 0": np.ones((8, 5))}
    other = {**forced, "output norm": forced["output norm"] * (1 + 1e-8)}
    assert compare_forced(plan, Pair(forced, other)).status == FAILED
    told = {**forced, "control output norm": np.float64(1e-8)}
    rung = compare_forced(plan, Pair(told, other))
    assert rung.status == PASSED
    assert rung.worst.control == 1e-8
    assert "not decided" not in rung.details
    told["control output norm"] = np.float64(0.5)
    assert compare_forced(plan, Pair(told, other)).details["not decided"] == ["output norm"]


def test_nothing_to_compare_is_no_pass(plan):
    assert compare_forced(plan, Pair({}, {})).status == FAILED


def test_arrays_belong_to_layers(plan):
    assert layer_of(plan, "weight gradient norm/gamma") == "norm"
    assert layer_of(plan, "slot m norm/gamma") == "norm"
    assert layer_of(plan, "input gradient last 0") == "last"
    assert layer_of(plan, "random drop 0") == "drop"
    assert layer_of(plan, "data x inputs") is None
    assert layer_of(plan, "loss") is None


def test_one_ulp_moves_every_number_that_is_not_zero():
    array = np.array([0.0, 1.0, -3.5, 1e-30])
    moved = one_ulp({"w": array, "ids": np.arange(3)}, "float32", seed=1)
    assert moved["w"].dtype == np.float32
    assert moved["w"][0] == 0
    assert (np.abs(moved["w"][1:] - array[1:].astype(np.float32)) > 0).all()
    np.testing.assert_allclose(moved["w"][1:], array[1:], rtol=2.5e-7)
    np.testing.assert_array_equal(moved["ids"], np.arange(3))


def test_small_arrays_are_measured_by_a_part_of_the_largest_of_their_kind():
    arrays = {"gradient a": np.full(3, 10.0), "gradient b": np.full(3, 1e-18), "forward a": np.ones(2)}
    floors = floors_of(arrays)
    assert floors["gradient b"] == pytest.approx(1e-3)
    assert array_difference(arrays["gradient b"] * 2, arrays["gradient b"], floors["gradient b"]) < 1e-10
