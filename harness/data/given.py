"""Arrays that a user holds in memory, as `model.fit(x, y)` takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.checks import check_arrays, check_finite, check_rows, check_weights
from harness.data.dataset import Arrays, Dataset
from harness.data.fingerprint import fingerprint
from harness.data.sources.npz import write
from harness.data.splits import last_part
from harness.errors import DataError


def from_arrays(
    x: Any,
    y: Any = None,
    validation: Any = None,
    test: Any = None,
    sample_weight: Any = None,
    validation_split: float = 0.0,
    *,
    input_names: Sequence[str] = (),
    target_names: Sequence[str] = (),
    name: str = "arrays",
) -> Dataset:
    """A Dataset of arrays in memory; dtypes and order stay as they are, nothing is shuffled.

    x, y: one array, a dict of arrays, or a list of arrays (then named by input_names and target_names, or
    x_0, x_1, ...). validation, test: (x, y) or (x, y, sample_weight). validation_split: Keras's, the last
    n - floor(n * (1 - f)) examples; ignored where `validation` is given, as Keras does.
    Raises DataError for empty arrays, different lengths, objects, NaN and infinity.
    """
    train = _part(x, y, sample_weight, input_names, target_names)
    parts = {"train": train, "validation": None, "test": None}
    for part, given in (("validation", validation), ("test", test)):
        if given is not None:
            parts[part] = _pair(part, given, input_names, target_names)
    for part, arrays in parts.items():
        if arrays is not None:
            check_arrays(part, arrays, text=True)  # harness/data/text_prefix.py: on_host asks who reads it
            check_weights(part, arrays)
            check_finite(part, arrays)
            check_rows(part, arrays)
    if not 0 <= validation_split < 1:
        raise DataError(f"validation_split must be at least 0 and below 1, got {validation_split}.")
    if validation_split and validation is None:
        parts["train"], parts["validation"] = last_part(train, validation_split)
    present = {part: arrays for part, arrays in parts.items() if arrays is not None}
    return Dataset(
        name=name,
        train=present["train"],
        validation=parts["validation"],
        test=parts["test"],
        fingerprint=fingerprint(present),
        classes=_classes(present),
    )


def save(dataset: Dataset, path: Path) -> None:
    """Writes the dataset to one file that the source {arrays: path} reads back bit by bit."""
    about = {"name": dataset.name, "classes": dataset.classes, "notes": list(dataset.notes),
             "vocabularies": {key: item.to_data() for key, item in dataset.vocabularies.items()}}
    write(dataset.splits, about, Path(path))


def _pair(part: str, given: Any, inputs: Sequence[str], targets: Sequence[str]) -> Arrays:
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise DataError(
            f"expected (x, y) or (x, y, sample_weight), got {type(given).__name__}.", where=f"data: {part}"
        )
    return _part(given[0], given[1], given[2] if len(given) == 3 else None, inputs, targets)


def _part(x: Any, y: Any, weight: Any, inputs: Sequence[str], targets: Sequence[str]) -> Arrays:
    weights = None if weight is None else _array(weight, "sample_weight")
    if weights is not None and weights.shape[1:] == (1,):
        weights = weights.reshape(len(weights))
    return Arrays(_arrays(x, "x", inputs, text=True), {} if y is None else _arrays(y, "y", targets), weights)


def _arrays(value: Any, default: str, names: Sequence[str], text: bool = False) -> dict[str, np.ndarray]:
    """One array, a mapping, or a list of several arrays, by name."""
    if isinstance(value, Mapping):
        return {str(key): _array(item, str(key), text) for key, item in value.items()}
    # As in Keras, a list of arrays is several inputs; a list of numbers or rows is one array.
    if (
        isinstance(value, (list, tuple))
        and value
        and all(hasattr(item, "shape") and item.shape for item in value)
    ):
        if names and len(names) != len(value):
            raise DataError(
                f"expected {len(names)} arrays ({', '.join(names)}), got {len(value)}.", where=default
            )
        listed = names or ([default] if len(value) == 1 else [f"{default}_{i}" for i in range(len(value))])
        return {key: _array(item, key, text) for key, item in zip(listed, value, strict=True)}
    if len(names) > 1:
        raise DataError(f"expected {len(names)} arrays ({', '.join(names)}), got one.", where=default)
    return {names[0] if names else default: _array(value, default, text)}


def _array(value: Any, name: str, text: bool = False) -> np.ndarray:
    try:
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{name} is no array: {error}.", where="data", hint="Pad ragged rows to one length."
        ) from None
    if text and array.dtype.kind == "O" and array.size and all(isinstance(item, str) for item in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in ("iufbU" if text else "iufb"):
        raise DataError(
            f"{name} holds {array.dtype}, expected numbers.",
            where="data",
            hint="Encode text as whole numbers.",
        )
    # Both frameworks read the machine's own byte order only.
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _classes(parts: Mapping[str, Arrays]) -> int | None:
    """The number of classes if the only target is whole numbers [n] or [n, 1], else None."""
    targets = [arrays.y for arrays in parts.values() if arrays.y]
    if not targets or any(len(target) != 1 for target in targets):
        return None
    arrays = [array for target in targets for array in target.values()]
    if any(array.dtype.kind not in "iu" or array.size != len(array) or array.min() < 0 for array in arrays):
        return None
    return 1 + max(int(array.max()) for array in arrays)
