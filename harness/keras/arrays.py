"""A script's data as the harness's dataset: by the model's names, in its precision, in the rank it expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.data import Dataset, from_arrays
from harness.data.text_prefix import host_inputs
from harness.errors import DataError

if TYPE_CHECKING:
    from harness.keras.model import Model
    from harness.spec.notation import Tensor

_STREAMS = ("Dataset", "DataLoader", "PyDataset", "Sequence", "generator", "Iterator")


def dataset(
    model: Model, x: Any, y: Any, sample_weight: Any, validation: Any, validation_split: float, precision: str,
) -> Dataset:
    """The arrays of a fit or an evaluation. A Sequential model without an input shape is built for them.

    Raises DataError for streams, missing targets, and arrays that do not fit.
    """
    refuse_stream(x)
    if y is None:
        raise DataError("there are no targets: y is None.", where="y", hint="Give x and y as arrays.")
    built_for(model, x)
    if validation is not None:
        if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
            raise DataError(f"expected (x, y) or (x, y, sample_weight), got {type(validation).__name__}.",
                            where="validation_data")
        x_val, y_val, *weight = validation
        validation = (inputs(model, x_val, precision), targets(model, y_val, precision), *weight)
    return from_arrays(inputs(model, x, precision), targets(model, y, precision), validation=validation,
                       sample_weight=None if sample_weight is None else np.asarray(sample_weight),
                       validation_split=validation_split)


def built_for(model: Model, x: Any) -> None:
    """Builds a Sequential model that waits for its input's shape."""
    refuse_stream(x)
    if not model.built and hasattr(model, "build_for"):
        model.build_for(np.asarray(x).shape[1:])


def inputs(model: Model, x: Any, precision: str) -> dict[str, np.ndarray]:
    """Input name -> array, with Keras's correction of the rank (keras/src/models/functional.py), as the frameworks get
    them: behind layers of text, which the host computes here, the inputs are those of `device_part`.

    Raises DataError for text that no layer reads.
    """
    refuse_stream(x)
    names = [item.name for item in model.graph.spec.inputs]
    found = _by_name(x, names, "input")
    wanted = {
        name: _as_wanted(found[name], tensor) for name, tensor in zip(names, model.graph.inputs, strict=True)
    }
    ready = {name: _cast(array, precision) for name, array in host_inputs(model.graph.spec, wanted).items()}
    for name, array in ready.items():
        if array.dtype.kind not in "iufb":
            raise DataError(f"the input {name} is no array of numbers but of {array.dtype}.", where="x",
                            hint="Encode text as whole numbers, or begin the model with a TextVectorization.")
    return ready


def targets(model: Model, y: Any, precision: str) -> dict[str, np.ndarray]:
    """Output name -> array."""
    return {name: _cast(array, precision) for name, array in _by_name(y, model.output_names, "output").items()}


def _by_name(value: Any, names: list[str], what: str) -> dict[str, np.ndarray]:
    if isinstance(value, Mapping):
        if len(value) == len(names) == 1:
            return {names[0]: _array(next(iter(value.values())), what)}
        missing = [name for name in names if name not in value]
        # Keras leaves out the targets of outputs that have no loss, and lets no input be left out.
        if missing and (what == "input" or len(missing) == len(names)):
            raise DataError(f"the model's {what}s are {', '.join(names)}; there is no array for {', '.join(missing)}.")
        return {name: _array(value[name], what) for name in names if name in value}
    if len(names) == 1:
        several = isinstance(value, (list, tuple)) and len(value) == 1 and np.ndim(value[0]) > 0
        return {names[0]: _array(value[0] if several and hasattr(value[0], "shape") else value, what)}
    if not isinstance(value, (list, tuple)) or len(value) != len(names):
        got = len(value) if isinstance(value, (list, tuple)) else "one"
        raise DataError(f"the model has {len(names)} {what}s ({', '.join(names)}), got {got}.",
                        hint="Give a list of arrays, or a dict of them by name.")
    return {name: _array(item, what) for name, item in zip(names, value, strict=True)}


def _array(value: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        hint = "Pad ragged rows: keras.utils.pad_sequences."
        raise DataError(f"the {what} is no array: {error}.", hint=hint) from None


def _as_wanted(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    wanted = tensor.shape
    if array.ndim == len(wanted) + 1 and array.shape[-1] == 1:
        array = array[..., 0]
    elif array.ndim == len(wanted) - 1 and wanted[-1] == 1:
        array = array[..., None]
    return array


def _cast(array: np.ndarray, precision: str) -> np.ndarray:
    return array.astype(precision, copy=False) if array.dtype.kind == "f" else array


def refuse_stream(x: Any) -> None:
    """Raises DataError for what yields batches: their order would not be the harness's."""
    kind = type(x)
    if x is None or hasattr(x, "__next__") or (
        not hasattr(x, "__array__") and any(kind.__name__.endswith(word) for word in _STREAMS)
    ):
        raise DataError(f"x is {kind.__name__}; only arrays are trained on.", where="x",
                        hint="Gather the batches into NumPy arrays: both frameworks get them in one order.")
