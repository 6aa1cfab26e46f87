"""Which dtype comes out of an operation: Keras's promotion (keras/src/backend/common/dtypes.py), and the rules by kind.

"int" and "float" stand for Python's numbers, which give way to a tensor's own type. "float32" is the floating-point
type of the network: in a network of float64 it stands for float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import SpecError, did_you_mean

FLOATS = ("bfloat16", "float16", "float32", "float64")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
DTYPES = ("bool", *UNSIGNED, *SIGNED, *FLOATS)
# Of Python's whole numbers that meet nothing but truths (Keras on TensorFlow).
DEFAULT_INT = "int64"

Bound = Mapping[str, Any]
Rule = Callable[[Bound, Any], Any]


def check_dtype(value: Any) -> str | None:
    """The name of a dtype ("float32"), None as it is. Raises SpecError for an unknown one."""
    if value is None:
        return None
    name = getattr(value, "name", None) or getattr(value, "__name__", None) or value
    if isinstance(name, str) and name in DTYPES:
        return name
    raise SpecError(f"unknown dtype {value!r}.", hint=did_you_mean(name, DTYPES))


def result_type(*dtypes: str) -> str:
    """The type of values of these types put together; weak ones alone become the default types."""
    floats = {item for item in dtypes if item in FLOATS}
    if floats:
        return "float32" if floats == {"bfloat16", "float16"} else max(floats, key=FLOATS.index)
    if "float" in dtypes:
        return "float32"
    signed = [SIGNED.index(item) for item in dtypes if item in SIGNED]
    unsigned = [UNSIGNED.index(item) for item in dtypes if item in UNSIGNED]
    if unsigned and signed:
        width = max(max(signed), max(unsigned) + 1)
        return SIGNED[width] if width < len(SIGNED) else "float32"
    if unsigned:
        return UNSIGNED[max(unsigned)]
    if signed:
        return SIGNED[max(signed)]
    return DEFAULT_INT if "int" in dtypes else "bool"


def _types(bound: Bound) -> list[str]:
    found: list[str] = []
    for item in bound.values():
        found += [one.dtype for one in (item if isinstance(item, list) else [item]) if hasattr(one, "dtype")]
    return found


def first(bound: Bound, operation: Any) -> str:
    """The type of the first operand."""
    return result_type(*_types(bound)[:1])


def promoted(bound: Bound, operation: Any) -> str:
    """The operands' types put together."""
    return result_type(*_types(bound))


def strictly(bound: Bound, operation: Any) -> str:
    """The same where Keras makes tensors of numbers first: int32 and float32 ones."""
    strong = {"int": "int32", "float": "float32"}
    return result_type(*(strong.get(item, item) for item in _types(bound)))


def remainder(bound: Bound, operation: Any) -> str:
    kind = strictly(bound, operation)
    return "int32" if kind == "bool" else kind


def values_promoted(bound: Bound, operation: Any) -> str:
    """The types of all operands but the first (a condition) put together."""
    return result_type(*_types(bound)[1:])


def floating(bound: Bound, operation: Any) -> str:
    """The same, whole numbers become the network's floating-point type."""
    return result_type(*_types(bound), "float")


def boolean_of_floats(bound: Bound, operation: Any) -> str:
    if first(bound, operation) not in FLOATS:
        raise SpecError(f"{operation.canonical_name()} is for floating-point values: Keras cannot trace it for others.")
    return "bool"


def boolean(bound: Bound, operation: Any) -> str:
    return "bool"


def int32(bound: Bound, operation: Any) -> str:
    return "int32"


def float32(bound: Bound, operation: Any) -> str:
    return "float32"


def summed(bound: Bound, operation: Any) -> str:
    """Sums and products of short whole numbers are int32 or uint32."""
    own = getattr(operation, "dtype", None) or first(bound, operation)
    if own in ("bool", "int8", "int16"):
        return "int32"
    return "uint32" if own in ("uint8", "uint16") else str(own)


def accumulated(bound: Bound, operation: Any) -> str:
    """cumsum and cumprod: of bool, int32; everything else keeps its type."""
    own = operation.dtype or first(bound, operation)
    return "int32" if own == "bool" else str(own)


def asked(bound: Bound, operation: Any) -> str:
    """The operation's own dtype argument, the first operand's type without."""
    return operation.dtype or first(bound, operation)


def asked_or_floating(bound: Bound, operation: Any) -> str:
    """The operation's own dtype argument, the network's floating-point type without."""
    return operation.dtype or "float32"


def values_and_indices(bound: Bound, operation: Any) -> tuple[str, ...]:
    return (first(bound, operation), "int32")


def selected(bound: Bound, operation: Any) -> str:
    """select: the choices' and the default's types put together."""
    return result_type(*(item.dtype for item in (*bound["choicelist"], bound["default"])))


def of_values(bound: Bound, operation: Any) -> str:
    return str(bound["values"].dtype)


def squared(bound: Bound, operation: Any) -> str:
    own = first(bound, operation)
    return "int32" if own == "bool" else own
