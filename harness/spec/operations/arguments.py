"""The types of the operations' own arguments, by their names; and what is said about values that do not fit."""

import inspect
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from harness.errors import SpecError
from harness.spec.layers.spatial import DataFormat, Padding, Size2
from harness.spec.operations.dtypes import check_dtype


def _tuples(value: Any) -> Any:
    """Lists (of lists) as tuples, numbers as they are; NumPy's as Python's."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


def _axis(value: Any) -> Any:
    value = _tuples(value)
    if isinstance(value, bool) or not (value is None or isinstance(value, (int, tuple))):
        raise SpecError(f"expected an axis or several, got {value!r}.")
    return value


def _shape(value: Any) -> Any:
    value = _tuples(value)
    value = (value,) if value is None or isinstance(value, int) else value
    if not isinstance(value, tuple) or not all(size is None or isinstance(size, int) for size in value):
        raise SpecError(f"expected a shape, got {value!r}.")
    return value


def _new_shape(value: Any) -> Any:
    """A size that only the call knows (ops.shape(x)[0]) is what is left over."""
    value = _shape(value)
    return value if -1 in value else tuple(-1 if size is None else size for size in value)


def _sparse(value: Any) -> Any:
    if value not in (False, None):
        raise SpecError("sparse tensors are not supported.", hint="Leave it out.")
    return False


def _number(value: Any) -> Any:
    """A number, its kind kept: whole numbers and others differ in the type that comes out."""
    value = _tuples(value)
    if not isinstance(value, (int, float)):
        raise SpecError(f"expected a number, got {value!r}.")
    return value


Axis = Annotated[int | tuple[int, ...] | None, BeforeValidator(_axis)]
DType = Annotated[str | None, BeforeValidator(check_dtype)]
RequiredDType = Annotated[str, BeforeValidator(check_dtype)]
Dimensions = Annotated[tuple[int | None, ...], BeforeValidator(_shape)]
NewShape = Annotated[tuple[int | None, ...], BeforeValidator(_new_shape)]
Nested = Annotated[Any, BeforeValidator(_tuples)]
Number = Annotated[int | float, BeforeValidator(_number)]

BY_NAME: dict[str, Any] = {
    "axis": Axis, "axes": Axis, "axis1": int, "axis2": int, "source": Axis, "destination": Axis, "dtype": DType,
    "newshape": NewShape, "shape": Dimensions, "size": Nested, "sparse": Annotated[bool, BeforeValidator(_sparse)],
    "data_format": DataFormat, "padding": Padding, "x_min": Number, "x_max": Number, "num": int | None,
    "epsilon": float | None, "initial": float | None, "fft_length": int | None, "num_segments": int | None,
    "side": Literal["left", "right"], "method": Literal["linear", "lower", "higher", "midpoint", "nearest"],
    "indexing": Literal["xy", "ij"], "mode": Literal["constant", "reflect", "symmetric"], "num_classes": int | None,
    "b": Number, "nan": Number, "posinf": Number | None, "neginf": Number | None, "window": str | None,
    "reduction": Literal["add", "max", "min", "mul"] | None, "subscripts": str, "pattern": str, "N": int | None,
    "negative_slope": float, "max_value": float | None, "threshold": float, "default_value": float, "dx": float,
    "strides": Nested, "dilation_rate": Nested, "length": int | None, "block_size": int, "order": int | float,
}
OF_ONE = {
    ("image.extract_patches", "size"): Size2, ("image.extract_patches", "strides"): Size2 | None,
    ("cast", "dtype"): RequiredDType, ("saturate_cast", "dtype"): RequiredDType, ("tensordot", "axes"): Nested,
    ("one_hot", "num_classes"): int, ("correlate", "mode"): Literal["valid", "same", "full"],
    ("fold", "padding"): Nested, ("unfold", "padding"): Nested, ("image.resize", "fill_mode"): str,
    ("argpartition", "axis"): int, ("split", "axis"): int, ("tensordot", "num"): int,
    ("qr", "mode"): Literal["reduced", "complete"],
}


def argument_type(function: str, name: str, default: Any) -> Any:
    """By the operation, by the name, or by the default's own type."""
    known = OF_ONE.get((function, name), BY_NAME.get(name))
    if known is not None:
        return known
    plain = (bool, int, float, str)
    return type(default) if type(default) in plain and default is not inspect.Parameter.empty else Nested
