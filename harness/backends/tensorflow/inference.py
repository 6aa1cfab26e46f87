"""Inference: whole arrays batch by batch; and as it would be served: examples on the host, outputs on the host, traced
and warm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.backends.tensorflow.model import whole

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


def calling(model: keras.Model) -> Any:
    """The model in inference mode as a graph, traced when it is first called."""
    return tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True, autograph=False)


def predict(
    model: keras.Model, spec: Any, x: Mapping[str, np.ndarray], batch_size: int, call: Any = None,
) -> tuple[np.ndarray, ...]:
    """The outputs in inference mode, batch by batch. call: what `calling` made of the model, if it is there."""
    parts, call = [], call or calling(model)
    for begin in range(0, len(next(iter(x.values()))), batch_size):
        feeds = [tf.convert_to_tensor(x[item.name][begin : begin + batch_size]) for item in spec.inputs]
        result = call(feeds if len(feeds) > 1 else feeds[0])
        parts.append([whole(item).numpy() for item in (result if isinstance(result, (list, tuple)) else [result])])
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
