"""How a tensor of PyTorch becomes a weight in Keras's layout: the only ways there are, each with its shapes.

A layout says which shape the tensor has for a weight's shape; nothing is reshaped until it fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """tensor: the weight's shape -> the tensor's. convert: (the tensor, the weight's shape) -> the weight."""

    name: str
    tensor: Callable[[Shape], Shape]
    convert: Callable[[np.ndarray, Shape], np.ndarray]


def part(layout: Layout, number: int, of: int, axis: int) -> Layout:
    """The `number`-th (from 0) of `of` equal parts along the tensor's axis: one of several weights in one tensor."""

    def tensor(shape: Shape) -> Shape:
        sizes = list(layout.tensor(shape))
        sizes[axis] *= of
        return tuple(sizes)

    def convert(array: np.ndarray, shape: Shape) -> np.ndarray:
        size = array.shape[axis] // of
        return layout.convert(array.take(range(number * size, (number + 1) * size), axis), shape)

    return Layout(f"part {number + 1} of {of}, {layout.name}", tensor, convert)


SAME = Layout("as it is", lambda shape: shape, lambda array, shape: array)
# nn.Linear (outputs, inputs) -> (inputs, outputs)
LINEAR = Layout("transposed", lambda shape: (shape[1], shape[0]), lambda array, shape: array.T)
# nn.Conv2d (outputs, inputs, height, width) -> (height, width, inputs, outputs)
CONVOLUTION = Layout("channels last", lambda shape: (shape[3], shape[2], shape[0], shape[1]),
                     lambda array, shape: array.transpose(2, 3, 1, 0))
# nn.Linear (heads * size, inputs) -> (inputs, heads, size), and its bias
INTO_HEADS = Layout("transposed, split into heads", lambda shape: (shape[1] * shape[2], shape[0]),
                    lambda array, shape: array.T.reshape(shape))
HEADS_BIAS = Layout("split into heads", lambda shape: (shape[0] * shape[1],),
                    lambda array, shape: array.reshape(shape))
# nn.Linear (outputs, heads * size) -> (heads, size, outputs)
OUT_OF_HEADS = Layout("transposed, split into heads", lambda shape: (shape[2], shape[0] * shape[1]),
                      lambda array, shape: array.T.reshape(shape))
# GPT-2's Conv1D holds (inputs, outputs): (inputs, heads * size) -> (inputs, heads, size) and the way back
CONV1D_INTO_HEADS = Layout("split into heads", lambda shape: (shape[0], shape[1] * shape[2]),
                           lambda array, shape: array.reshape(shape))
CONV1D_OUT_OF_HEADS = Layout("split into heads", lambda shape: (shape[0] * shape[1], shape[2]),
                             lambda array, shape: array.reshape(shape))
# (numbers,) -> a table of one row (1, numbers)
ONE_ROW = Layout("as one row", lambda shape: shape[1:], lambda array, shape: array[None])
# (1, rows, numbers) -> (rows, numbers)
WITHOUT_BATCH = Layout("without its first axis", lambda shape: (1, *shape), lambda array, shape: array[0])
