"""Keras's mixed dtype policies: the same meaning in both frameworks (docs/decisions/0010, docs/semantics.md)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.measure.parity import unfair
from harness.spec.execution import Execution
from tests.backends.mixed_precision_of import LAYERS, POLICIES

ROOT = Path(__file__).parents[2]
BACKENDS = ("tensorflow", "pytorch")
# Significant bits of the half types.
BITS = {"mixed_bfloat16": 8, "mixed_float16": 11}
# Errors against float64, root mean square: one framework may round this many times more often than the other (sums of
# a bias's gradient are of the half type in TensorFlow, of float32 in PyTorch), and a quarter ulp is nothing.
MORE, NOTHING = 12.0, 0.25
pytestmark = [pytest.mark.frameworks, pytest.mark.xdist_group("mixed_precision")]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("mixed")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        environment.pop(name, None)
    processes = {
        backend: subprocess.Popen(
            [sys.executable, "-m", "tests.backends.mixed_precision_of", backend, str(folder / f"{backend}.npz")],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for backend in BACKENDS
    }
    results = {}
    for backend, process in processes.items():
        output, _ = process.communicate()
        assert process.returncode == 0, f"{backend}:\n{output[-4000:]}"
        arrays = dict(np.load(folder / f"{backend}.npz"))
        results[backend] = {**arrays, **json.loads(str(arrays.pop("told")))}
    return results


def error(array: np.ndarray, truth: np.ndarray, policy: str) -> float:
    """Root mean square, in units in the last place of the half type at the size of the array."""
    unit = np.sqrt(np.mean(np.square(truth))) * 2.0 ** (1 - BITS[policy])
    return float(np.sqrt(np.mean(np.square(array - truth))) / unit) if unit else 0.0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("layer", LAYERS)
def test_both_are_as_far_from_the_exact_numbers(found: dict[str, Any], layer: str, policy: str) -> None:
    """What one computes in the half type and the other in float32 would show as another error: rounding is random, its
    size is not."""
    keys = [key for key in found["tensorflow"] if key.startswith(f"layer {layer}|{policy}|")]
    assert keys
    looked_at = 0
    for key in keys:
        truth = found["pytorch"][key.replace(policy, "float64")]
        if truth.dtype.kind != "f" or np.abs(truth).max(initial=0.0) < 1e-6:
            continue  # a key's bias: its gradient is rounding and nothing else
        ours, theirs = (error(found[backend][key], truth, policy) for backend in ("pytorch", "tensorflow"))
        assert (ours + NOTHING) / (theirs + NOTHING) < MORE, f"{key}: {ours:.2g} against {theirs:.2g} ulps"
        assert (theirs + NOTHING) / (ours + NOTHING) < MORE, f"{key}: {ours:.2g} against {theirs:.2g} ulps"
        looked_at += 1
    assert looked_at


def test_half_types_round(found: dict[str, Any]) -> None:
    """The comparison above can fail: outputs are rounded to the half type, and not to anything longer."""
    for policy in POLICIES:
        for name in ("core/dense relu", "normalization/LayerNormalization of vectors", "core/embedding"):
            for backend in BACKENDS:
                outputs = [array for key, array in found[backend].items()
                           if key.startswith(f"layer {name}|{policy}|training")]
                for array in outputs:
                    mantissa, _ = np.frexp(array.astype(np.float64))
                    scaled = np.ldexp(mantissa, BITS[policy])
                    normal = np.abs(array) > 1e-4  # beneath are float16's subnormal numbers
                    assert np.array_equal(scaled[normal], np.rint(scaled[normal])), (backend, policy, name)


def test_the_scale_of_the_loss_is_keras_s(found: dict[str, Any]) -> None:
    """Halved, and the step left out, while a gradient overflows; doubled after three steps; a schedule stands still
    where a step is left out; a checkpoint goes on."""
    tensorflow, pytorch = (found[backend] for backend in BACKENDS)
    for name in ("scale", "counter", "iterations"):
        assert np.array_equal(tensorflow[f"scale {name}"], pytorch[f"scale {name}"]), name
    np.testing.assert_allclose(pytorch["scale bias"], tensorflow["scale bias"], rtol=2e-3)
    scale, counter, iterations, bias = (pytorch[f"scale {name}"] for name in ("scale", "counter", "iterations", "bias"))
    before = np.concatenate([[2.0**18], scale[:-1]])
    skipped = scale < before
    assert skipped[0]
    assert not skipped.all()
    assert np.array_equal(scale[skipped], before[skipped] / 2)
    assert (counter[skipped] == 0).all()
    grown = scale > before
    assert grown.any()
    assert np.array_equal(scale[grown], before[grown] * 2)
    assert np.array_equal(np.diff(np.concatenate([[0], iterations])) == 0, skipped)
    moved = np.diff(np.concatenate([[0.0], bias])) != 0
    assert not (moved & skipped).any()
    assert moved[~skipped][:4].all()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_training(found: dict[str, Any], model: str, policy: str) -> None:
    """Weights and slots stay float32, what is shown too; the two trainings are as near to each other as one of them is
    to float32's. (mixed_float16 leaves the first steps out: of it the numbers of steps are compared.)"""
    keys = [key for key in found["tensorflow"] if key.startswith(f"training {model}|{policy}|")]
    for key in keys:
        theirs, ours = (found[backend][key] for backend in BACKENDS)
        assert ours.dtype == theirs.dtype, key
        assert ours.dtype.kind != "f" or ours.dtype in (np.float32, np.float64), key
    name = f"training {model}|{policy}|"
    assert found["tensorflow"][f"{name}iterations"] == found["pytorch"][f"{name}iterations"]
    losses = [found[backend][f"{name}losses"] for backend in BACKENDS]
    whole = found["pytorch"][f"training {model}|float32|losses"]
    unit = 2.0 ** (1 - BITS[policy])
    np.testing.assert_allclose(losses[1], losses[0], rtol=8 * unit)
    assert (losses[0] != whole).any()
    assert (losses[1] != whole).any()
    if policy == "mixed_bfloat16":
        np.testing.assert_allclose(losses[1], whole, rtol=8 * unit)
        assert f"{name}slot loss_scale dynamic_scale" not in keys
    else:
        assert f"{name}slot loss_scale dynamic_scale" in keys


@pytest.mark.parametrize("policy", POLICIES)
def test_the_idiomatic_tier(found: dict[str, Any], policy: str) -> None:
    """Keras's fit with its policy, and torch.autocast."""
    tensorflow, pytorch = (found[backend][f"idiomatic|{policy}|losses"] for backend in BACKENDS)
    np.testing.assert_allclose(pytorch, tensorflow, rtol=0.03)
    # Under autocast a softmax is of float32: its gradients do not overflow, and no step is left out.
    tensorflow, pytorch = (int(found[backend][f"idiomatic|{policy}|iterations"]) for backend in BACKENDS)
    assert (tensorflow, pytorch) == ((3 if policy == "mixed_bfloat16" else 0), 3)


@pytest.mark.parametrize("tier", ["tuned", "idiomatic"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_products_are_computed_in(found: dict[str, Any], backend: str, tier: str) -> None:
    for precision, half in (("float32", "float32"), ("mixed_bfloat16", "bfloat16"), ("mixed_float16", "float16")):
        said = found[backend]["conditions"][f"{precision} {tier}"]["precision"]
        assert (said["matmul"], said["convolution"]) == (half, half)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_mixed_precision_on_one_side_is_unfair(found: dict[str, Any], backend: str, policy: str) -> None:
    """Whichever side has it, and whichever was meant."""
    other = next(name for name in BACKENDS if name != backend)
    halves = {backend: found[backend]["conditions"][f"{policy} tuned"],
              other: found[other]["conditions"]["float32 tuned"]}
    for wanted, blamed in ((policy, other), ("float32", backend)):
        places = {item.where for item in unfair(Execution(precision=wanted), halves)}
        assert {(blamed, "conditions.precision.matmul"), (blamed, "conditions.precision.convolution")} <= places


@pytest.mark.parametrize("policy", POLICIES)
def test_mixed_precision_on_both_sides_is_fair(found: dict[str, Any], policy: str) -> None:
    halves = {backend: found[backend]["conditions"][f"{policy} tuned"] for backend in BACKENDS}
    places = [item for item in unfair(Execution(precision=policy), halves) if "precision" in item.where[1]]
    assert places == []


def test_what_cannot_be_followed_is_refused(found: dict[str, Any]) -> None:
    """By the framework that cannot; with dtype: float32 the layer is as in any other model."""
    refused = {backend: found[backend]["refusals"] for backend in BACKENDS}
    assert {backend: set(names) for backend, names in refused.items()} == {
        "tensorflow": {"UpSampling2D"}, "pytorch": {"SpectralNormalization"}}
    assert "no gradient of bicubic interpolation in bfloat16" in refused["tensorflow"]["UpSampling2D"]
    assert "mixed precision" in refused["pytorch"]["SpectralNormalization"]
