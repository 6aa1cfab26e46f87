"""Mixed precision where no framework is needed: what is asked for, what is measured by, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.backends.contract import State
from harness.certify.controls import HALF_BITS, one_half_ulp
from harness.certify.distances import FLOORS
from harness.data.dataset import Dataset
from harness.data.given import from_arrays
from harness.errors import SpecError
from harness.measure.peaks import known_peak
from harness.plan.initial import initial_weights
from harness.records.checkpoint import save_checkpoint
from harness.runner.certifying import setup, write_subject
from harness.spec.execution import MIXED, Execution
from harness.spec.explicit import explicit
from harness.spec.recipe import Recipe
from harness.training.state import read_state, to_tensors


@pytest.mark.parametrize(("policy", "half", "scales"), [
    ("mixed_bfloat16", "bfloat16", False), ("mixed_float16", "float16", True)])
def test_keras_s_policies(policy: str, half: str, scales: bool) -> None:
    execution = Execution(precision=policy)
    assert (execution.dtype, execution.compute_dtype, execution.policy) == ("float32", half, policy)
    assert execution.scales_loss == scales


@pytest.mark.parametrize("precision", ["float32", "tf32", "float64"])
def test_the_others_compute_in_what_they_keep(precision: str) -> None:
    execution = Execution(precision=precision)
    assert execution.compute_dtype == execution.dtype == execution.policy
    assert not execution.scales_loss


@pytest.mark.parametrize(("given", "meant"), [
    ("bf16", "mixed_bfloat16"), ("fp16", "mixed_float16"), ("float16", "mixed_float16"), ("half", "mixed_float16"),
    ("bf16-mixed", "mixed_bfloat16"), ("mixed_bfloat", "mixed_bfloat16"), ("float31", "float32")])
def test_other_names_are_refused_with_a_hint(given: str, meant: str) -> None:
    with pytest.raises(SpecError, match=f"Did you mean '{meant}'"):
        Execution(precision=given)


def test_what_was_recorded_before_keeps_its_id() -> None:
    assert {"initial_scale", "dynamic_growth_steps"}.isdisjoint(explicit(Execution(precision="mixed_float16")))
    told = explicit(Execution(precision="mixed_float16", initial_scale=256.0, dynamic_growth_steps=10))
    assert (told["initial_scale"], told["dynamic_growth_steps"]) == (256.0, 10)
    assert Execution.parse(told).initial_scale == 256.0


@pytest.mark.parametrize("bad", [{"initial_scale": 0}, {"initial_scale": float("inf")}, {"dynamic_growth_steps": 0}])
def test_scales_that_are_none(bad: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        Execution(precision="mixed_float16", **bad)


@pytest.mark.parametrize("half", HALF_BITS)
def test_an_ulp_of_the_half_type(half: str) -> None:
    array = np.array([1.0, 1.5, -3.0, 0.0, 100.0], np.float32)
    moved = one_half_ulp({"w": array, "steps": np.arange(3)}, half, 0)
    unit = 2.0 ** (1 - HALF_BITS[half]) * np.array([1.0, 1.0, 2.0, 0.0, 64.0])
    assert moved["w"].dtype == np.float32
    np.testing.assert_array_equal(np.abs(moved["w"] - array), unit)
    many = np.ones(100, np.float32)
    once, again = (one_half_ulp({"w": many}, half, seed)["w"] for seed in (0, 1))
    assert not np.array_equal(once, again)
    assert 20 < np.sum(once > 1) < 80
    np.testing.assert_array_equal(moved["steps"], np.arange(3))


def test_every_policy_has_a_floor_and_a_peak() -> None:
    assert set(MIXED) <= set(FLOORS)
    rates = [known_peak("NVIDIA H200", precision).flops_per_second for precision in ("float32", *MIXED.values())]
    assert rates[0] is not None
    assert rates[1] is not None
    assert rates[1] == rates[2]
    assert rates[1] > 10 * rates[0]


def test_the_scale_is_in_the_checkpoint(tmp_path: Path) -> None:
    """And a state without one is read as ever."""
    scale = {"dynamic_scale": np.asarray(1024.0, np.float32), "step_counter": np.asarray(7, np.int64)}
    slots = {"m": {"y/kernel": np.ones((3, 2), np.float32)}, "loss_scale": scale}
    file = tmp_path / "state.safetensors"
    save_checkpoint(file, to_tensors(State({"y/kernel": np.zeros((3, 2), np.float32)}, slots, 40)))
    found = read_state(file)
    assert found.iterations == 40
    assert {name: float(array) for name, array in found.slots["loss_scale"].items()} == {
        "dynamic_scale": 1024.0, "step_counter": 7.0}


@pytest.mark.parametrize(("rounded", "precision", "dtype"), [
    (True, "float64", None), (False, "float64", "float32"), (True, "mixed_bfloat16", "float32")])
def test_a_layer_left_whole_is_exact_where_the_certificate_is(
    tmp_path: Path, rounded: bool, precision: str, dtype: str | None,
) -> None:
    """Keras's advice for mixed precision is a last layer of float32: in the rungs of float64 it is of float64."""
    x = Input((3,), name="x")
    spec = Model(x, layers.Dense(2, name="y", dtype="float32")(layers.Dense(4, name="h")(x)), name="m")
    recipe = Recipe(loss="mse", optimizer="sgd", batch_size=2, epochs=1)
    dataset: Dataset = from_arrays(np.zeros((4, 3), np.float32), np.zeros((4, 2), np.float32))
    write_subject(tmp_path, spec, recipe, [dataset], State(initial_weights(spec, 0)), seed=0)
    made = setup({"backend": "pytorch", "folder": str(tmp_path), "phase": 0, "precision": precision, "steps": 2,
                  "rounded": rounded})
    assert made.plan.spec.layers["y"].dtype == dtype
    assert json.loads((tmp_path / "subject.json").read_text())["spec"]["layers"][-1]["Dense"]["dtype"] == "float32"
