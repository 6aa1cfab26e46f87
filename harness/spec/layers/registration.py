"""The public hook for layers of your own: a spec entry and one builder per backend.

    class Scale(harness.layers.Layer):
        factor: float = 1.0

    harness.register_layer(Scale, tensorflow="my_layers_keras:build_scale", pytorch="my_layers_torch:build_scale")

Builders are named, not imported: a process loads only its own framework. The TensorFlow builder is called as
`build(layer, name=, dtype=, trainable=)` and returns a keras.layers.Layer whose weights stand in the order that
the spec declares; the PyTorch builder is called as `build(layer, *input_shapes)` and returns a torch.nn.Module whose
`keras_weights` maps every role (harness.backends.pytorch.weights: same, permuted).

Workers are processes of their own. They find the registration again through the module that made it: the modules
named by the entry points of the group "harness.layers" and by the environment variable HARNESS_LAYERS (names with
commas between them) are imported when a layer's name is not known. `register_layer` adds its caller's module to
that variable.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.errors import SpecError
from harness.spec.layers.base import Layer

VARIABLE = "HARNESS_LAYERS"
GROUP = "harness.layers"


@dataclass(frozen=True)
class Builders:
    """Where a registered layer's builders are: backend -> "module:function"."""

    targets: dict[str, str]

    def load(self, layer: type[Layer], backend: str) -> Callable[..., Any]:
        """The function. Raises SpecError where it is not to be had."""
        where = f"layer {layer.canonical_name()!r}, builder for {backend}"
        module, _, function = self.targets[backend].partition(":")
        try:
            builder = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError) as error:
            raise SpecError(f"cannot load {self.targets[backend]!r}: {error}.", where=where,
                            hint='Register it as "module:function" of an importable module.') from None
        if not callable(builder):
            raise SpecError(f"{self.targets[backend]!r} is not a function.", where=where)
        return builder  # type: ignore[no-any-return]


REGISTERED: dict[type[Layer], Builders] = {}
_loaded: set[str] = set()


def register_layer(layer: type[Layer], *, tensorflow: str, pytorch: str) -> type[Layer]:
    """Makes a layer class of your own part of the vocabulary; returns the class.

    tensorflow, pytorch: "module:function" of the builders. Raises SpecError for a class that is no Layer, a name
    that the vocabulary has, or a builder that is not written so.
    """
    from harness.spec.layers import LAYERS

    if not (isinstance(layer, type) and issubclass(layer, Layer)):
        raise SpecError(f"register_layer takes a subclass of harness.layers.Layer, got {layer!r}.")
    name = layer.canonical_name()
    for backend, target in (("tensorflow", tensorflow), ("pytorch", pytorch)):
        module, colon, function = target.partition(":") if isinstance(target, str) else ("", "", "")
        if not (module and colon and function):
            raise SpecError(f"the {backend} builder of {name} is given as \"module:function\", got {target!r}.",
                            where="register_layer")
    known = LAYERS.registered(name)
    if known is not None and known not in REGISTERED:
        raise SpecError(f"{name} is a layer of Keras's vocabulary; it cannot be replaced.", where="register_layer",
                        hint="Give your class another name.")
    REGISTERED[layer] = Builders({"tensorflow": tensorflow, "pytorch": pytorch})
    LAYERS.add([layer])
    _announce(layer.__module__)
    return layer


def registered_builder(layer: type[Layer], backend: str) -> Callable[..., Any] | None:
    """The builder of a registered layer for a backend ("tensorflow", "pytorch"), None if it is not registered."""
    builders = REGISTERED.get(layer)
    return None if builders is None else builders.load(layer, backend)


def load_registrations() -> bool:
    """Imports the modules that register layers and were not imported yet. True if there was one.

    Raises SpecError, naming the module, where one cannot be imported.
    """
    from importlib.metadata import entry_points

    named = [name.strip() for name in os.environ.get(VARIABLE, "").split(",")]
    modules = [*filter(None, named), *(point.module for point in entry_points(group=GROUP))]
    waiting = [module for module in modules if module not in _loaded]
    for module in waiting:
        _loaded.add(module)
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise SpecError(f"cannot import {module!r}, which registers layers: {error}.", where=VARIABLE,
                            hint="Is its folder in PYTHONPATH?") from None
    return bool(waiting)


def _announce(module: str) -> None:
    """Lets the processes that are started from now on find the registration."""
    if module == "__main__" or getattr(sys.modules.get(module), "__file__", None) is None:
        return
    named = [name for name in os.environ.get(VARIABLE, "").split(",") if name]
    _loaded.add(module)
    if module not in named:
        os.environ[VARIABLE] = ",".join([*named, module])
