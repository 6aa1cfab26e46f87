"""Keras's way of bringing two arrays to the same number of axes."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Values = NDArray[Any]


def same_rank(first: Values, second: Values) -> tuple[Values, Values]:
    """Keras's squeeze_or_expand_to_same_rank (losses/loss.py): [n] meets [n, 1], [n, t] meets [n, t, 1]."""
    if first.ndim == second.ndim + 1 and first.shape[-1] == 1:
        if second.ndim == 1:
            return first, second[..., None]
        return first[..., 0], second
    if second.ndim == first.ndim + 1 and second.shape[-1] == 1:
        if first.ndim == 1:
            return first[..., None], second
        return first, second[..., 0]
    return first, second
