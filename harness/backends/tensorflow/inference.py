"""Inference as it would be served: examples on the host, outputs on the host, in inference mode, traced and warm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

Predictions = Callable[[list[tf.Tensor]], list[tf.Tensor]]


def warmed(
    predictions: Predictions, inputs: Sequence[tf.Tensor], batch_size: int, *, xla: bool,
) -> Callable[[], None]:
    """A call that answers for the first `batch_size` examples of the inputs: one tf.function of one shape."""
    feeds = _first(inputs, batch_size)
    function = tf.function(lambda *x: predictions(list(x)), jit_compile=xla)

    def call() -> None:
        for item in function(*(tf.convert_to_tensor(values) for values in feeds)):
            item.numpy()

    call()
    call()
    return call


def warmed_keras(model: keras.Model, inputs: Sequence[tf.Tensor], batch_size: int) -> Callable[[], None]:
    """The same through the model's own `predict_on_batch`, which is traced and compiled as `compile` said."""
    feeds = _first(inputs, batch_size)

    def call() -> None:
        model.predict_on_batch(feeds if len(feeds) > 1 else feeds[0])

    call()
    call()
    return call


def _first(inputs: Sequence[tf.Tensor], batch_size: int) -> list[np.ndarray]:
    """The first examples on the host, taken around where there are fewer."""
    rows = np.arange(batch_size) % int(inputs[0].shape[0])
    return [tf.gather(values, rows).numpy() for values in inputs]
