"""Operations that move, join, cut and repeat values in PyTorch (keras/src/backend/tensorflow/numpy.py, core.py).

Tensors are in Keras's layout, so that these are Keras's own axes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from harness.backends.pytorch.layers.operations import Operation


class Reshape(Operation):
    """newshape: -1 for what is left over."""

    def __init__(self, newshape: tuple[int, ...]) -> None:
        super().__init__()
        self.newshape = newshape

    def extra_repr(self) -> str:
        return f"{self.newshape}"

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(self.newshape)


class Transpose(Operation):
    """The axes in another order."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def extra_repr(self) -> str:
        return f"{self.axes}"

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(self.axes)


class ExpandDims(Operation):
    """New axes of size 1; axis: their places afterwards, in order."""

    def __init__(self, axis: tuple[int, ...]) -> None:
        super().__init__()
        self.axis = axis

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        for axis in self.axis:
            x = x.unsqueeze(axis)
        return x


class Squeeze(Operation):
    """Without these axes of size 1."""

    def __init__(self, axis: tuple[int, ...]) -> None:
        super().__init__()
        self.axis = axis

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return x.squeeze(self.axis) if self.axis else x


class Flip(Operation):
    def __init__(self, axis: tuple[int, ...]) -> None:
        super().__init__()
        self.axis = axis

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return x.flip(self.axis)


class Rot90(Operation):
    def __init__(self, k: int, axes: tuple[int, int]) -> None:
        super().__init__()
        self.k, self.axes = k, axes

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.rot90(x, self.k, self.axes)


class Roll(Operation):
    """Round the ends of axes; of all values in a row for None."""

    def __init__(self, shift: int | tuple[int, ...], axis: int | tuple[int, ...] | None) -> None:
        super().__init__()
        self.shift, self.axis = shift, axis

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.roll(x, self.shift) if self.axis is None else torch.roll(x, self.shift, self.axis)


class Concatenate(Operation):
    """flat: of all values of each in a row."""

    def __init__(self, axis: int, flat: bool = False, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.axis, self.flat = axis, flat

    def extra_repr(self) -> str:
        return f"axis={self.axis}"

    def compute(self, *xs: Any) -> torch.Tensor:
        tensors = self.tensors(*xs, strict=True)
        return torch.cat([x.flatten() for x in tensors] if self.flat else tensors, self.axis)


class DepthStack(Operation):
    """Joined along a third axis, which vectors and matrices get."""

    def compute(self, *xs: Any) -> torch.Tensor:
        return torch.dstack(self.tensors(*xs, strict=True))


class Stack(Operation):
    def __init__(self, axis: int, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.axis = axis

    def extra_repr(self) -> str:
        return f"axis={self.axis}"

    def compute(self, *xs: Any) -> torch.Tensor:
        return torch.stack(self.tensors(*xs, strict=True), self.axis)


class Split(Operation):
    """sections: how many, the first ones longer by one where it does not come out even; or the places to cut at."""

    def __init__(self, sections: int | tuple[int, ...], axis: int) -> None:
        super().__init__()
        self.sections, self.axis = sections, axis

    def extra_repr(self) -> str:
        return f"{self.sections}, axis={self.axis}"

    def compute(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(torch.tensor_split(x, self.sections, self.axis))


class Unstack(Operation):
    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def compute(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(x.unbind(self.axis))


class Repeat(Operation):
    """Every value (along an axis) so many times: one number, or one per place."""

    def __init__(self, repeats: int | tuple[int, ...], axis: int | None) -> None:
        super().__init__()
        self.repeats, self.axis = repeats, axis

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        repeats: Any = self.repeats if isinstance(self.repeats, int) else torch.tensor(self.repeats, device=x.device)
        return x.repeat_interleave(repeats, self.axis)


class Tile(Operation):
    def __init__(self, repeats: tuple[int, ...]) -> None:
        super().__init__()
        self.repeats = repeats

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return x.tile(self.repeats)


class Pad(Operation):
    """pairs: (before, after) of every axis. mode: "constant", or "reflect" and "symmetric", without and with the
    outermost value doubled."""

    def __init__(self, pairs: tuple[tuple[int, int], ...], mode: str, value: float = 0) -> None:
        super().__init__()
        self.pairs, self.mode, self.value = pairs, mode, value

    def extra_repr(self) -> str:
        return f"{self.pairs}, {self.mode}"

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        if self.mode == "constant":
            # F.pad counts from the last axis.
            return F.pad(x, [number for pair in reversed(self.pairs) for number in pair], value=self.value)
        double = int(self.mode == "symmetric")
        for axis, (before, after) in enumerate(self.pairs):
            if before or after:
                length = x.shape[axis]
                front = range(before - double, -double, -1)
                back = range(length - 2 + double, length - 2 + double - after, -1)
                places = torch.tensor([*front, *range(length), *back], device=x.device)
                x = x.index_select(axis, places)
        return x


class BroadcastTo(Operation):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return x.broadcast_to(self.shape)


class Diagonal(Operation):
    """The diagonal of two axes; summed: the sum over it."""

    def __init__(self, offset: int, axis1: int, axis2: int, summed: bool = False) -> None:
        super().__init__()
        self.offset, self.axis1, self.axis2, self.summed = offset, axis1, axis2, summed

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.diagonal(x, self.offset, self.axis1, self.axis2)
        if not self.summed:
            return y
        short = x.dtype in (torch.bool, torch.int8, torch.int16)
        return y.sum(-1, dtype=torch.int32 if short else x.dtype)


class Diag(Operation):
    """A matrix with x on a diagonal, or the diagonal of a matrix. flat: of all values in a row."""

    def __init__(self, k: int, flat: bool = False) -> None:
        super().__init__()
        self.k, self.flat = k, flat

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.diag(x.flatten() if self.flat else x, self.k)


class Triangle(Operation):
    """The values below (lower) or above a diagonal of the last two axes, 0 elsewhere."""

    def __init__(self, lower: bool, k: int = 0) -> None:
        super().__init__()
        self.lower, self.k = lower, k

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return (torch.tril if self.lower else torch.triu)(x, self.k)


class Vander(Operation):
    """Rows of powers; N: how many, as many as rows for None."""

    def __init__(self, N: int | None = None, increasing: bool = False) -> None:
        super().__init__()
        self.number, self.increasing = N, increasing

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.floating(x)
        number = self.number if self.number is not None else len(x)
        powers = torch.arange(number, dtype=wide.dtype, device=x.device)
        return torch.pow(wide.unsqueeze(-1), powers if self.increasing else powers.flip(0)).to(x.dtype)


class Meshgrid(Operation):
    def __init__(self, indexing: str = "xy", fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.indexing = indexing

    def compute(self, *xs: Any) -> tuple[torch.Tensor, ...]:
        return tuple(torch.meshgrid(*(x.flatten() for x in self.tensors(*xs)), indexing=self.indexing))


BUILDERS: dict[str, tuple[type[Operation], dict[str, Any]]] = {
    "repeat": (Repeat, {}), "broadcast_to": (BroadcastTo, {}), "diag": (Diag, {}), "diagflat": (Diag, {"flat": True}),
    "tril": (Triangle, {"lower": True}), "triu": (Triangle, {"lower": False}), "vander": (Vander, {}),
    "meshgrid": (Meshgrid, {}), "dstack": (DepthStack, {}), "reshape": (Reshape, {}),
}
