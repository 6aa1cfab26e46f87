"""Every layer of the vocabulary means the same in both frameworks, to 1e-10 of the largest value in float64:
outputs, gradients by inputs and weights, state after a training step, inference after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.spec.layers import LAYERS
from harness.spec.model import ModelSpec
from tests.conformance.engine import Case, all_cases
from tests.conformance.process import Outcome

pytestmark = pytest.mark.frameworks
CASES = all_cases()
ROOT = Path(__file__).parents[2]
# Arguments that no case needs to vary: they name or draw, or are common to all layers and tested in tests/spec.
NOT_VARIED = {"name", "trainable", "dtype", "input_shape", "seed", "data_format", "activity_regularizer"}
# Arguments with one accepted value (tests/spec shows the refusal of the others).
REFUSED = {(f"Conv{rank}DTranspose", "dilation_rate") for rank in (1, 2, 3)} | {("CategoryEncoding", "sparse")}
# The layers that do matrix products, beside attention and recurrent ones, whose kernels torch does not count alike.
COUNTED = ("convolutional/", "depthwise/", "transposed/", "core/dense", "core/einsum")


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Outcome]:
    """(TensorFlow, PyTorch): one process each, for the cases that this session selected."""
    selected = sorted({item.callspec.params["key"] for item in request.session.items
                       if "key" in getattr(getattr(item, "callspec", None), "params", {})
                       and item.path == Path(__file__)})
    folder = tmp_path_factory.mktemp("conformance")
    (folder / "cases.json").write_text(json.dumps(selected))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    processes = {}
    for framework in ("tensorflow", "pytorch"):
        command = [sys.executable, "-m", f"tests.conformance.run_{framework}", str(folder / "cases.json"),
                   str(folder / f"{framework}.npz")]
        processes[framework] = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    for framework, process in processes.items():
        _, errors = process.communicate()
        assert process.returncode == 0, f"{framework}: {errors[-3000:]}"
    return Outcome(folder / "tensorflow.npz"), Outcome(folder / "pytorch.npz")


def regularization(spec: ModelSpec, weights: dict[str, np.ndarray]) -> float:
    """The penalty as the spec states it; Keras rounds the factors to float32 (semantics ledger, rule 0.2)."""
    total = 0.0
    for weight in spec.weights:
        if weight.regularizer is not None:
            l1, l2 = (float(np.float32(factor)) for factor in weight.regularizer.factors())
            values = weights[weight.name]
            total += l1 * float(np.abs(values).sum()) + l2 * float(np.square(values).sum())
    return total


@pytest.mark.parametrize("key", CASES)
def test_same_numbers(key: str, outcomes: tuple[Outcome, Outcome]) -> None:
    case = CASES[key]
    (ours, facts), (theirs, their_facts) = outcomes[1].of(key), outcomes[0].of(key)
    reference = {name: value for name, value in theirs.items() if name != "regularization"}
    assert sorted(ours) == sorted(reference)
    assert facts["trainable"] == their_facts["trainable"]
    for name, value in reference.items():
        assert ours[name].shape == value.shape, name
        scale = max(1.0, float(np.max(np.abs(value), initial=0.0)))
        difference = float(np.max(np.abs(ours[name] - value), initial=0.0))
        assert difference <= case.tolerance * scale, f"{name}: {difference:.1e} at values up to {scale:.1e}"


@pytest.mark.parametrize("key", CASES)
def test_the_spec_knows_what_keras_finds(key: str, outcomes: tuple[Outcome, Outcome]) -> None:
    """Output shapes, parameter count and weight penalty, from the spec alone."""
    spec = CASES[key].spec()
    arrays, facts = outcomes[0].of(key)
    assert facts["parameters"] == spec.parameters
    assert facts["output_shapes"] == [list(spec.tensors[reference]) for reference in spec.outputs]
    weights = {weight.name: arrays[f"weight after {weight.name}"] for weight in spec.weights}
    assert arrays["regularization"] == pytest.approx(regularization(spec, weights), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("key", [key for key in CASES if key.startswith(COUNTED)])
def test_flops_are_those_that_torch_counts(key: str, outcomes: tuple[Outcome, Outcome]) -> None:
    case = CASES[key]
    spec = case.spec()
    if any(None in shape for shape in case.inputs):
        assert spec.flops is None
    else:
        assert outcomes[1].of(key)[1]["flops"] == case.batch * spec.flops


def test_every_layer_is_built_by_both(outcomes: tuple[Outcome, Outcome]) -> None:
    assert set(LAYERS.classes) <= set(outcomes[1].about["builders"])
    assert set(LAYERS.classes) <= set(outcomes[0].about["layers"])


def values_of(cases: list[Case], argument: str) -> set[str]:
    """The distinct values of an argument over cases."""
    from harness import layers

    return {repr(getattr(case.layer(layers), argument)) for case in cases}


@pytest.mark.parametrize("name", sorted(LAYERS.classes))
def test_every_argument_is_varied(name: str) -> None:
    cls = LAYERS.classes[name]
    cases = [case for case in CASES.values() if case.layer_class is cls]
    assert cases, f"{name} has no case"
    arguments = [argument for argument in cls.model_fields
                 if argument not in NOT_VARIED and (name, argument) not in REFUSED
                 and not argument.endswith("_initializer")]
    constant = [argument for argument in arguments if len(values_of(cases, argument)) < 2]
    assert not constant, f"no case of {name} varies {constant}"
    wanted = 8 if len(arguments) > 5 else 4 if arguments else 1
    assert len(cases) >= wanted, f"{name} has {len(cases)} cases, fewer than {wanted}"
