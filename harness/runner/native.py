"""Native models in this process: build one from a spec, read and write its canonical weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.backends import load_backend
from harness.errors import SpecError
from harness.plan.initial import initial_weights
from harness.records.checkpoint import check_weights
from harness.runner.pretrained import named_weights
from harness.spec.host import device_part
from harness.spec.model import ModelSpec

PRECISIONS = ("float32", "float64", "bfloat16", "float16")


def build(
    spec: ModelSpec, backend: str, weights: Mapping[str, np.ndarray] | str | None = None, seed: int = 0,
    dtype: str = "float32",
) -> Any:
    """The native model: a keras.Model for "tensorflow", a torch.nn.Module for "pytorch".

    Inputs and outputs are positional, in the spec's order, in Keras's layout (channels last).
    A model that begins with layers of text is built from behind them; harness.data.text_prefix.host_inputs computes its
    inputs. weights: canonical name -> array, or what a recipe's `weights` takes ("hf:FOLDER"); None draws the first
    weights from `seed`, the same in both.
    Raises SpecError for an unknown backend or dtype, or weights of another model.
    """
    if dtype not in PRECISIONS:
        raise SpecError(f"unknown dtype {dtype!r}.", hint=f"Known: {', '.join(PRECISIONS)}.")
    if not isinstance(spec, ModelSpec):
        raise SpecError(f"build takes a ModelSpec, got {type(spec).__name__}.", hint="Use harness.load_model(...).")
    spec = device_part(spec)
    if isinstance(weights, str):
        weights = named_weights(weights, spec)
    if weights is not None:
        check_weights(weights, {weight.name: weight.shape for weight in spec.weights})
    first = initial_weights(spec, seed) if weights is None else dict(weights)
    return load_backend(backend).build(spec, first, dtype)


def get_weights(model: Any) -> dict[str, np.ndarray]:
    """The canonical weights ("dense/kernel" -> array in Keras's layout) of a model that `build` made."""
    return load_backend(_backend_of(model)).weights_of(model)


def set_weights(model: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Loads canonical weights into a model that `build` made. Raises SpecError if they are another model's."""
    backend = _backend_of(model)
    spec = model.harness_spec if backend == "tensorflow" else model.spec
    check_weights(weights, {weight.name: weight.shape for weight in spec.weights})
    load_backend(backend).set_weights(model, dict(weights))


def _backend_of(model: Any) -> str:
    if isinstance(getattr(model, "harness_spec", None), ModelSpec):
        return "tensorflow"
    if isinstance(getattr(model, "spec", None), ModelSpec) and hasattr(model, "named_parameters"):
        return "pytorch"
    raise SpecError(f"{type(model).__name__} is not a model that the harness made.",
                    hint="Make one with harness.build(spec, backend).")
