"""Every layer of the vocabulary means the same in both frameworks, to 1e-10 of the largest value in float64:
outputs, gradients by inputs and weights, state after a training step, inference after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from harness.spec.host import is_host
from harness.spec.layers import LAYERS
from harness.spec.model import ModelSpec
from tests.conformance.engine import Case, all_cases
from tests.conformance.process import Outcome, play

pytestmark = pytest.mark.frameworks
CASES = all_cases()
# The host computes the others (tests/data/test_text.py).
ON_DEVICE = {name: cls for name, cls in LAYERS.classes.items() if not is_host(cls)}
# Arguments that no case needs to vary: they name or draw, or are common to all layers and tested in tests/spec.
# (Constraints and activity regularizers are those of test_restrictions.py.)
NOT_VARIED = {"name", "trainable", "dtype", "input_shape", "seed", "activity_regularizer"}
# Arguments with one accepted value (tests/spec shows the refusal of the others).
REFUSED = {(f"Conv{rank}DTranspose", "dilation_rate") for rank in (1, 2, 3)} | {
    ("CategoryEncoding", "sparse"), ("ReversibleEmbedding", "reverse_dtype"), ("Resizing", "fill_mode"),
    ("AutoContrast", "data_format"), ("STFTSpectrogram", "data_format"), ("RandAugment", "data_format"),
    ("RandomColorJitter", "data_format"), ("Discretization", "sparse"), ("IntegerLookup", "sparse"),
    ("IntegerLookup", "vocabulary_dtype"), ("LoRAEmbedding", "lora_dropout")}
# The layers that do matrix products, beside attention and recurrent ones, whose kernels torch does not count alike.
COUNTED = ("convolutional/", "depthwise/", "transposed/", "core/dense", "core/einsum", "lora/dense")

# A run of the suite takes so many cases of each layer, those behind them are sweeps.
ALWAYS = 4


def swept(keys: Iterable[str]) -> list[Any]:
    seen: Counter[type] = Counter()
    params = []
    for key in keys:
        seen[CASES[key].layer_class] += 1
        params.append(pytest.param(key, marks=[pytest.mark.sweep] if seen[CASES[key].layer_class] > ALWAYS else []))
    return params


@pytest.fixture(scope="module")
def outcomes(chosen: Callable[[str], list[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Outcome]:
    """(TensorFlow, PyTorch): one process each, for the cases that this session selected."""
    return play(sorted(chosen("key")), tmp_path_factory.mktemp("conformance"))


def regularization(spec: ModelSpec, weights: dict[str, np.ndarray]) -> float:
    """The penalty as the spec states it; Keras rounds the factors to float32 (semantics ledger, rule 0.2)."""
    total = 0.0
    for weight in spec.weights:
        if weight.regularizer is not None:
            l1, l2 = (float(np.float32(factor)) for factor in weight.regularizer.factors())
            values = weights[weight.name]
            total += l1 * float(np.abs(values).sum()) + l2 * float(np.square(values).sum())
    return total


def activity(spec: ModelSpec, output: np.ndarray) -> float:
    """What the activity regularizers of the case's layer add for its first output."""
    layer = spec.layers[spec.outputs[0].split(":")[0].split("@")[0]]
    total = 0.0
    for item in layer.activity_penalties:
        l1, l2 = (float(np.float32(factor)) for factor in item.factors())
        total += l1 * float(np.abs(output).sum()) + l2 * float(np.square(output).sum())
    return total / len(output)


@pytest.mark.parametrize("key", swept(CASES))
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


@pytest.mark.parametrize("key", swept(CASES))
def test_the_spec_knows_what_keras_finds(key: str, outcomes: tuple[Outcome, Outcome]) -> None:
    """Output shapes, parameter count and weight penalty, from the spec alone."""
    spec = CASES[key].spec()
    arrays, facts = outcomes[0].of(key)
    assert facts["parameters"] == spec.parameters
    assert facts["output_shapes"] == [list(spec.tensors[reference]) for reference in spec.outputs]
    weights = {weight.name: arrays[f"weight after {weight.name}"] for weight in spec.weights}
    penalty = regularization(spec, weights) + activity(spec, arrays["inference 0"])
    assert arrays["regularization"] == pytest.approx(penalty, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("key", swept(key for key in CASES if key.startswith(COUNTED)))
def test_flops_are_those_that_torch_counts(key: str, outcomes: tuple[Outcome, Outcome]) -> None:
    case = CASES[key]
    spec = case.spec()
    if any(None in shape for shape in case.inputs):
        assert spec.flops is None
    else:
        assert outcomes[1].of(key)[1]["flops"] == case.batch * spec.flops


def test_every_layer_is_built_by_both(outcomes: tuple[Outcome, Outcome]) -> None:
    assert set(ON_DEVICE) <= set(outcomes[1].about["builders"])
    assert set(ON_DEVICE) <= set(outcomes[0].about["layers"])


def test_positional_arguments_stand_as_in_keras(outcomes: tuple[Outcome, Outcome]) -> None:
    signatures = outcomes[0].about["signatures"]
    for name, cls in LAYERS.classes.items():
        ours, theirs = cls.positional(), signatures.get(name, [])
        shared = min(len(ours), len(theirs))
        assert ours[:shared] == theirs[:shared], name


def values_of(cases: list[Case], argument: str) -> set[str]:
    """The distinct values of an argument over cases."""
    from harness import layers

    return {repr(getattr(case.layer(layers), argument)) for case in cases}


@pytest.mark.parametrize("name", sorted(ON_DEVICE))
def test_every_argument_is_varied(name: str) -> None:
    cls = LAYERS.classes[name]
    cases = [case for case in CASES.values() if case.layer_class is cls]
    assert cases, f"{name} has no case"
    arguments = [argument for argument in cls.model_fields
                 if argument not in NOT_VARIED and (name, argument) not in REFUSED
                 and not argument.endswith(("_initializer", "_constraint"))]
    constant = [argument for argument in arguments if len(values_of(cases, argument)) < 2]
    assert not constant, f"no case of {name} varies {constant}"
    wanted = 8 if arguments else 1
    assert len(cases) >= wanted, f"{name} has {len(cases)} cases, fewer than {wanted}"
