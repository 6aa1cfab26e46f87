"""Operations of keras.ops in PyTorch: what all of them share, and where their tables meet.

An operation is a module without weights. `compute` takes its operands in Keras's order; those that are constants are
put in by `forward`. Types follow Keras: whole numbers become the network's floating-point type where Keras's do, and
operands of different types meet as in keras/src/backend/common/dtypes.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from harness.backends.pytorch.activations import r32


class Operation(nn.Module):
    """Base of the operations. fixed: place among the operands -> its constant: None, a number, or
    {"array": nested lists, "dtype": its type}."""

    floatx: torch.Tensor

    def __init__(self, fixed: dict[int, Any] | None = None) -> None:
        super().__init__()
        # Empty: it only follows the type and the device of the network.
        self.register_buffer("floatx", torch.empty(0), persistent=False)
        self.fixed = fixed or {}
        for place, value in self.fixed.items():
            if isinstance(value, dict):
                self.register_buffer(f"constant_{place}", array(value, self.floatx), persistent=False)

    def _apply(self, fn: Any, recurse: bool = True) -> Operation:
        """Also makes the constants anew, in the network's type and on its device, from the numbers as given."""
        super()._apply(fn, recurse)
        for place, value in self.fixed.items():
            if isinstance(value, dict):
                self._buffers[f"constant_{place}"] = array(value, self.floatx)
        return self

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.compute(*(self.operands(tensors) if self.fixed else tensors))

    def compute(self, *operands: Any) -> Any:
        raise NotImplementedError

    def operands(self, tensors: tuple[torch.Tensor, ...]) -> list[Any]:
        """The tensors with the constants between them."""
        rest = iter(tensors)
        return [self.constant(place) if place in self.fixed else next(rest)
                for place in range(len(tensors) + len(self.fixed))]

    def constant(self, place: int) -> Any:
        value = self.fixed[place]
        return self._buffers[f"constant_{place}"] if isinstance(value, dict) else value

    def floating(self, x: torch.Tensor) -> torch.Tensor:
        """Whole numbers in the network's floating-point type."""
        return x if x.is_floating_point() else x.to(self.floatx.dtype)

    def together(self, *values: Any, strict: bool = False) -> list[Any]:
        """The tensors among the values in the type they have together; Python's numbers follow. strict: numbers are
        tensors to Keras: a float rounded to float32."""
        kinds = [value.dtype for value in values if isinstance(value, torch.Tensor)]
        numbers = [value for value in values if not isinstance(value, torch.Tensor)]
        if strict:
            numbers = [r32(value) if isinstance(value, float) else value for value in numbers]
        if not numbers and all(kind == kinds[0] for kind in kinds):
            return list(values)
        kind = result_type(kinds, numbers, self.floatx.dtype, strict)
        rest = iter(numbers)
        return [value.to(kind) if isinstance(value, torch.Tensor) else next(rest) for value in values]

    def tensors(self, *values: Any, strict: bool = False) -> list[torch.Tensor]:
        """The same with the numbers as tensors."""
        found = self.together(*values, strict=strict)
        kind = next((value.dtype for value in found if isinstance(value, torch.Tensor)), None)
        kind = kind or result_type([], found, self.floatx.dtype, strict)
        return [value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=kind, device=self.floatx.device)
                for value in found]


def array(value: Mapping[str, Any], floatx: torch.Tensor) -> torch.Tensor:
    """A constant. "float32" is the type of floatx; every other type is kept in a network of any type."""
    kind = floatx.dtype if value["dtype"] == "float32" else getattr(torch, value["dtype"])
    return torch.tensor(value["array"], dtype=kind, device=floatx.device)


def result_type(
    kinds: list[torch.dtype], numbers: list[Any], floatx: torch.dtype, strict: bool = False
) -> torch.dtype:
    """Keras's type of tensors and numbers put together."""
    if strict:
        kinds = [*kinds, *(floatx if isinstance(value, float) else torch.bool if isinstance(value, bool)
                           else torch.int32 for value in numbers)]
        numbers = []
    floats = [kind for kind in kinds if kind.is_floating_point]
    if floats:
        found = floats[0]
        for kind in floats[1:]:
            found = torch.promote_types(found, kind)
        return found
    if any(isinstance(value, float) for value in numbers):
        return floatx
    whole = [kind for kind in kinds if kind != torch.bool]
    if whole:
        found = whole[0]
        for kind in whole[1:]:
            found = torch.promote_types(found, kind)
        return found
    return torch.int64 if any(not isinstance(value, bool) for value in numbers) else torch.bool


def dtype_of(name: str | None, floatx: torch.dtype) -> torch.dtype | None:
    """A type by its name; "float32" is the network's."""
    found: torch.dtype | None = None if name is None else floatx if name == "float32" else getattr(torch, name)
    return found
