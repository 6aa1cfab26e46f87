"""Python's operators on symbolic tensors, as the layers that mean the same: `x + y` is Add()([x, y]).

Only where Keras gives the same numbers. Its operators broadcast as NumPy does, where its merging layers expand
at axis 1, and they lose the mask, where layers keep it (keras/src/ops/numpy.py): both cases are refused.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.spec.notation import Tensor

SYMBOLS = {"Add": "+", "Subtract": "-", "Multiply": "*"}


def merged(layer: str, first: Tensor, second: Tensor) -> Any:
    """Add, Subtract or Multiply of two tensors. Raises SpecError where Keras's operator means something else."""
    from harness.spec.layers import LAYERS

    symbol = SYMBOLS[layer]
    if len(first.shape) != len(second.shape):
        raise SpecError(f"{symbol} is for tensors of the same rank, got {first.shape} and {second.shape}.",
                        where=f"tensor {symbol} tensor", hint="Bring them to one rank with a Reshape.")
    if carries_mask(first) or carries_mask(second):
        raise SpecError(f"{symbol} loses the mask of its tensors in Keras.", where=f"tensor {symbol} tensor",
                        hint=f"Write layers.{layer}()([a, b]), which keeps it.")
    return LAYERS.classes[layer]()([first, second])


def scaled(tensor: Tensor, scale: Any, offset: Any, symbol: str) -> Any:
    """tensor * scale + offset, by a Rescaling. Raises SpecError for anything but numbers and float tensors."""
    from harness.spec.layers import LAYERS

    if not all(isinstance(value, Real) for value in (scale, offset)):
        raise SpecError(f"a tensor takes {symbol} with a tensor or a number.", where=f"tensor {symbol}",
                        hint="Use the layers: Add, Multiply, Dense, Concatenate.")
    if not tensor.dtype.startswith("float"):
        raise SpecError(f"{symbol} on a tensor of {tensor.dtype} is not supported.", where=f"tensor {symbol}",
                        hint="Do it in NumPy, before fit.")
    if carries_mask(tensor):
        raise SpecError(f"{symbol} loses the mask of its tensor in Keras.", where=f"tensor {symbol} number",
                        hint="Write layers.Rescaling(scale, offset), which keeps it.")
    return LAYERS.classes["Rescaling"](scale=float(scale), offset=float(offset))(tensor)


def unsupported(what: str, hint: str) -> Any:
    """Raises SpecError: an operator that no layer stands for."""
    raise SpecError(f"{what} of a symbolic tensor is not supported: only layers are.", where="tensor", hint=hint)


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
        # What has no time axis left has no mask: the last output of an LSTM.
        rank = min(len(shape) for shape in _shapes(layer, call))
        if layer.mask_rule != "drop" and rank > 2:
            waiting.extend(call.inputs)
    return False


def _shapes(layer: Any, call: Any) -> list[tuple[int | None, ...]]:
    found = layer.compute_output_shape(*(tensor.shape for tensor in call.inputs))
    return list(found) if found and isinstance(found[0], tuple) else [found]
