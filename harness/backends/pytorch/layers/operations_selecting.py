"""Operations that pick values in PyTorch (keras/src/backend/tensorflow/numpy.py, core.py, math.py, nn.py)."""

from __future__ import annotations

from typing import Any

import torch

from harness.backends.pytorch.activations import r32
from harness.backends.pytorch.layers.operations import Operation, dtype_of


class GetItem(Operation):
    """x[key]. key: one entry per axis: a whole number, (start, stop, step); None for a new axis."""

    def __init__(self, key: tuple[Any, ...]) -> None:
        super().__init__()
        self.key = key

    def extra_repr(self) -> str:
        return f"{self.key}"

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        axis, key = 0, []
        for item in self.key:
            if isinstance(item, tuple) and item[2] is not None and item[2] < 0:
                # torch has no slices that go backwards.
                places = range(*slice(*item).indices(x.shape[axis]))
                x = x.index_select(axis, torch.tensor(list(places), dtype=torch.int64, device=x.device))
                key.append(slice(None))
            else:
                key.append(slice(*item) if isinstance(item, tuple) else item)
            axis += item is not None
        return x[tuple(key)]


class Where(Operation):
    def compute(self, condition: Any, a: Any, b: Any) -> torch.Tensor:
        a, b = self.together(a, b)
        if not isinstance(a, torch.Tensor) and not isinstance(b, torch.Tensor):
            a, b = self.tensors(a, b)
        if not isinstance(condition, torch.Tensor):
            condition = torch.tensor(bool(condition), device=self.floatx.device)
        return torch.where(condition.bool(), a, b)


class Select(Operation):
    """The choice behind the first condition that is true. count: how many there are of each."""

    def __init__(self, count: int, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.count = count

    def compute(self, *operands: Any) -> torch.Tensor:
        conditions, values = operands[:self.count], self.tensors(*operands[self.count:])
        y = values[-1]
        for condition, choice in zip(reversed(conditions), reversed(values[:-1]), strict=True):
            y = torch.where(condition.bool(), choice, y)
        return y


class Take(Operation):
    """The values at these places of an axis, of all values in a row for None; negative ones count from the end."""

    def __init__(self, axis: int | None = None, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.axis = axis

    def extra_repr(self) -> str:
        return f"axis={self.axis}"

    def compute(self, x: torch.Tensor, indices: Any) -> torch.Tensor:
        x, axis = (x.flatten(), 0) if self.axis is None else (x, self.axis)
        places = indices if isinstance(indices, torch.Tensor) else torch.tensor(indices, device=x.device)
        places = torch.where(places < 0, places + x.shape[axis], places).long()
        return x.index_select(axis, places.flatten()).reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1:])


class TakeAlongAxis(Operation):
    def __init__(self, axis: int | None = None, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.axis = axis

    def compute(self, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        x, axis = (x.flatten(), 0) if self.axis is None else (x, self.axis)
        places = torch.where(indices < 0, indices + x.shape[axis], indices).long()
        return torch.take_along_dim(x, places, axis)


class Slice(Operation):
    """starts, sizes: of every axis; a size of -1 reaches to the end."""

    def __init__(self, starts: tuple[int, ...], sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.starts, self.sizes = starts, sizes

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        pairs = zip(self.starts, self.sizes, strict=True)
        return x[tuple(slice(start, None if size == -1 else start + size) for start, size in pairs)]


class Scatter(Operation):
    """Zeros of a shape, to which the values are added at their indices."""

    def __init__(self, shape: tuple[int, ...], fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.shape = shape

    def compute(self, indices: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        zeros = torch.zeros(self.shape, dtype=values.dtype, device=values.device)
        return zeros.index_put(tuple(indices.long().unbind(-1)), values, accumulate=True)


class ScatterUpdate(Operation):
    """The values at the indices are replaced, or added to."""

    def __init__(self, add: bool, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.add = add

    def compute(self, x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        return x.index_put(tuple(indices.long().unbind(-1)), updates.to(x.dtype), accumulate=self.add)


class Segments(Operation):
    """The sum, product, largest or smallest of the rows of each segment; rows of negative segments count nowhere."""

    def __init__(self, function: str, num_segments: int, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.function, self.num_segments = function, num_segments

    def compute(self, data: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
        rows, places = data.flatten(0, segments.dim() - 1), segments.flatten().long()
        # One segment more, for the rows that count nowhere.
        places = torch.where(places < 0, self.num_segments, places)
        shape = (self.num_segments + 1, *rows.shape[1:])
        places = places.reshape(-1, *(1,) * (rows.dim() - 1)).expand_as(rows)
        if self.function == "sum":
            y = torch.zeros(shape, dtype=data.dtype, device=data.device).scatter_add(0, places, rows)
        else:
            limits = torch.finfo(data.dtype) if data.is_floating_point() else torch.iinfo(data.dtype)
            empty = {"prod": 1, "amax": limits.min, "amin": limits.max}[self.function]
            y = torch.full(shape, empty, dtype=data.dtype, device=data.device)
            y = y.scatter_reduce(0, places, rows, self.function, include_self=self.function == "prod")
        return y[:self.num_segments]


class OneHot(Operation):
    """1 at the place of the number, 0 elsewhere and for numbers outside."""

    def __init__(self, num_classes: int, axis: int = -1, dtype: str | None = None) -> None:
        super().__init__()
        self.num_classes, self.axis, self.dtype = num_classes, axis, dtype

    def extra_repr(self) -> str:
        return f"{self.num_classes}, axis={self.axis}"

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        classes = torch.arange(self.num_classes, device=x.device)
        return (x.unsqueeze(-1) == classes).movedim(-1, self.axis).to(
            dtype_of(self.dtype, self.floatx.dtype) or self.floatx.dtype)


class MultiHot(Operation):
    """1 at the places of the numbers along axis 1, which goes."""

    def __init__(self, num_classes: int, dtype: str | None = None) -> None:
        super().__init__()
        self.num_classes, self.dtype = num_classes, dtype

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        hot = x.unsqueeze(-1) == torch.arange(self.num_classes, device=x.device)
        return hot.any(min(1, x.dim() - 1)).to(dtype_of(self.dtype, self.floatx.dtype) or self.floatx.dtype)


class Digitize(Operation):
    """How many of the bins' float32 edges are not above each value."""

    def __init__(self, edges: tuple[float, ...]) -> None:
        super().__init__()
        self.edges = edges

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        edges = torch.tensor([r32(edge) for edge in self.edges], dtype=torch.float64, device=x.device)
        return torch.bucketize(x, edges.to(x.dtype) if x.is_floating_point() else edges, right=True).int()


class SearchSorted(Operation):
    """Where each value would go into a sorted row."""

    def __init__(self, side: str = "left", fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.side = side

    def compute(self, row: Any, values: torch.Tensor) -> torch.Tensor:
        row = row if isinstance(row, torch.Tensor) else torch.tensor(row, device=values.device)
        return torch.searchsorted(row, values.to(row.dtype).contiguous(), side=self.side).int()


BUILDERS: dict[str, tuple[type[Operation], dict[str, Any]]] = {
    "where": (Where, {}), "take_along_axis": (TakeAlongAxis, {}), "scatter": (Scatter, {}),
    "searchsorted": (SearchSorted, {}),
}
