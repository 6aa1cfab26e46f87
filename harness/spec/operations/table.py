"""All operations: where the families' tables meet. A class is made when it is first asked for."""

from __future__ import annotations

from types import MappingProxyType

from harness.errors import SpecError, did_you_mean
from harness.spec.operations import (
    elementwise,
    is_operation,
    matrices,
    neural,
    reductions,
    selecting,
    shaping,
    transforms,
)
from harness.spec.operations.base import Declared, Operation
from harness.spec.operations.refused import REFUSED as REFUSED

FAMILIES = (elementwise, reductions, shaping, selecting, matrices, neural, transforms)
_TABLE = {item.canonical_name: item for family in FAMILIES for item in family.OPERATIONS}
# Canonical name ("ops.mean") -> what is declared.
OPERATIONS = MappingProxyType(_TABLE)
# Keras's second names of functions: "abs" is "absolute".
ALIASES = {f"ops.{name}": f"ops.{target}" for family in FAMILIES for name, target in family.ALIASES.items()}


def find(name: str) -> type[Operation]:
    """The class of "ops.mean". Raises SpecError for what is refused, with the reason, and for what is unknown."""
    return declared(name).operation


def declared(name: str) -> Declared:
    """The declaration of "ops.mean" (see `find`)."""
    name = ALIASES.get(name, name)
    found: Declared | None = _TABLE.get(name)
    if found is not None:
        return found
    # keras.ops.nn.relu, keras.ops.numpy.mean, keras.ops.linalg.norm: the same functions.
    short = name
    for space in ("ops.nn.", "ops.numpy.", "ops.linalg."):
        short = short.replace(space, "ops.")
    if short != name:
        return declared(short)
    function = name.partition(".")[2]
    if function in REFUSED:
        raise SpecError(f"keras.{name} is not supported: {REFUSED[function]}.")
    raise SpecError(f"unknown operation {name!r}.", hint=did_you_mean(name, OPERATIONS))


def knows(name: object) -> bool:
    """Whether `find` would find it."""
    try:
        return is_operation(name) and declared(str(name)) is not None
    except SpecError:
        return False
