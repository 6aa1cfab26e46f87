"""How a fault gets into a program: methods are wrapped, modules and layers are changed as soon as they are built.

Nothing is undone: a fault lives in a child process of its own, and dies with it.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any


def wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Puts make(original) in the place of a function of a class, a module or an object."""
    original = getattr(owner, name)
    replacement = make(original)
    if isinstance(owner, type):
        functools.update_wrapper(replacement, original)
        # Keras reads signatures without following what wraps them.
        replacement.__signature__ = inspect.signature(original)
    setattr(owner, name, replacement)


def method(instance: Any, name: str, function: Callable[..., Any]) -> None:
    """Gives one object a method of its own: function(self, ...)."""
    setattr(instance, name, types.MethodType(function, instance))


def after_init(cls: type, change: Callable[[Any], None]) -> None:
    """change(instance) follows the constructor of a class, also of those derived from it."""
    def make(original: Any) -> Any:
        def constructor(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            change(self)

        return constructor

    wrap(cls, "__init__", make)


def with_arguments(cls: type, **arguments: Any) -> None:
    """The constructor of a class is called with other arguments, where it is given them by name."""
    def make(original: Any) -> Any:
        def constructor(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **{**kwargs, **arguments})

        return constructor

    wrap(cls, "__init__", make)


def on_module(layer: str, change: Callable[[Any], None]) -> None:
    """PyTorch: change(module) of a layer as soon as a network is built, before its weights are loaded."""
    from harness.backends.pytorch.model import Network

    after_init(Network, lambda network: change(network.layer(layer)) if layer in network.spec.layers else None)


def set_on_module(layer: str, **values: Any) -> None:
    """PyTorch: attributes of a layer's module."""
    def change(module: Any) -> None:
        for name, value in values.items():
            assert hasattr(module, name), (layer, name)
            setattr(module, name, value)

    on_module(layer, change)


def on_keras_layer(cls: type, layer: str, change: Callable[[Any], None]) -> None:
    """TensorFlow: change(layer) of the Keras layer of that name and class, when it is made."""
    after_init(cls, lambda made: change(made) if made.name == layer else None)


def with_optimizer(owner: type, **changes: Any) -> None:
    """PyTorch: the optimizer (a spec) that a class of optimizers is made for has other arguments."""
    def make(original: Any) -> Any:
        def constructor(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> None:
            fields = {name: getattr(optimizer, name) for name in type(optimizer).model_fields}
            original(self, type(optimizer)(**{**fields, **changes}), *args, **kwargs)

        return constructor

    wrap(owner, "__init__", make)
