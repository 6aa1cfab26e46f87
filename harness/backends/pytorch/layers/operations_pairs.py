"""Elementwise operations of two operands in PyTorch (keras/src/backend/tensorflow/numpy.py)."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch

from harness.backends.pytorch.activations import r32
from harness.backends.pytorch.layers.operations import Operation


class Binary(Operation):
    """An operator of Python ("add", "gt") between two operands in their common type. strict: numbers are tensors to
    Keras."""

    def __init__(self, function: str, strict: bool = False, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.function, self.strict = function, strict

    def extra_repr(self) -> str:
        return f"{self.function}, {self.fixed}" if self.fixed else self.function

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        result: torch.Tensor = getattr(operator, self.function)(*self.together(a, b, strict=self.strict))
        return result


class Tensors(Operation):
    """A function of torch of two tensors in their common type: numbers become tensors. makes_floating: whole numbers
    become floating-point."""

    def __init__(self, function: str, makes_floating: bool = False, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.function, self.makes_floating = function, makes_floating

    def extra_repr(self) -> str:
        return self.function

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = self.tensors(a, b, strict=True)
        if self.makes_floating:
            a, b = self.floating(a), self.floating(b)
        result: torch.Tensor = getattr(torch, self.function)(a, b)
        return result


class Logical(Operation):
    """and, or, xor of truths: everything but 0 is true."""

    def __init__(self, function: str, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.function = function

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        truths = [x.bool() if isinstance(x, torch.Tensor) else torch.tensor(bool(x), device=self.floatx.device)
                  for x in (a, b)]
        result: torch.Tensor = getattr(torch, self.function)(*truths)
        return result


class Extreme(Operation):
    """The larger or smaller of two. Equal ones: the gradient goes to the first, as in TensorFlow. ignores_nan: what is
    no number loses (fmax, fmin), otherwise it wins."""

    def __init__(self, largest: bool, ignores_nan: bool = False, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.largest, self.ignores_nan = largest, ignores_nan

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = self.together(a, b)
        if not self.ignores_nan and not isinstance(b, torch.Tensor):
            return a.clamp_min(b) if self.largest else a.clamp_max(b)
        a, b = self.tensors(a, b)
        y = extreme(a, b, self.largest)
        if self.ignores_nan and y.is_floating_point():
            y = torch.where(a.isnan() & ~b.isnan(), b, y)
            y = torch.where(b.isnan() & ~a.isnan(), a, y)
        return y


def extreme(a: torch.Tensor, b: torch.Tensor, largest: bool) -> torch.Tensor:
    """The larger or smaller one, the gradient of equal ones to the first; NaN if either is, its gradient to the
    second."""
    y = torch.where(a >= b if largest else a <= b, a, b)
    return torch.where(a.isnan(), y + math.nan, y) if y.is_floating_point() else y


class Divide(Operation):
    """safe: 0 where the divisor is 0."""

    def __init__(self, safe: bool = False, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.safe = safe

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = (self.floating(x) if isinstance(x, torch.Tensor) else x for x in self.together(a, b))
        if not self.safe:
            result: torch.Tensor = a / b
            return result
        a, b = self.tensors(a, b)
        return divide_no_nan(a, b)


def divide_no_nan(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    none = b == 0
    return torch.where(none, torch.zeros_like(a * b), a / torch.where(none, torch.ones_like(b), b))


class FloorDivide(Operation):
    """Floating-point numbers: the floor of the quotient, as TensorFlow has it."""

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = self.tensors(a, b)
        return torch.floor(a / b) if a.is_floating_point() else torch.div(a, b, rounding_mode="floor")


class FMod(Operation):
    """The remainder with the sign of the first."""

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = self.tensors(a, b, strict=True)
        if a.dtype == torch.bool:
            a, b = a.int(), b.int()
        return torch.sign(a) * torch.remainder(torch.abs(a), torch.abs(b))


class Mod(Operation):
    """The remainder with the sign of the second."""

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = self.tensors(a, b, strict=True) if not isinstance(a, torch.Tensor) else self.together(a, b, strict=True)
        return torch.remainder(a.int() if a.dtype == torch.bool else a, b)


class Power(Operation):
    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = self.together(a, b)
        if not isinstance(b, torch.Tensor) or not b.requires_grad:
            return torch.pow(a, b)
        # TensorFlow's gradient by the exponent is 0 where the base is not positive, torch's is no number.
        a, b = self.tensors(a, b)
        y = torch.pow(a, b.detach())
        logarithm = torch.where(a > 0, a, torch.ones_like(a)).log().detach()
        return y + y.detach() * logarithm * (b - b.detach())


class Heaviside(Operation):
    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = (self.floating(x) for x in self.tensors(a, b, strict=True))
        return torch.where(a < 0, torch.zeros_like(a), torch.where(a > 0, torch.ones_like(a), b))


class Hypot(Operation):
    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = (torch.abs(self.floating(x)) for x in self.tensors(a, b, strict=True))
        large = extreme(a, b, True)
        return large * torch.sqrt(1.0 + torch.square(divide_no_nan(extreme(a, b, False), large)))


class LogAddExp(Operation):
    """log(base^a + base^b); base: e, or 2 with TensorFlow's float32 logarithm of it."""

    def __init__(self, base: int = 0, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.scale = r32(math.log(2.0)) if base else 1.0

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = (self.floating(x) for x in self.tensors(a, b, strict=True))
        delta = a - b
        rest = torch.log1p(torch.exp(-torch.abs(delta) * self.scale)) / self.scale
        return torch.where(delta.isnan(), a + b, extreme(a, b, True) + rest)


class NextAfter(Operation):
    """Computed in float64, and only then put into the operands' type; it has no gradient."""

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = (self.floating(x) for x in self.tensors(a, b, strict=True))
        return torch.nextafter(a.detach().double(), b.detach().double()).to(a.dtype)


class Ldexp(Operation):
    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = (self.floating(x) for x in self.tensors(a, b, strict=True))
        return torch.where(a.isinf() | (a == 0), a, a * torch.pow(2.0, b))


class IsClose(Operation):
    def __init__(self, equal_nan: bool, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.equal_nan = equal_nan

    def compute(self, a: Any, b: Any, rtol: Any, atol: Any) -> torch.Tensor:
        a, b = self.tensors(a, b, strict=True)
        if not a.is_floating_point():
            return a == b
        close = torch.abs(a - b) <= atol + rtol * torch.abs(b)
        return close | (a.isnan() & b.isnan()) if self.equal_nan else close


class AllClose(Operation):
    def __init__(self, rtol: float, atol: float, equal_nan: bool, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.rtol, self.atol, self.equal_nan = rtol, atol, equal_nan

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = self.tensors(a, b, strict=True)
        close = a == b
        if a.is_floating_point():
            near = torch.abs(a - b) <= self.atol + self.rtol * torch.abs(b)
            close = close | (a.isfinite() & b.isfinite() & near)
            close = close | (a.isnan() & b.isnan()) if self.equal_nan else close
        return close.all()


ARITHMETIC = {"add": "add", "subtract": "sub", "multiply": "mul"}
COMPARISONS = {"equal": "eq", "not_equal": "ne", "greater": "gt", "greater_equal": "ge", "less": "lt",
               "less_equal": "le"}
BITS = {"bitwise_and": "and_", "bitwise_or": "or_", "bitwise_xor": "xor", "bitwise_left_shift": "lshift",
        "bitwise_right_shift": "rshift", "left_shift": "lshift", "right_shift": "rshift"}

# Function -> (class, arguments in front of the operation's own).
BUILDERS: dict[str, tuple[type[Operation], dict[str, Any]]] = {
    **{name: (Binary, {"function": function}) for name, function in ARITHMETIC.items()},
    **{name: (Binary, {"function": function, "strict": True}) for name, function in COMPARISONS.items()},
    **{name: (Binary, {"function": function, "strict": True}) for name, function in BITS.items()},
    **{name: (Logical, {"function": name}) for name in ("logical_and", "logical_or", "logical_xor")},
    "maximum": (Extreme, {"largest": True}), "minimum": (Extreme, {"largest": False}),
    "fmax": (Extreme, {"largest": True, "ignores_nan": True}),
    "fmin": (Extreme, {"largest": False, "ignores_nan": True}),
    "divide": (Divide, {}), "true_divide": (Divide, {}), "divide_no_nan": (Divide, {"safe": True}),
    "floor_divide": (FloorDivide, {}), "fmod": (FMod, {}), "mod": (Mod, {}), "power": (Power, {}),
    "arctan2": (Tensors, {"function": "atan2", "makes_floating": True}), "heaviside": (Heaviside, {}),
    "hypot": (Hypot, {}), "logaddexp": (LogAddExp, {}), "logaddexp2": (LogAddExp, {"base": 2}),
    "nextafter": (NextAfter, {}), "ldexp": (Ldexp, {}), "isclose": (IsClose, {}), "allclose": (AllClose, {}),
}
