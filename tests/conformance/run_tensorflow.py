"""The TensorFlow side of the conformance cases: stock Keras layers, in float64, differentiated by GradientTape."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.backends.tensorflow.layers import KEYED, REPLACED
from harness.backends.tensorflow.layers.stock import numpy
from harness.backends.tensorflow.model import build_model, get_weights, variables
from harness.backends.tensorflow.randomness import Keys
from tests.conformance import engine, process


def run_case(key: str, case: engine.Case) -> process.Result:
    spec = case.spec()
    keys = _keys(spec) if case.certified else None
    model = build_model(spec, engine.weights_of(key, spec), "float64", keys)
    inputs = [tf.constant(array) for array in engine.inputs_of(key, case)]
    trained = {name: variable for name, variable in variables(model).items() if variable.trainable}
    floating = [(index, x) for index, x in enumerate(inputs) if x.dtype.is_floating]
    drawn = tf.constant(engine.keys_of(key, max(1, len(engine.stochastic_nodes(spec)))))
    with tf.GradientTape() as tape:
        tape.watch([x for _, x in floating])
        if keys is not None:
            keys.start(drawn)
        outputs = _listed(model(inputs, training=True))
        factors = engine.cotangents(key, [tuple(y.shape) for y in outputs])
        total = tf.add_n([tf.reduce_sum(tf.cast(y, tf.float64) * c) for y, c in zip(outputs, factors, strict=True)])
    by_input, by_weight = tape.gradient(
        total, [[x for _, x in floating], [variable.value for variable in trained.values()]],
        unconnected_gradients=tf.UnconnectedGradients.ZERO)
    arrays = {f"output {index}": numpy(y) for index, y in enumerate(outputs)}
    arrays |= {f"input gradient {index}": numpy(g) for (index, _), g in zip(floating, by_input, strict=True)}
    arrays |= {f"weight gradient {name}": _dense(g) for name, g in zip(trained, by_weight, strict=True)}
    arrays |= {f"weight after {name}": value for name, value in get_weights(model).items()}
    arrays |= {f"inference {index}": numpy(y) for index, y in enumerate(_listed(model(inputs, training=False)))}
    arrays["regularization"] = np.float64(sum(float(numpy(loss)) for loss in model.losses))
    return arrays, _facts(model, spec)


def _keys(spec: Any) -> Keys:
    keys = Keys()
    for row, node in enumerate(engine.stochastic_nodes(spec)):
        keys.rows.setdefault(node.split("@")[0], []).append(row)
    return keys


def _facts(model: keras.Model, spec: Any) -> dict[str, Any]:
    shapes = [tuple(tensor.shape) for tensor in model.outputs]
    kinds = {type(layer).__module__.partition(".")[0] for layer in model.layers}
    return {"stock": kinds == {"keras"}, "parameters": model.count_params(),
            "output_shapes": [list(shape) for shape in shapes],
            "trainable": sorted(name for name, variable in variables(model).items() if variable.trainable)}


def _listed(result: Any) -> list[tf.Tensor]:
    return list(result) if isinstance(result, (list, tuple)) else [result]


def _dense(gradient: Any) -> np.ndarray:
    return numpy(tf.convert_to_tensor(gradient))


def _signatures() -> dict[str, list[str]]:
    """Keras's positional arguments by layer."""
    classes = {name: item for name, item in vars(keras.layers).items() if isinstance(item, type)}
    return {name: [parameter.name for parameter in inspect.signature(cls).parameters.values()
                   if parameter.kind is parameter.POSITIONAL_OR_KEYWORD] for name, cls in classes.items()}


if __name__ == "__main__":
    keras.config.set_floatx("float64")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    process.main(run_case, {
        "keyed": sorted(cls.__name__ for cls in KEYED),
        "layers": sorted({*dir(keras.layers), *(cls.__name__ for cls in REPLACED)}),
        "signatures": _signatures(),
        "versions": {"Keras": keras.__version__, "TensorFlow": tf.__version__},
    })
