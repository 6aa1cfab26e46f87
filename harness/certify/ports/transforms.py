"""How a Keras weight stands in a PyTorch module's tensors: declared transforms, each with its inverse.

A weight is never reshaped until it fits. A transform is written as text in names.yaml ("transpose", "flatten 4 4 8"),
and made for one weight by `Transform.parse`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.errors import SpecError, did_you_mean

Pieces = tuple[np.ndarray, ...]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Transform:
    """name: one of TRANSFORMS. numbers: what it was given. shape: of the weight in Keras."""

    name: str
    numbers: tuple[int, ...]
    shape: Shape

    @property
    def text(self) -> str:
        return " ".join([self.name, *map(str, self.numbers)])

    @staticmethod
    def parse(text: str, shape: Shape, where: str = "mapping") -> Transform:
        """Reads "permute 3 2 0 1". Raises SpecError for an unknown name or numbers that do not fit the weight."""
        name, *rest = text.split()
        if name not in TRANSFORMS:
            raise SpecError(f"unknown transform {name!r}.", where=where, hint=did_you_mean(name, TRANSFORMS))
        if not all(item.isdigit() for item in rest):
            raise SpecError(f"the transform {text!r}: after its name come whole numbers.", where=where)
        found = Transform(name, tuple(map(int, rest)), tuple(shape))
        try:
            found.to_torch(np.zeros(shape))
        except (ValueError, IndexError, TypeError, AssertionError):
            raise SpecError(f"the transform {text!r} does not fit a weight of shape {tuple(shape)}.", where=where,
                            hint=f"{name}: {(TRANSFORMS[name][0].__doc__ or '').strip()}") from None
        return found

    def to_torch(self, array: np.ndarray) -> Pieces:
        """The tensors' values."""
        return TRANSFORMS[self.name][0](np.asarray(array), self.numbers)

    def to_keras(self, pieces: Pieces) -> np.ndarray:
        """The inverse of `to_torch`."""
        return TRANSFORMS[self.name][1](pieces, self.numbers, self.shape)

    @property
    def torch_shapes(self) -> tuple[Shape, ...]:
        return tuple(piece.shape for piece in self.to_torch(np.zeros(self.shape)))


def _same(array: np.ndarray, numbers: tuple[int, ...]) -> Pieces:
    """the tensor is the weight."""
    return (array,)


def _same_back(pieces: Pieces, numbers: tuple[int, ...], shape: Shape) -> np.ndarray:
    return pieces[0]


def _transpose(array: np.ndarray, numbers: tuple[int, ...]) -> Pieces:
    """the tensor is the transposed matrix."""
    assert array.ndim == 2
    return (array.T,)


def _transpose_back(pieces: Pieces, numbers: tuple[int, ...], shape: Shape) -> np.ndarray:
    return pieces[0].T


def _permute(array: np.ndarray, numbers: tuple[int, ...]) -> Pieces:
    """the tensor is the weight with its axes in this order."""
    return (array.transpose(numbers),)


def _permute_back(pieces: Pieces, numbers: tuple[int, ...], shape: Shape) -> np.ndarray:
    return pieces[0].transpose(np.argsort(numbers))


def _flatten(array: np.ndarray, numbers: tuple[int, ...]) -> Pieces:
    """a Dense kernel behind Flatten of (height, width, channels), which PyTorch flattens channels first."""
    *places, channels = numbers
    axes = (len(numbers), len(places), *range(len(places)))
    return (array.reshape(*places, channels, -1).transpose(axes).reshape(array.shape[1], -1),)


def _flatten_back(pieces: Pieces, numbers: tuple[int, ...], shape: Shape) -> np.ndarray:
    *places, channels = numbers
    whole = pieces[0].reshape(-1, channels, *places)
    return whole.transpose(*range(2, len(numbers) + 1), 1, 0).reshape(shape)


def _depthwise(array: np.ndarray, numbers: tuple[int, ...]) -> Pieces:
    """a depthwise kernel (..., channels, multiplier) as that of a convolution in groups."""
    rank = array.ndim - 2
    return (array.transpose(rank, rank + 1, *range(rank)).reshape(-1, 1, *array.shape[:rank]),)


def _depthwise_back(pieces: Pieces, numbers: tuple[int, ...], shape: Shape) -> np.ndarray:
    rank = len(shape) - 2
    return pieces[0].reshape(*shape[rank:], *shape[:rank]).transpose(*range(2, rank + 2), 0, 1)


def _heads_in(array: np.ndarray, numbers: tuple[int, ...]) -> Pieces:
    """attention's (features, heads, size) as a Linear's (heads * size, features)."""
    return (array.reshape(array.shape[0], -1).T,)


def _heads_in_back(pieces: Pieces, numbers: tuple[int, ...], shape: Shape) -> np.ndarray:
    return pieces[0].T.reshape(shape)


def _heads_out(array: np.ndarray, numbers: tuple[int, ...]) -> Pieces:
    """attention's (heads, size, features) as a Linear's (features, heads * size)."""
    return (array.reshape(-1, array.shape[-1]).T,)


def _ravel(array: np.ndarray, numbers: tuple[int, ...]) -> Pieces:
    """the tensor is the weight in one row (attention's bias of heads; an alpha over shared axes)."""
    return (array.reshape(-1),)


def _reshaped_back(pieces: Pieces, numbers: tuple[int, ...], shape: Shape) -> np.ndarray:
    return pieces[0].reshape(shape)


def _blocks(array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[index] for index in order], axis=-1)


def _gate_bias(array: np.ndarray, numbers: tuple[int, ...]) -> Pieces:
    """a recurrent bias (gates,) as one tensor, or (2, gates) as two, its gates in this order."""
    whole = _blocks(array, numbers)
    return (whole,) if whole.ndim == 1 else (whole[0], whole[1])


def _gate_bias_back(pieces: Pieces, numbers: tuple[int, ...], shape: Shape) -> np.ndarray:
    whole = pieces[0] if len(shape) == 1 else np.stack(pieces)
    return _blocks(whole, tuple(int(item) for item in np.argsort(numbers)))


def _gate_kernel(array: np.ndarray, numbers: tuple[int, ...]) -> Pieces:
    """a recurrent kernel with its gates in this order, transposed."""
    return (_blocks(array, numbers).T,)


def _gate_kernel_back(pieces: Pieces, numbers: tuple[int, ...], shape: Shape) -> np.ndarray:
    return _blocks(pieces[0].T, tuple(int(item) for item in np.argsort(numbers)))


Function = Callable[[np.ndarray, tuple[int, ...]], Pieces]
Inverse = Callable[[Pieces, tuple[int, ...], Shape], np.ndarray]
TRANSFORMS: dict[str, tuple[Function, Inverse]] = {
    "same": (_same, _same_back),
    "transpose": (_transpose, _transpose_back),
    "permute": (_permute, _permute_back),
    "flatten": (_flatten, _flatten_back),
    "depthwise": (_depthwise, _depthwise_back),
    "heads_in": (_heads_in, _heads_in_back),
    "heads_out": (_heads_out, _heads_in_back),
    "ravel": (_ravel, _reshaped_back),
    "gates": (_gate_kernel, _gate_kernel_back),
    "gate_bias": (_gate_bias, _gate_bias_back),
}
