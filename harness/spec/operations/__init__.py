"""Operations on tensors: the functions of keras.ops as layers without weights, named "ops.<function>".

One file per family, each with its table; they meet in table.py, which is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.spec.operations.table import ALIASES as ALIASES
    from harness.spec.operations.table import OPERATIONS as OPERATIONS
    from harness.spec.operations.table import REFUSED as REFUSED
    from harness.spec.operations.table import declared as declared
    from harness.spec.operations.table import find as find
    from harness.spec.operations.table import knows as knows

SPACES = ("ops.", "activations.")
_OF_TABLE = frozenset({"ALIASES", "OPERATIONS", "REFUSED", "declared", "find", "knows"})


def is_operation(name: object) -> bool:
    """Whether a name is in the room of the operations, known or not."""
    return isinstance(name, str) and name.startswith(SPACES)


def __getattr__(name: str) -> Any:
    if name not in _OF_TABLE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from harness.spec.operations import table

    return getattr(table, name)
