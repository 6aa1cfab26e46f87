"""Every tensor and gradient of one pass through a Keras model, for comparison with the other backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.backends.contract import TraceRequest, Weights
from harness.backends.tensorflow.layers.stock import numpy
from harness.backends.tensorflow.model import build_model, get_weights, variable_dtype, variables, whole
from harness.backends.tensorflow.randomness import Keys


def trace(request: TraceRequest) -> Weights:
    """See backends/contract.py: Backend.trace."""
    before = keras.config.floatx()
    keras.config.set_floatx(variable_dtype(request.dtype))
    try:
        return _trace(request)
    finally:
        keras.config.set_floatx(before)


def _trace(request: TraceRequest) -> Weights:
    spec = request.spec
    keys = Keys()
    for row, node in enumerate(request.stochastic):
        keys.rows.setdefault(node.split("@")[0], []).append(row)
    model = build_model(spec, request.weights, request.dtype, keys if request.stochastic else None)
    inputs = {item.name: tf.constant(request.inputs[item.name], _dtype(item.dtype, variable_dtype(request.dtype)))
              for item in spec.inputs}
    inferred = _run(model, spec.outputs, inputs, training=False)
    found = {f"inference {name}": numpy(whole(y)) for name, y in inferred.items()}
    trained = {name: variable for name, variable in variables(model).items() if variable.trainable}
    with tf.GradientTape() as tape:
        tape.watch([x for x in inputs.values() if x.dtype.is_floating])
        keys.start(tf.constant(request.keys))
        values = _run(model, spec.outputs, inputs, training=True)
        parts = [tf.cast(tf.reduce_sum(values[name] * tf.cast(request.cotangent(name, tuple(values[name].shape)),
                                                              values[name].dtype)), tf.float64)
                 for name in request.differentiated if values[name].dtype.is_floating]
        total = tf.add_n(parts) if parts else tf.constant(0.0)
    looked_at = {name: x for name, x in {**inputs, **values}.items() if x.dtype.is_floating}
    by_tensor, by_weight = tape.gradient(
        total, [list(looked_at.values()), [variable.value for variable in trained.values()]],
        unconnected_gradients=tf.UnconnectedGradients.ZERO)
    found |= {f"training {name}": numpy(whole(y)) for name, y in values.items()}
    found |= {f"gradient {name}": _dense(g) for name, g in zip(looked_at, by_tensor, strict=True)}
    found |= {f"weight gradient {name}": _dense(g) for name, g in zip(trained, by_weight, strict=True)}
    state = {weight.name for weight in spec.weights if not weight.trainable}
    found |= {f"weight after {name}": array for name, array in get_weights(model).items() if name in state}
    return {name: request.keep(name, array) for name, array in found.items()}


def _run(
    model: keras.Model, references: tuple[str, ...], inputs: Mapping[str, tf.Tensor], training: bool
) -> dict[str, Any]:
    outputs = model(list(inputs.values()) if len(inputs) > 1 else next(iter(inputs.values())), training=training)
    listed = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    return dict(zip(references, listed, strict=True))


def _dtype(wanted: str, dtype: str) -> str:
    return dtype if wanted.startswith("float") else wanted


def _dense(gradient: Any) -> np.ndarray:
    return numpy(whole(tf.convert_to_tensor(gradient)))
