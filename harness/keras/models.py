"""keras.models: the two kinds of models, where many scripts import them from."""

from __future__ import annotations

from harness.keras.cloning import clone_model
from harness.keras.model import Model
from harness.keras.refusals import namespace
from harness.keras.sequential import Sequential

__all__ = ["Model", "Sequential", "clone_model"]

__getattr__, __dir__ = namespace(
    "keras.models", {name: globals()[name] for name in __all__}, ("load_model", "model_from_json", "save_model"),
    hint="Build the model from its layers, and read its weights with model.load_weights('name.safetensors').",
)
