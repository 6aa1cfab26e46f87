"""What a Keras user writes: compile and fit, on whichever backend KERAS_BACKEND names."""

from __future__ import annotations

import numpy as np

from benchmarks.contenders.loops import Loop
from benchmarks.workloads import Workload


def open_loop(workload: Workload, x: np.ndarray, y: np.ndarray) -> Loop:
    import keras

    one_thread(keras.backend.backend())
    from benchmarks.contenders.keras_networks import network

    model = network(workload)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def train(epochs: int) -> float:
        return float(model.fit(x, y, batch_size=workload.batch, epochs=epochs, verbose=0).history["loss"][-1])

    def weights() -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]

    return Loop(f"keras.fit, {keras.backend.backend()}", train, weights)


def one_thread(backend: str) -> None:
    """Before the framework computes anything."""
    if backend == "torch":
        import torch

        torch.set_num_threads(1)
    else:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
