"""Python's operators on symbolic tensors: the operations that Keras makes of them (backend/common/keras_tensor.py).

`x + y` is `ops.add(x, y)`: it broadcasts as NumPy does and loses the mask, where `layers.Add()` keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.spec.notation import Tensor


def operate(function: str, *operands: Any, **settings: Any) -> Any:
    """The operation "ops.<function>" of tensors and constants, in the order of its operands."""
    from harness.spec.operations import declared
    from harness.spec.operations.calling import call_operation

    found = declared(f"ops.{function}")
    names = [item.name for item in found.operands]
    return call_operation(found.operation(**settings), (), dict(zip(names, operands, strict=False)))


class Operators:
    """The operators of a tensor, each the operation of Keras. `==` compares identities, as in Keras."""

    # NumPy then leaves `array + tensor` to the tensor.
    __array_ufunc__ = None

    def __add__(self, other: Any) -> Any:
        return operate("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return operate("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return operate("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return operate("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return operate("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return operate("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return operate("true_divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return operate("true_divide", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return operate("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return operate("floor_divide", other, self)

    def __mod__(self, other: Any) -> Any:
        return operate("mod", self, other)

    def __rmod__(self, other: Any) -> Any:
        return operate("mod", other, self)

    def __pow__(self, other: Any) -> Any:
        return operate("power", self, other)

    def __rpow__(self, other: Any) -> Any:
        return operate("power", other, self)

    def __matmul__(self, other: Any) -> Any:
        return operate("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return operate("matmul", other, self)

    def __neg__(self) -> Any:
        return operate("negative", self)

    def __abs__(self) -> Any:
        return operate("absolute", self)

    def __round__(self, digits: int | None = None) -> Any:
        return operate("round", self, decimals=digits or 0)

    def __lt__(self, other: Any) -> Any:
        return operate("less", self, other)

    def __le__(self, other: Any) -> Any:
        return operate("less_equal", self, other)

    def __gt__(self, other: Any) -> Any:
        return operate("greater", self, other)

    def __ge__(self, other: Any) -> Any:
        return operate("greater_equal", self, other)

    def __ne__(self, other: Any) -> Any:
        return operate("not_equal", self, other)

    def __and__(self, other: Any) -> Any:
        return operate("logical_and", self, other)

    def __rand__(self, other: Any) -> Any:
        return operate("logical_and", other, self)

    def __or__(self, other: Any) -> Any:
        return operate("logical_or", self, other)

    def __ror__(self, other: Any) -> Any:
        return operate("logical_or", other, self)

    def __xor__(self, other: Any) -> Any:
        return operate("logical_xor", self, other)

    def __rxor__(self, other: Any) -> Any:
        return operate("logical_xor", other, self)

    def __invert__(self) -> Any:
        return operate("logical_not", self)

    def __getitem__(self, key: Any) -> Any:
        return operate("get_item", self, key)

    # Without it Python would iterate by __getitem__, for ever.
    def __iter__(self) -> Any:
        raise TypeError("a symbolic tensor cannot be iterated over; use ops.unstack or ops.split.")

    def __bool__(self) -> bool:
        raise TypeError("a symbolic tensor is neither true nor false while the model is made; use ops.where.")


def carries_mask(tensor: Tensor) -> bool:
    """Whether the tensor may have a mask: true too for a layer of its own rule with a masked input."""
    waiting, seen = [tensor], set()
    while waiting:
        call = waiting.pop().call
        if call is None or id(call) in seen:
            continue
        seen.add(id(call))
        layer = call.layer
        if type(layer).__name__ == "Masking" or getattr(layer, "mask_zero", False):
            return True
        if layer.mask_rule == "drop":
            continue
        # What has no time axis left has no mask: the last output of an LSTM.
        rank = min(len(shape) for shape in _shapes(layer, call))
        if rank > 2:
            waiting.extend(call.inputs)
    return False


def _shapes(layer: Any, call: Any) -> list[tuple[int | None, ...]]:
    found = layer.call_shape(tuple(tensor.shape for tensor in call.inputs), call.arguments)
    return list(found) if found and isinstance(found[0], tuple) else [found]
