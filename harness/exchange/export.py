"""`harness.export`: a model as a file of another kind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import SpecError, did_you_mean
from harness.spec.model import ModelSpec

# Kind -> the endings of its files.
KINDS = {
    "pytorch": (".py",), "keras": (".keras",), "onnx": (".onnx",), "yaml": (".yaml", ".yml"), "json": (".json",),
}
DTYPES = ("float32", "float64", "float16", "bfloat16")
Weights = Mapping[str, np.ndarray]


def export(
    spec: ModelSpec, to: str, path: str | os.PathLike[str], weights: Weights | str | os.PathLike[str] | None = None, *,
    seed: int = 0, dtype: str = "float32",
) -> list[Path]:
    """Writes the model and returns the files that were written.

    to: "pytorch" (a .py file that imports torch alone, and its weights beside it as .safetensors), "keras" (a .keras
    file), "onnx", "yaml" or "json" (the spec; the weights beside it where they are given). weights: canonical ones, or
    a .safetensors file with such; None draws the first weights from `seed`. dtype: of the model.
    Raises SpecError for an unknown kind, an ending that does not fit, weights of another model, and for layers that
    cannot be expressed, with the list of them.
    """
    path = Path(path)
    if to not in KINDS:
        raise SpecError(f"unknown kind of file {to!r}.", hint=did_you_mean(to, KINDS))
    if path.suffix not in KINDS[to]:
        raise SpecError(f"a file of the kind {to} ends in {' or '.join(KINDS[to])}.", where=str(path))
    if dtype not in DTYPES:
        raise SpecError(f"unknown dtype {dtype!r}.", hint=f"Known: {', '.join(DTYPES)}.")
    if not path.parent.is_dir():
        raise SpecError("there is no such folder.", where=str(path.parent))
    if to in ("yaml", "json") and weights is None:
        spec.save(path)
        return [path]
    return _WRITERS[to](spec, path, _weights(spec, weights, seed), dtype)


def _weights(spec: ModelSpec, weights: Weights | str | os.PathLike[str] | None, seed: int) -> Weights:
    from harness.plan.initial import initial_weights
    from harness.records.checkpoint import check_weights, load_checkpoint

    if weights is None:
        return initial_weights(spec, seed)
    expected = {weight.name: weight.shape for weight in spec.weights}
    if isinstance(weights, (str, os.PathLike)):
        return load_checkpoint(Path(weights), expected).weights
    check_weights(weights, expected)
    return weights


def _write_pytorch(spec: ModelSpec, path: Path, weights: Weights, dtype: str) -> list[Path]:
    from harness.backends.pytorch.blueprint import draw_blueprint
    from harness.backends.pytorch.state_files import save_weights
    from harness.exchange.pytorch_source import pytorch_source

    blueprint = draw_blueprint(spec, weights, dtype)
    text, attributes = pytorch_source(blueprint, path.stem)
    stored = path.with_suffix(".safetensors")
    path.write_text(text, encoding="utf-8")
    save_weights(blueprint.state(attributes), stored, {"model": spec.name, "digest": spec.digest})
    stored.chmod(path.stat().st_mode)  # safetensors writes files that nobody else may read
    return [path, stored]


def _write_spec(spec: ModelSpec, path: Path, weights: Weights, dtype: str) -> list[Path]:
    from harness.records.checkpoint import SUFFIX, save_checkpoint

    spec.save(path)
    beside = path.with_suffix(SUFFIX)
    save_checkpoint(beside, weights, {"model": spec.name, "digest": spec.digest})
    return [path, beside]


def _write_keras(spec: ModelSpec, path: Path, weights: Weights, dtype: str) -> list[Path]:
    from harness.exchange.keras_writer import write_keras_file

    if dtype not in ("float32", "float64"):
        raise SpecError(f"a .keras file is written in float32 or float64, not in {dtype}.", where=str(path))
    write_keras_file(spec, {name: np.asarray(value, dtype) for name, value in weights.items()}, path)
    return [path]


def _write_onnx(spec: ModelSpec, path: Path, weights: Weights, dtype: str) -> list[Path]:
    from harness.backends.pytorch.onnx_file import write_onnx

    return write_onnx(spec, weights, dtype, path)


_WRITERS: dict[str, Any] = {
    "pytorch": _write_pytorch, "keras": _write_keras, "onnx": _write_onnx, "yaml": _write_spec, "json": _write_spec,
}
