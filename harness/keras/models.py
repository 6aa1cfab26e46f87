"""keras.models: the two kinds of models, where many scripts import them from."""

from __future__ import annotations

from harness.keras.checkpoints import save as save_model
from harness.keras.cloning import clone_model
from harness.keras.loading import load_model, model_from_json
from harness.keras.model import Model
from harness.keras.refusals import namespace
from harness.keras.sequential import Sequential

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]

__getattr__, __dir__ = namespace(
    "keras.models", {name: globals()[name] for name in __all__}, (),
    hint="Models are Sequential or Model(inputs, outputs).",
)
