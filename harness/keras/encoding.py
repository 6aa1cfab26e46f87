"""Keras's helpers for data in NumPy (keras/src/utils/numerical_utils.py, sequence_utils.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError

if TYPE_CHECKING:
    import numpy as np


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """One-hot rows, float64 [..., num_classes], of whole-number classes [...] or [..., 1]."""
    import numpy as np

    labels = np.array(x, dtype="int64")
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    labels = labels.reshape(-1)
    classes = num_classes or (int(labels.max()) + 1 if labels.size else 0)
    if labels.size and not -classes <= labels.min() <= labels.max() < classes:
        raise SpecError(f"the labels go from {labels.min()} to {labels.max()}, num_classes is {classes}.",
                        where="to_categorical")
    rows = np.zeros((len(labels), classes))
    rows[np.arange(len(labels)), labels] = 1
    return rows.reshape((*shape, classes))


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """x over its norm along the axis; a norm of zero counts as one."""
    import numpy as np

    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return np.asarray(x / np.expand_dims(norm, axis or -1))


def pad_sequences(
    sequences: Sequence[Sequence[Any]], maxlen: int | None = None, dtype: str = "int32", padding: str = "pre",
    truncating: str = "pre", value: float = 0.0,
) -> np.ndarray:
    """[len(sequences), maxlen, ...]: each sequence cut or filled to the same length."""
    import numpy as np

    for name, given in (("padding", padding), ("truncating", truncating)):
        if given not in ("pre", "post"):
            raise SpecError(f"{name} is 'pre' or 'post', got {given!r}.", where="pad_sequences")
    length = max((len(sequence) for sequence in sequences), default=0) if maxlen is None else maxlen
    inner = next((np.asarray(sequence).shape[1:] for sequence in sequences if len(sequence)), ())
    padded = np.full((len(sequences), length, *inner), value, dtype=dtype)
    for row, sequence in zip(padded, sequences, strict=True):
        kept = np.asarray(sequence[-length:] if truncating == "pre" else sequence[:length], dtype=dtype)
        if len(kept):
            row[slice(None, len(kept)) if padding == "post" else slice(-len(kept), None)] = kept
    return padded
