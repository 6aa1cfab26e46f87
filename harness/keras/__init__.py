"""Keras's own names without a framework: the import line that makes a Keras script train in both frameworks.

    from harness import keras              # was: from tensorflow import keras

`model.fit` trains the model in TensorFlow and in PyTorch, identically, each in a process of its own, and
returns a history whose `.history` is Keras's and whose `.comparison` compares the two. See docs/keras-scripts.md.
"""

from __future__ import annotations

import importlib
from typing import Any

from harness.keras.refusals import refuse

# The Keras whose signatures, defaults and meaning this namespace has.
__version__ = "3.15.1"

_MODULES = (
    "activations", "backend", "callbacks", "config", "constraints", "datasets", "initializers", "layers", "losses",
    "metrics", "models", "ops", "optimizers", "preprocessing", "regularizers", "utils",
)
# Name -> the module that owns it.
_OWNERS = {
    "Input": "layers", "Layer": "layers", "KerasTensor": "layers", "Model": "models", "Sequential": "models",
    "Initializer": "initializers", "Loss": "losses", "Metric": "metrics", "Optimizer": "optimizers",
    "Regularizer": "regularizers",
}
_REFUSED = {
    "applications": "Pretrained models are not carried; build the model from layers.",
    "device": "Set HARNESS_OVERRIDES='execution.device=cpu'.",
    "distribution": "One device is used.",
    "mixed_precision": "Set the precision with keras.config.set_floatx('float32') or 'float64'.",
    "random": "Use NumPy for data; dropout and noise layers draw their numbers from the plan.",
    "saving": "Use model.save_weights('name.safetensors').",
    "Variable": "Weights belong to layers here.",
    **dict.fromkeys(
        ("DTypePolicy", "FloatDTypePolicy", "Function", "InputSpec", "Operation", "Quantizer", "RematScope",
         "StatelessScope", "SymbolicScope", "distillation", "dtype_policies", "export", "legacy", "name_scope",
         "quantizers", "remat", "src", "tree", "visualization", "wrappers"),
        "Build the model from keras.layers.",
    ),
}



def version() -> str:
    """Keras's version."""
    return __version__


_NAMES = [*_MODULES, *_OWNERS, "__version__", "version"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _OWNERS:
        return getattr(importlib.import_module(f"{__name__}.{_OWNERS[name]}"), name)
    if name in _REFUSED:
        return refuse("keras", name, _REFUSED[name])
    raise AttributeError(f"module 'harness.keras' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_NAMES)
