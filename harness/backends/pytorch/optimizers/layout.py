"""A Keras variable's tensors as one tensor in Keras's shape, for updates that look at rows, columns or matrices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from harness.backends.pytorch.optimizers.base import OptimizedVariable


class Layout:
    """Both ways between a variable's tensors and its tensor in Keras's shape; found by sending numbers through.

    shape: Keras's.
    """

    def __init__(self, variable: OptimizedVariable) -> None:
        self.shapes = [tuple(parameter.shape) for parameter in variable.parameters]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        numbers = np.split(np.arange(sum(self.sizes)), np.cumsum(self.sizes)[:-1])
        pieces = tuple(piece.reshape(shape) for piece, shape in zip(numbers, self.shapes, strict=True))
        places = np.asarray(variable.to_keras(pieces))
        assert np.array_equal(np.sort(places, axis=None), np.arange(sum(self.sizes))), variable.name
        self.shape = places.shape
        self.axes = _transposition(pieces[0], places) if len(pieces) == 1 else None
        if self.axes is None:
            device = variable.parameters[0].device
            flat = places.reshape(-1)
            self.order = torch.from_numpy(flat).to(device)
            self.inverse = torch.from_numpy(np.argsort(flat)).to(device)

    def join(self, tensors: Sequence[Tensor]) -> Tensor:
        """In Keras's shape; a view where the layouts differ by a transposition only."""
        if self.axes is not None:
            return tensors[0].permute(self.axes)
        return torch.cat([tensor.reshape(-1) for tensor in tensors])[self.order].view(self.shape)

    def split(self, joined: Tensor) -> list[Tensor]:
        """The inverse of `join`."""
        if self.axes is not None:
            return [joined.permute([self.axes.index(axis) for axis in range(len(self.axes))])]
        pieces = joined.reshape(-1)[self.inverse].split(self.sizes)
        return [piece.view(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]


def _transposition(piece: np.ndarray, places: np.ndarray) -> tuple[int, ...] | None:
    """The axes by which `piece` is transposed to `places`, None if it is not."""
    if piece.ndim != places.ndim:
        return None
    for axes in itertools.permutations(range(piece.ndim)):
        if np.array_equal(piece.transpose(axes), places):
            return axes
    return None
