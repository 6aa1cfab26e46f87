"""The operations on symbolic tensors: keras.ops without a framework (`ops.mean(x, axis=1)`).

Each is a node of the model, as in Keras; `name=` names it. What is not supported says why when it is used.
"""

from __future__ import annotations

import types
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec import operations
from harness.spec.operations import calling

_SPACES = ("image", "linalg", "nn", "numpy")
_NAMES = {name.removeprefix("ops.") for name in (*operations.OPERATIONS, *operations.ALIASES) if
          name.startswith("ops.")}


def shape(x: Any) -> tuple[int | None, ...]:
    """The shape of a symbolic tensor, None where it is open."""
    return tuple(x.shape)


def ndim(x: Any) -> int:
    """The number of dimensions of a symbolic tensor."""
    return len(x.shape)


def dtype(x: Any) -> str:
    """The type of a symbolic tensor's values."""
    return str(x.dtype)


def is_tensor(x: Any) -> bool:
    """False: a symbolic tensor holds no values."""
    return False


def _function(name: str) -> Any:
    return calling.function(operations.declared(f"ops.{name}"))


class _Space(types.SimpleNamespace):
    """keras.ops.nn, keras.ops.image and their like."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.__dict__["_prefix"] = "image." if name == "image" else ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _get(self._prefix + name)

    def __dir__(self) -> list[str]:
        return sorted(name.removeprefix(self._prefix) for name in _NAMES if name.startswith(self._prefix))


def _get(name: str) -> Any:
    if name in _NAMES:
        return _function(name)
    if name in operations.REFUSED:
        def refused(*args: Any, **kwargs: Any) -> Any:
            raise SpecError(f"keras.ops.{name} is not supported: {operations.REFUSED[name]}.")

        return refused
    raise AttributeError(f"keras.ops has no {name!r}. {did_you_mean(name, _NAMES)}")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Space(name) if name in _SPACES else _get(name)


def __dir__() -> list[str]:
    return sorted({*(name for name in _NAMES if "." not in name), *_SPACES, "shape", "ndim", "dtype", "is_tensor"})
