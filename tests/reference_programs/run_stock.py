"""Runs the reference programs under stock Keras, from the weights and in the order of the harness's runs.

    python -m tests.reference_programs.run_stock OUT

Each program's text has its import line changed back. Around `fit` two things are injected: the first weights of
the harness's TensorFlow half, and the order of its batches (arrays put in order epoch by epoch, shuffle=False).
OUT/<program>.npz gets the weights after each fit.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.keras.datasets import fashion_mnist
from harness.plan.compiler import shuffled_batches
from harness.records.checkpoint import load_checkpoint
from harness.records.record import Record
from harness.spec.recipe import Recipe
from tests.reference_programs.run_harness import PROGRAMS
from tests.reference_programs.stores import fits_of

OURS, STOCK = "from harness import keras", "from tensorflow import keras"
FIT = keras.Model.fit


class Replay:
    """Stands in for Model.fit: plays the fits of one program as the harness played them."""

    def __init__(self, folder: Path) -> None:
        self.records: list[Record] = [fit["tensorflow"] for fit in fits_of(folder)]
        self.weights: list[list[np.ndarray]] = []

    def fit(self, model: Any, x: Any, y: Any, epochs: int = 1, batch_size: int = 32, validation_split: float = 0.0,
            validation_data: Any = None, verbose: Any = 0) -> Any:
        record = self.records[len(self.weights)]
        if not self.weights:
            self.start(model, record, x)
        if validation_split:
            kept = int(len(x) * (1 - validation_split))
            x, y, validation_data = x[:kept], y[:kept], (x[kept:], y[kept:])
        phase = Recipe.parse(record.cell["recipe"]).resolved_phases()[0]
        assert (phase.epochs, phase.batch_size) == (epochs, batch_size)
        orders = shuffled_batches(phase, 0, len(x), record.seed)[0].reshape(epochs, -1)
        logs: dict[str, list[float]] = {}
        for order in orders:
            rows = order[order >= 0]
            history = FIT(model, x[rows], y[rows], batch_size=batch_size, epochs=1, shuffle=False, verbose=0,
                          validation_data=validation_data)
            for name, values in history.history.items():
                logs.setdefault(name, []).extend(values)
        self.weights.append(model.get_weights())
        history.history = logs
        return history

    def start(self, model: Any, record: Record, x: Any) -> None:
        """Gives the model the weights with which the harness's half began."""
        assert record.folder is not None
        path = record.folder.parent.parent / f"start-{record.seed}.tensorflow.safetensors"
        if not model.built:
            model.build((None, *x.shape[1:]))
        # These programs' canonical order is Keras's: one chain of layers.
        model.set_weights(list(in_order(load_checkpoint(path).weights).values()))


def in_order(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """dense/kernel, dense/bias, dense_1/kernel, ...: safetensors files are sorted otherwise."""
    return {name: weights[name] for name in sorted(weights, key=lambda name: (name.split("/")[0], -len(name)))}


def main(out: Path) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    # Stock Keras looks into its download cache only; these are the same arrays, wherever they lie.
    keras.datasets.fashion_mnist.load_data = fashion_mnist.load_data
    for program in PROGRAMS:
        text = Path(__file__).with_name(f"{program}.py").read_text()
        assert text.count(OURS) == 1
        replay = Replay(out / program)
        keras.Model.fit = lambda model, *args, replay=replay, **kwargs: replay.fit(model, *args, **kwargs)
        exec(compile(text.replace(OURS, STOCK), f"{program}.py", "exec"), {"__name__": "__main__"})
        assert len(replay.weights) == len(replay.records)
        arrays = {f"{fit}/{i}": array for fit, kept in enumerate(replay.weights) for i, array in enumerate(kept)}
        np.savez(out / f"{program}.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
