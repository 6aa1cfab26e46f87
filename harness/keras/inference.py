"""`model.evaluate` and `model.predict`: one half, in its worker."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.backends.contract import State
from harness.keras import arrays
from harness.keras.state import STATE, execution
from harness.keras.weights import canonical, half_of
from harness.records.checkpoint import save_checkpoint
from harness.runner.workers import Job, worker
from harness.spec.explicit import explicit
from harness.spec.host import device_part
from harness.spec.recipe import Recipe
from harness.training.state import to_tensors

if TYPE_CHECKING:
    from harness.keras.model import Model


def evaluate(
    model: Model, x: Any, y: Any, batch_size: int, sample_weight: Any, framework: str | None,
) -> dict[str, float]:
    """{"loss": ..., metric: ...} of one half on these arrays."""
    from harness.data import save

    compiled = model._compiled()
    settings = execution(compile=compiled.execution_compile)
    dataset = arrays.dataset(model, x, y, sample_weight, None, 0.0, settings.precision)
    with tempfile.TemporaryDirectory(dir=STATE.folder()) as name:
        folder = Path(name)
        save(dataset, folder / "arrays.npz")
        recipe = compiled.recipe(batch_size=int(batch_size))
        results: dict[str, float] = _run("evaluate", model, recipe, settings, folder, framework, int(batch_size))
    return results


def predict(model: Model, x: Any, batch_size: int, framework: str | None) -> list[np.ndarray]:
    """The outputs of one half for these arrays."""
    compiled = model.compiled
    settings = execution(compile="auto" if compiled is None else compiled.execution_compile)
    arrays.built_for(model, x)
    with tempfile.TemporaryDirectory(dir=STATE.folder()) as name:
        folder = Path(name)
        np.savez(folder / "arrays.npz", **arrays.inputs(model, x, settings.precision))  # type: ignore[arg-type]
        keys = _run("predict", model, Recipe.parse({"loss": "mse"}), settings, folder, framework, int(batch_size))
        with np.load(folder / "outputs.npz") as archive:
            return [archive[key] for key in keys]


def _run(function: str, model: Model, recipe: Recipe, settings: Any, folder: Path, framework: str | None,
         batch_size: int) -> Any:
    half = half_of(framework)
    save_checkpoint(folder / "weights.safetensors", to_tensors(State(canonical(model, half))))
    spec = device_part(model.spec)  # `arrays` holds what the host computes of text
    return worker(half).run(Job(f"harness.keras.jobs:{function}", {
        "model": spec.to_data(), "recipe": explicit(recipe), "execution": explicit(settings), "backend": half,
        "data": str(folder / "arrays.npz"), "weights": str(folder / "weights.safetensors"),
        "out": str(folder / "outputs.npz"), "batch_size": batch_size,
    })).unwrap()
