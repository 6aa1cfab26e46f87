"""harness: one model spec, trained identically in TensorFlow/Keras and PyTorch, and compared.

Everything here is loaded on first use: importing harness imports no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that owns it.
_OWNERS = {
    "Input": "harness.spec.notation",
    "Model": "harness.spec.notation",
    "Sequential": "harness.spec.notation",
    "ModelSpec": "harness.spec.model",
    "load_model": "harness.models",
    "from_keras": "harness.exchange.from_keras",
    "from_pretrained": "harness.exchange.pretrained.models",
    "export": "harness.exchange.export",
    "build": "harness.runner.native",
    "generate": "harness.runner.generating",
    "get_weights": "harness.runner.native",
    "set_weights": "harness.runner.native",
    "register_layer": "harness.spec.layers.registration",
    "train": "harness.runner.in_process",
    "run": "harness.runner.driver",
    "explain": "harness.runner.explain",
    "twin": "harness.runner.twin",
    "certify_port": "harness.runner.ports.driver",
    "Certificate": "harness.certify.certificate",
    "Record": "harness.records.record",
    "Results": "harness.report.results",
    "SpecError": "harness.errors",
    "HarnessError": "harness.errors",
}
# `certify` is a room that can be called (docs/decisions/0008).
_MODULES = {"layers": "harness.spec.layers", "keras": "harness.keras", "ops": "harness.ops",
            "certify": "harness.certify"}

__all__ = [
    "Certificate",
    "HarnessError",
    "Input",
    "Model",
    "ModelSpec",
    "Record",
    "Results",
    "Sequential",
    "SpecError",
    "__version__",
    "build",
    "certify",
    "certify_port",
    "explain",
    "export",
    "from_keras",
    "from_pretrained",
    "generate",
    "get_weights",
    "keras",
    "layers",
    "load_model",
    "ops",
    "register_layer",
    "run",
    "set_weights",
    "train",
    "twin",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _OWNERS:
        return getattr(importlib.import_module(_OWNERS[name]), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from harness import keras, ops
    from harness.certify.certificate import Certificate
    from harness.errors import HarnessError, SpecError
    from harness.exchange.export import export
    from harness.exchange.from_keras import from_keras
    from harness.exchange.pretrained.models import from_pretrained
    from harness.models import load_model
    from harness.records.record import Record
    from harness.report.results import Results
    from harness.runner.certify import certify
    from harness.runner.driver import run
    from harness.runner.explain import explain
    from harness.runner.generating import generate
    from harness.runner.in_process import train
    from harness.runner.native import build, get_weights, set_weights
    from harness.runner.twin import twin
    from harness.spec import layers
    from harness.spec.layers.registration import register_layer
    from harness.spec.model import ModelSpec
    from harness.spec.notation import Input, Model, Sequential
