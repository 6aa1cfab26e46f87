"""Orders, quantiles and running sums along axes in PyTorch (keras/src/backend/tensorflow/numpy.py, math.py)."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch

from harness.backends.pytorch.activations import r32
from harness.backends.pytorch.layers.operations import Operation, dtype_of
from harness.backends.pytorch.layers.operations_reductions import Axes, OverAxes


class Quantile(OverAxes):
    """The values at shares q of the order along the axes, on the line between two values."""

    def __init__(self, q: Any, axis: Axes = None, keepdims: bool = False, percent: bool = False) -> None:
        super().__init__(axis, keepdims)
        self.q, self.percent = q, percent

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        x = self.floating(x)
        axes = self.axes(x)
        others = [axis for axis in range(x.dim()) if axis not in axes]
        rows = x.permute(*others, *axes).flatten(len(others)) if axes else x
        kept = [1 if axis in axes else length for axis, length in enumerate(x.shape)] if self.keepdims else \
            [x.shape[axis] for axis in others]
        ordered = rows.sort(dim=-1, stable=True).values
        values = [self._at(ordered, share).reshape(kept) for share in self._shares()]
        y = torch.stack(values) if isinstance(self.q, (list, tuple)) else values[0]
        missing = rows.isnan().any(-1).reshape(kept)
        return torch.where(missing, math.nan, y)

    def _shares(self) -> list[float]:
        given = self.q if isinstance(self.q, (list, tuple)) else [self.q]
        single = self.floatx.dtype != torch.float64
        if self.percent:
            # Divided by 100 in the network's type.
            return [float(torch.tensor(share, dtype=self.floatx.dtype) / 100.0) if single else share / 100.0
                    for share in given]
        # A number is float32 to TensorFlow, an array of the network's type.
        return [r32(share) for share in given] if single or given is not self.q else list(given)

    def _at(self, ordered: torch.Tensor, share: float) -> torch.Tensor:
        last = ordered.shape[-1] - 1
        exact = last * share
        smaller = max(min(max(math.ceil(exact), 0), last) - 1, 0)
        larger = min(smaller + 1, last)
        # The share of the smaller value, in the values' own type.
        fraction = larger - exact if ordered.dtype == torch.float64 else r32(larger - exact)
        return ordered[..., larger] * (1 - fraction) + ordered[..., smaller] * fraction


class Cumulative(Operation):
    """Running sums or products along an axis, of all values in a row for None."""

    def __init__(
        self, function: str, axis: int | None = None, dtype: str | None = None, nan: float | None = None,
    ) -> None:
        super().__init__()
        self.function, self.axis, self.dtype, self.nan = function, axis, dtype, nan

    def extra_repr(self) -> str:
        return f"{self.function}, axis={self.axis}"

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        if self.nan is not None and x.is_floating_point():
            x = torch.nan_to_num(x, self.nan)
        x = x if self.dtype is None else x.to(dtype_of(self.dtype, self.floatx.dtype))
        x = x.int() if x.dtype == torch.bool else x
        x = x.flatten() if self.axis is None else x
        result: torch.Tensor = getattr(torch, self.function)(x, self.axis or 0, dtype=x.dtype)
        return result


class Differences(Operation):
    def __init__(self, n: int, axis: int) -> None:
        super().__init__()
        self.n, self.axis = n, axis

    def compute(self, a: torch.Tensor) -> torch.Tensor:
        return torch.diff(a, self.n, self.axis)


class Trapezoid(Operation):
    """The area below y along an axis, at places x or at steps of dx."""

    def __init__(self, x: Any = None, dx: float = 1.0, axis: int = -1) -> None:
        super().__init__()
        self.axis, self.dx = axis, dx
        self.steps = None if x is None else [r32(b) - r32(a) for a, b in itertools.pairwise(x)]

    def compute(self, y: torch.Tensor) -> torch.Tensor:
        y = self.floating(y).movedim(self.axis, -1)
        heights = 0.5 * (y[..., 1:] + y[..., :-1])
        if self.steps is None:
            return (heights * r32(self.dx)).sum(-1)
        return heights @ torch.tensor(self.steps, dtype=y.dtype, device=y.device)


class Sort(Operation):
    """In rising order; indices: the places of the values instead, int32."""

    def __init__(self, axis: int | None = -1, indices: bool = False) -> None:
        super().__init__()
        self.axis, self.indices = axis, indices

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        x, axis = (x.flatten(), 0) if self.axis is None else (x, self.axis)
        found = x.sort(dim=axis, stable=True)
        return found.indices.int() if self.indices else found.values


class TopK(Operation):
    """(the k largest values along the last axis, their places in int32); of equal ones the first."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def compute(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = x.sort(dim=-1, descending=True, stable=True)
        return found.values[..., :self.k], found.indices[..., :self.k].int()


BUILDERS: dict[str, tuple[type[Operation], dict[str, Any]]] = {
    "cumsum": (Cumulative, {"function": "cumsum"}), "cumprod": (Cumulative, {"function": "cumprod"}),
    "nancumsum": (Cumulative, {"function": "cumsum", "nan": 0.0}),
    "nancumprod": (Cumulative, {"function": "cumprod", "nan": 1.0}),
    "diff": (Differences, {}), "trapezoid": (Trapezoid, {}), "sort": (Sort, {}), "argsort": (Sort, {"indices": True}),
    "top_k": (TopK, {}),
}
