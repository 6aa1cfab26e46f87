"""What TensorFlow really made of a session's program: graphs traced, compiled by XLA or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from harness.backends.tensorflow.conditions import xla_compiles


def found(functions: Iterable[Any], wanted: str, before: int | None) -> dict[str, Any]:
    """See Session.compilation. functions: the tf.functions that train. wanted: "xla" or "graph". before: the
    programs at its last call.

    A program is a traced graph; XLA compiles each one once, as the arguments are scalars or of fixed shapes.
    """
    known = list(functions)
    programs = sum(function.experimental_get_tracing_count() for function in known)
    # Made with jit_compile=True: every graph that it traced carries _XlaMustCompile.
    asked = any(getattr(function, "_jit_compile", False) for function in known)
    fallback = _eager(programs) or (_not_compiled(asked) if wanted == "xla" else None)
    traced = "xla" if asked and fallback is None else "graph"
    return {
        "compiler": traced if _eager(programs) is None else "none", "wanted": wanted, "programs": programs,
        "recompiles": 0 if before is None else programs - before,
        "graph_breaks": None, "seconds": None, "fallback": fallback,
    }


def _eager(programs: int) -> str | None:
    if tf.config.functions_run_eagerly():
        return "tf.config.run_functions_eagerly is on"
    return None if programs else "nothing was traced"


def _not_compiled(asked: bool) -> str | None:
    if not asked:
        return "the training function was made without jit_compile"
    return None if xla_compiles() else "this process runs what asks for XLA without it"


def functions_of(made: Any) -> Iterator[Any]:
    """The tf.functions that Keras's `train_function` is made of: they lie in its closures."""
    seen: set[int] = set()
    waiting = [made]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or not callable(item):
            continue
        seen.add(id(item))
        if hasattr(item, "experimental_get_tracing_count"):
            yield item
            item = item.python_function
        waiting += [content for cell in getattr(item, "__closure__", None) or () for content in _contents(cell)]


def _contents(cell: Any) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # a variable that was never set
        return []
