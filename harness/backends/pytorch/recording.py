"""Which arguments every module was made with: what an exporter needs to write the same call down.

While `recording()` lasts, the constructors of all nn.Module classes, and of the small classes that the layers of this
backend are made of (Windows), note their arguments. Only the outermost constructor of an object counts: what
a subclass hands to nn.Linear is its own business.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

PACKAGE = "harness.backends.pytorch.layers"


@dataclass(frozen=True)
class Construction:
    """One constructor call: cls(*args, **kwargs)."""

    cls: type
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def arguments(self) -> inspect.BoundArguments:
        """The arguments by the parameters' names, those left out missing."""
        return inspect.signature(self.cls).bind(*self.args, **self.kwargs)


class Constructions:
    """The constructor calls of the objects that were made."""

    def __init__(self) -> None:
        # Objects are kept, so that no two of them share an id.
        self._table: dict[int, tuple[Any, Construction]] = {}

    def note(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._table[id(instance)] = (instance, Construction(type(instance), args, kwargs))

    def of(self, instance: Any) -> Construction | None:
        """How an object was made, None if that was not seen."""
        found = self._table.get(id(instance))
        return found[1] if found else None


@contextlib.contextmanager
def recording() -> Iterator[Constructions]:
    """Notes the constructor calls inside the block."""
    found = Constructions()
    originals = {cls: vars(cls)["__init__"] for cls in _classes()}
    try:
        for cls, original in originals.items():
            cls.__init__ = _noting(original, found)  # type: ignore[misc]
        yield found
    finally:
        for cls, original in originals.items():
            cls.__init__ = original  # type: ignore[misc]


def _noting(original: Callable[..., None], found: Constructions) -> Callable[..., None]:
    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self).__init__ is init:
            found.note(self, args, kwargs)
        original(self, *args, **kwargs)

    return init


def _classes() -> list[type]:
    """All classes with a constructor of their own: modules, and what this backend's layers define beside them."""
    waiting: list[type] = [nn.Module]
    for name, module in list(sys.modules.items()):
        if name.startswith(PACKAGE):
            waiting += [value for value in vars(module).values()
                        if isinstance(value, type) and value.__module__.startswith(PACKAGE)]
    seen: dict[type, None] = {}
    while waiting:
        cls = waiting.pop()
        if cls not in seen:
            seen[cls] = None
            waiting += type.__subclasses__(cls)
    return [cls for cls in seen if type(cls) is type and inspect.isfunction(vars(cls).get("__init__"))]
