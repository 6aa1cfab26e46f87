"""Every operation on tensors means the same in both frameworks, to 1e-10 of the largest value in float64: outputs
(whole numbers exactly, and of the same type) and gradients; and Keras's config of it is read back to the same spec."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.spec.keras_config import read_keras_config
from harness.spec.operations import ALIASES, OPERATIONS, REFUSED
from harness.spec.operations.inference import tensor_dtypes
from tests.conformance.cases.operations import CASES
from tests.conformance.operations_engine import OperationCase
from tests.conformance.process import Outcome
from tests.forked import run_module, side_by_side

pytestmark = pytest.mark.frameworks
BY_NAME = {case.name: case for case in CASES}
# Arguments with one accepted value, or that stand for a whole class of operations in tests/spec/test_operations.py.
NOT_VARIED = {"name", "trainable", "input_shape", "activity_regularizer", "data_format", "sparse"}
REFUSED_ARGUMENTS = {
    ("ops.dot_product_attention", "flash_attention"), ("ops.dot_product_attention", "attn_logits_soft_cap"),
    ("ops.moments", "synchronized"), ("ops.multi_hot", "axis"), ("ops.top_k", "sorted"),
    ("ops.sparse_categorical_crossentropy", "axis"), ("ops.quantile", "method"), ("ops.percentile", "method"),
    *((f"ops.segment_{name}", "sorted") for name in ("sum", "prod", "max", "min")),
    *(("ops.image.resize", name) for name in ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode",
                                              "fill_value")),
}


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Outcome]:
    """(TensorFlow, PyTorch): one process each, for the cases that this session selected."""
    selected = sorted({item.callspec.params["name"] for item in request.session.items if item.path == Path(__file__)
                       and "name" in getattr(getattr(item, "callspec", None), "params", {})})
    folder = tmp_path_factory.mktemp("operations")
    (folder / "cases.json").write_text(json.dumps(selected))
    side_by_side(*(functools.partial(run_module, framework, f"tests.conformance.run_operations_{framework}",
                                     folder / "cases.json", folder / f"{framework}.npz")
                   for framework in ("tensorflow", "pytorch")))
    return Outcome(folder / "tensorflow.npz"), Outcome(folder / "pytorch.npz")


def differs(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> str:
    """What is wrong with ours, "" if nothing."""
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return f"{ours.dtype} {ours.shape} instead of {theirs.dtype} {theirs.shape}"
    if theirs.dtype.kind != "f":
        return "" if np.array_equal(ours, theirs) else "other whole numbers"
    settled = np.isfinite(theirs)
    if not np.array_equal(ours[~settled], theirs[~settled], equal_nan=True):
        return "other infinities"
    scale = max(1.0, float(np.max(np.abs(theirs[settled]), initial=0.0)))
    difference = np.max(np.abs(ours[settled] - theirs[settled]), initial=0.0)
    return "" if difference <= tolerance * scale else f"{difference:.1e} at values up to {scale:.1e}"


def marked() -> list[Any]:
    """The names of the cases; of an operation with many, those behind the first four are a sweep."""
    seen: dict[str, int] = {}
    params = []
    for name in BY_NAME:
        function = name.split(" ")[0]
        seen[function] = seen.get(function, 0) + 1
        params.append(pytest.param(name, marks=[pytest.mark.sweep] if seen[function] > 4 else []))
    return params


@pytest.mark.parametrize("name", marked())
def test_same_numbers_types_and_config(name: str, outcomes: tuple[Outcome, Outcome]) -> None:
    case = BY_NAME[name]
    (theirs, facts), (ours, _) = outcomes[0].of(name), outcomes[1].of(name)
    assert sorted(ours) == sorted(what for what in theirs if "graph" not in what)
    for what, value in theirs.items():
        wrong = differs(ours[what.removesuffix(" in a graph")], value, case.tolerance)
        assert not wrong, f"{what}: {wrong}"
    spec = case.spec()
    assert facts["shapes"] == [list(spec.tensors[reference]) for reference in spec.outputs]
    dtypes = tensor_dtypes(spec)
    for index, reference in enumerate(spec.outputs):
        wanted = "float64" if dtypes[reference] == "float32" else dtypes[reference]
        assert str(ours[f"output {index}"].dtype) == wanted
    again = read_keras_config(facts["config"]).spec
    assert again.to_data() == spec.to_data()


def test_every_function_of_keras_is_supported_or_refused(outcomes: tuple[Outcome, Outcome]) -> None:
    known = {name.removeprefix("ops.") for name in (*OPERATIONS, *ALIASES) if name.startswith("ops.")}
    assert not known & set(REFUSED)
    assert set(outcomes[0].about["functions"]) == known | set(REFUSED)


@functools.cache
def operations_of_cases() -> dict[str, list[tuple[OperationCase, Any]]]:
    """Canonical name -> the cases with it, each with the operation."""
    table: dict[str, list[tuple[OperationCase, Any]]] = {}
    for case in CASES:
        for layer in case.operations():
            table.setdefault(layer.canonical_name(), []).append((case, layer))
    return table


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_every_argument_is_varied(operation: str) -> None:
    cls = OPERATIONS[operation].operation
    found = operations_of_cases().get(operation, [])
    assert found, f"{operation} has no case"
    arguments = [item.name for item in cls.declared.parameters if not item.kind and item.name not in NOT_VARIED
                 and (operation, item.name) not in REFUSED_ARGUMENTS]
    constant = [item for item in arguments if len({repr(getattr(layer, item)) for _, layer in found}) < 2]
    assert not constant, f"no case of {operation} varies {constant}"
    wanted = 8 if len(arguments) > 3 else 3 if len(arguments) > 1 else 1
    assert len(found) >= wanted, f"{operation} has {len(found)} cases, fewer than {wanted}"
