"""How a module's tensors hold Keras's weights: one declared map per role, both ways.

A weight is never moved by guessing from its name or by reshaping until it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from harness.errors import SpecError

Pieces = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class WeightMap:
    """One Keras weight as one or more tensors of a module.

    tensors: attribute paths of parameters or buffers ("weight", "query.weight").
    to_keras: their values -> the array in Keras's layout. to_torch: the inverse.
    """

    tensors: tuple[str, ...]
    to_keras: Callable[[Pieces], np.ndarray]
    to_torch: Callable[[np.ndarray], Pieces]


def same(tensor: str) -> WeightMap:
    """The tensor has Keras's layout."""
    return WeightMap((tensor,), lambda pieces: pieces[0], lambda array: (array,))


def permuted(tensor: str, *axes: int) -> WeightMap:
    """tensor = keras.transpose(axes)."""
    inverse = tuple(int(axis) for axis in np.argsort(axes))
    return WeightMap((tensor,), lambda pieces: pieces[0].transpose(inverse), lambda array: (array.transpose(axes),))


def reshaped(tensor: str, shape: tuple[int, ...], keras_shape: tuple[int, ...], *axes: int) -> WeightMap:
    """tensor = keras.transpose(axes).reshape(shape); keras_shape: the shape in Keras's layout."""
    between = tuple(keras_shape[axis] for axis in axes)
    inverse = tuple(int(axis) for axis in np.argsort(axes))
    return WeightMap(
        (tensor,),
        lambda pieces: pieces[0].reshape(between).transpose(inverse),
        lambda array: (array.transpose(axes).reshape(shape),),
    )


def weight_maps(module: nn.Module) -> Mapping[str, WeightMap]:
    """Role -> map of a module that a builder made."""
    maps: Mapping[str, WeightMap] = getattr(module, "keras_weights", {})
    return maps


def tensor_at(module: nn.Module, path: str) -> torch.Tensor:
    """The parameter or buffer at an attribute path."""
    owner, _, name = path.rpartition(".")
    tensor = getattr(module.get_submodule(owner), name)
    assert isinstance(tensor, torch.Tensor), path
    return tensor


def read_weight(module: nn.Module, weight_map: WeightMap) -> np.ndarray:
    """The weight in Keras's layout, a copy."""
    pieces = tuple(tensor_at(module, path).detach().cpu().numpy() for path in weight_map.tensors)
    return np.array(weight_map.to_keras(pieces))


def write_weight(module: nn.Module, weight_map: WeightMap, array: np.ndarray, name: str) -> None:
    """Copies an array in Keras's layout into the module. Raises SpecError if the shapes disagree."""
    pieces = weight_map.to_torch(np.asarray(array))
    for path, piece in zip(weight_map.tensors, pieces, strict=True):
        tensor = tensor_at(module, path)
        if tuple(tensor.shape) != piece.shape:
            raise SpecError(f"the weight {name!r} has the shape {np.shape(array)}, which does not fit.")
        with torch.no_grad():
            # As it lies in memory: torch transposes faster than NumPy makes a copy in another order.
            tensor.copy_(torch.from_numpy(np.asarray(piece)))
