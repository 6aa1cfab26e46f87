"""What a Keras user writes: compile and fit, on whichever backend KERAS_BACKEND names."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from benchmarks.contenders.loops import Loop
from benchmarks.workloads import Workload


def open_loop(workload: Workload, x: np.ndarray, y: np.ndarray) -> Loop:
    import keras

    # Each backend's file knows its own framework.
    import_module(f"benchmarks.contenders.{keras.backend.backend()}_threads").one_thread()
    from benchmarks.contenders.keras_networks import network

    model = network(workload)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def train(epochs: int) -> float:
        return float(model.fit(x, y, batch_size=workload.batch, epochs=epochs, verbose=0).history["loss"][-1])

    def weights() -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]

    return Loop(f"keras.fit, {keras.backend.backend()}", train, weights)
