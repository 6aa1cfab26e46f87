"""Elementwise operations in PyTorch (keras/src/backend/tensorflow/numpy.py, math.py, core.py)."""

from __future__ import annotations

import math
from typing import Any

import torch

from harness.backends.pytorch.activations import r32
from harness.backends.pytorch.layers.operations import Operation, dtype_of


class Unary(Operation):
    """A function of torch of that name. floating: whole numbers become floating-point first."""

    def __init__(self, function: str, floating: bool = True) -> None:
        super().__init__()
        self.function = function
        self.makes_floating = floating

    def extra_repr(self) -> str:
        return self.function

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = getattr(torch, self.function)(self.floating(x) if self.makes_floating else x)
        return result


class Identity(Operation):
    """The tensor itself: copy, and conjugate of real numbers."""

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Square(Operation):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.square(x.int() if x.dtype == torch.bool else x)


class CubeRoot(Operation):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        x = self.floating(x)
        return torch.sign(x) * torch.pow(torch.abs(x), 1.0 / 3.0)


class Sinc(Operation):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        x = self.floating(x)
        return torch.where(x == 0, torch.ones_like(x), torch.sin(x * math.pi) / (x * math.pi))


class Truncate(Operation):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.trunc(x) if x.is_floating_point() else x


class Round(Operation):
    """Halves to even, at a number of decimals."""

    def __init__(self, decimals: int) -> None:
        super().__init__()
        self.decimals = decimals

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        if not x.is_floating_point() and self.decimals >= 0:
            return x
        # TensorFlow rounds the factor to float32, and passes the gradient on neither way.
        factor = r32(math.pow(10, self.decimals))
        y = torch.round(self.floating(x) if self.decimals == 0 else self.floating(x) * factor)
        return y if self.decimals == 0 else (y / factor).to(x.dtype)


class Clip(Operation):
    def __init__(self, x_min: float, x_max: float) -> None:
        super().__init__()
        self.x_min, self.x_max = x_min, x_max

    def extra_repr(self) -> str:
        return f"{self.x_min}, {self.x_max}"

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(x.int() if x.dtype == torch.bool else x, self.x_min, self.x_max)


class NanToNum(Operation):
    def __init__(self, nan: float, posinf: float | None, neginf: float | None) -> None:
        super().__init__()
        self.nan, self.posinf, self.neginf = nan, posinf, neginf

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nan_to_num(x, self.nan, self.posinf, self.neginf) if x.is_floating_point() else x


class IsReal(Operation):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(x, dtype=torch.bool)


class Cast(Operation):
    """To another type, "float32" being the network's. saturate: to the nearest value that the type has."""

    def __init__(self, dtype: str, saturate: bool = False) -> None:
        super().__init__()
        self.dtype, self.saturate = dtype, saturate

    def extra_repr(self) -> str:
        return self.dtype

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        kind = dtype_of(self.dtype, self.floatx.dtype)
        assert kind is not None
        if self.saturate and kind != torch.bool and x.dtype != torch.bool:
            limits = torch.finfo(kind) if kind.is_floating_point else torch.iinfo(kind)
            own = torch.finfo(x.dtype) if x.is_floating_point() else torch.iinfo(x.dtype)
            x = x.clamp(max(limits.min, own.min), min(limits.max, own.max))
        return x.to(kind)


class StopGradient(Operation):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return x.detach()


class FullLike(Operation):
    """A tensor of x's shape, filled with a number or with a tensor spread over it."""

    def __init__(self, dtype: str | None = None, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.dtype = dtype

    def compute(self, x: torch.Tensor, value: Any) -> torch.Tensor:
        kind = dtype_of(self.dtype, self.floatx.dtype) or x.dtype
        if isinstance(value, torch.Tensor):
            return value.to(kind).broadcast_to(x.shape)
        return torch.full_like(x, value, dtype=kind)


FLOATING = {
    "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctanh": "atanh",
    "ceil": "ceil", "cos": "cos", "cosh": "cosh", "deg2rad": "deg2rad", "exp": "exp", "exp2": "exp2", "expm1": "expm1",
    "fabs": "abs", "floor": "floor", "log": "log", "log10": "log10", "log1p": "log1p", "log2": "log2",
    "rad2deg": "rad2deg", "sin": "sin", "sinh": "sinh", "sqrt": "sqrt", "tan": "tan", "tanh": "tanh", "i0": "i0",
}
AS_THEY_ARE = {
    "absolute": "abs", "negative": "neg", "sign": "sign", "reciprocal": "reciprocal", "erf": "erf", "erfc": "erfc",
    "erfinv": "erfinv", "rsqrt": "rsqrt", "isfinite": "isfinite", "isinf": "isinf", "isnan": "isnan",
    "isneginf": "isneginf", "isposinf": "isposinf", "signbit": "signbit", "logical_not": "logical_not",
    "bitwise_invert": "bitwise_not", "bitwise_not": "bitwise_not",
}

# Function -> (class, arguments in front of the operation's own).
BUILDERS: dict[str, tuple[type[Operation], dict[str, Any]]] = {
    **{name: (Unary, {"function": function}) for name, function in FLOATING.items()},
    **{name: (Unary, {"function": function, "floating": False}) for name, function in AS_THEY_ARE.items()},
    "copy": (Identity, {}), "conjugate": (Identity, {}), "square": (Square, {}), "cbrt": (CubeRoot, {}),
    "sinc": (Sinc, {}), "trunc": (Truncate, {}), "round": (Round, {}), "clip": (Clip, {}), "nan_to_num": (NanToNum, {}),
    "isreal": (IsReal, {}), "cast": (Cast, {}), "saturate_cast": (Cast, {"saturate": True}),
    "stop_gradient": (StopGradient, {}), "full_like": (FullLike, {}),
    "zeros_like": (FullLike, {"fixed": {1: 0}}), "empty_like": (FullLike, {"fixed": {1: 0}}),
    "ones_like": (FullLike, {"fixed": {1: 1}}),
}
