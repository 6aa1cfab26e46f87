"""Operations over axes in PyTorch: sums, means, extremes, orders (keras/src/backend/tensorflow/numpy.py, math.py)."""

from __future__ import annotations

import math
from typing import Any

import torch

from harness.backends.pytorch.layers.operations import Operation

Axes = tuple[int, ...] | None


class OverAxes(Operation):
    """Base of what is taken over axes; None: over all."""

    def __init__(self, axis: Axes = None, keepdims: bool = False, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.axis, self.keepdims = axis, keepdims

    def extra_repr(self) -> str:
        return f"axis={self.axis}, keepdims={self.keepdims}"

    def axes(self, x: torch.Tensor) -> tuple[int, ...]:
        return tuple(range(x.dim())) if self.axis is None else self.axis

    def total(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(self.axes(x), self.keepdims) if x.dim() else x


def wide(x: torch.Tensor) -> torch.Tensor:
    """Short whole numbers as int32, in which Keras adds and multiplies them."""
    return x.int() if x.dtype in (torch.bool, torch.int8, torch.int16) else \
        x.to(torch.uint32) if x.dtype in (torch.uint8, torch.uint16) else x


class Sum(OverAxes):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        kind = wide(x).dtype
        return self.total(x) if x.is_floating_point() else self.total(x).to(kind)


class Mean(OverAxes):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return self.floating(x).mean(self.axes(x), self.keepdims)


class Variance(OverAxes):
    """Of the values themselves, not of what they are a sample of; root: its square root, the deviation."""

    def __init__(self, axis: Axes = None, keepdims: bool = False, root: bool = False) -> None:
        super().__init__(axis, keepdims)
        self.root = root

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        variance = torch.var(self.floating(x), self.axes(x), correction=0, keepdim=self.keepdims)
        # Not torch.std, whose gradient at 0 is 0 where TensorFlow's is no number.
        return torch.sqrt(variance) if self.root else variance


class Moments(OverAxes):
    """(mean, variance)."""

    def compute(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        axes = self.axes(x)
        return x.mean(axes, self.keepdims), torch.var(x, axes, correction=0, keepdim=self.keepdims)


class Product(OverAxes):
    def __init__(self, axis: Axes = None, keepdims: bool = False, dtype: str | None = None) -> None:
        super().__init__(axis, keepdims)
        self.dtype = dtype

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        kind = wide(x).dtype
        for axis in sorted(self.axes(x), reverse=True):
            x = x.prod(axis, self.keepdims)
        return x if x.is_floating_point() else x.to(kind)


class Largest(OverAxes):
    """Maximum or minimum; equal values share the gradient. initial: competes too."""

    def __init__(
        self, largest: bool, axis: Axes = None, keepdims: bool = False, initial: float | None = None,
    ) -> None:
        super().__init__(axis, keepdims)
        self.largest, self.initial = largest, initial

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        y = (torch.amax if self.largest else torch.amin)(x, self.axes(x), self.keepdims)
        if self.initial is None:
            return y
        return y.clamp_min(self.initial) if self.largest else y.clamp_max(self.initial)


class PeakToPeak(OverAxes):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.amax(x, self.axes(x), self.keepdims) - torch.amin(x, self.axes(x), self.keepdims)


class Truths(OverAxes):
    """Whether all, or any, are true."""

    def __init__(self, every: bool, axis: Axes = None, keepdims: bool = False) -> None:
        super().__init__(axis, keepdims)
        self.every = every

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return (torch.all if self.every else torch.any)(x.bool(), self.axes(x), self.keepdims)


class CountNonzero(OverAxes):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return (x != 0).sum(self.axes(x), self.keepdims).int()


class LogSumExp(OverAxes):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.logsumexp(x, self.axes(x), self.keepdims)


class PlaceOf(OverAxes):
    """Where the largest or smallest value stands, the first of equal ones, int32. ignores_nan: what is no number does
    not compete; -1 where there is nothing else."""

    def __init__(
        self, largest: bool, axis: Axes = None, keepdims: bool = False, ignores_nan: bool = False,
    ) -> None:
        super().__init__(axis, keepdims)
        self.largest, self.ignores_nan = largest, ignores_nan

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        missing = x.isnan() if self.ignores_nan and x.is_floating_point() else None
        if missing is not None:
            x = torch.where(missing, -math.inf if self.largest else math.inf, x)
        if x.is_floating_point():
            # Keras counts -0.0 as less than 0.0.
            x = torch.where((x == 0) & torch.signbit(x), -torch.finfo(x.dtype).tiny, x)
        axis = None if self.axis is None else self.axis[0]
        place = (torch.argmax if self.largest else torch.argmin)(x, axis, self.keepdims).int()
        if missing is None:
            return place
        return torch.where(missing.all() if axis is None else missing.all(axis, self.keepdims), -1, place)


class WithoutNan(OverAxes):
    """sum, prod, max, min, mean, var or std of the values that are numbers."""

    def __init__(self, function: str, axis: Axes = None, keepdims: bool = False) -> None:
        super().__init__(axis, keepdims)
        self.function = function

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.function in ("sum", "prod", "max", "min") else self.floating(x)
        missing, axes = x.isnan(), self.axes(x)
        if self.function in ("sum", "mean"):
            total = self.total(torch.where(missing, torch.zeros_like(x), x))
            if self.function == "sum":
                return total if x.is_floating_point() else total.to(wide(x).dtype)
            return total / (~missing).sum(axes, self.keepdims).to(x.dtype)
        if self.function == "prod":
            kind, x = wide(x).dtype, torch.where(missing, torch.ones_like(x), x)
            for axis in sorted(axes, reverse=True):
                x = x.prod(axis, self.keepdims)
            return x if x.is_floating_point() else x.to(kind)
        if self.function in ("max", "min"):
            return self._extreme(x, missing, axes)
        count = (~missing).sum(axes, True).to(x.dtype)
        mean = torch.where(missing, torch.zeros_like(x), x).sum(axes, True) / count
        squares = torch.square(torch.where(missing, torch.zeros_like(x), x - mean))
        variance = self.total(squares) / (~missing).sum(axes, self.keepdims).to(x.dtype)
        return torch.sqrt(variance) if self.function == "std" else variance

    def _extreme(self, x: torch.Tensor, missing: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        largest = self.function == "max"
        reduce = torch.amax if largest else torch.amin
        if not x.is_floating_point():
            return reduce(x, axes, self.keepdims)
        y = reduce(torch.where(missing, -math.inf if largest else math.inf, x), axes, self.keepdims)
        return torch.where(missing.all(axes, self.keepdims), math.nan, y)


class Average(OverAxes):
    """The mean, or one with weights: of x's shape, or one for each place along the axis."""

    def compute(self, x: torch.Tensor, weights: Any = None) -> torch.Tensor:
        if weights is None:
            return self.floating(x).mean(self.axes(x))
        x, weights = (self.floating(item) for item in self.tensors(x, weights))
        if self.axis is None or x.dim() == weights.dim():
            return (x * weights).sum(self.axes(x)) / weights.sum(self.axes(x))
        return torch.tensordot(x, weights, ([self.axis[0]], [0])) / weights.sum()


BUILDERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "sum": (Sum, {}), "mean": (Mean, {}), "var": (Variance, {}), "std": (Variance, {"root": True}),
    "prod": (Product, {}), "ptp": (PeakToPeak, {}),
    "max": (Largest, {"largest": True}), "amax": (Largest, {"largest": True}), "min": (Largest, {"largest": False}),
    "amin": (Largest, {"largest": False}), "all": (Truths, {"every": True}), "any": (Truths, {"every": False}),
    "count_nonzero": (CountNonzero, {}), "logsumexp": (LogSumExp, {}),
    "argmax": (PlaceOf, {"largest": True}), "argmin": (PlaceOf, {"largest": False}),
    "nanargmax": (PlaceOf, {"largest": True, "ignores_nan": True}),
    "nanargmin": (PlaceOf, {"largest": False, "ignores_nan": True}),
    **{f"nan{name}": (WithoutNan, {"function": name}) for name in ("sum", "prod", "max", "min", "mean", "var", "std")},
    "average": (Average, {}),
}
