"""The TensorFlow side of the operations' cases: Keras's own operations in a functional model, in float64."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.backends.tensorflow.model import build_model
from tests.conformance.cases.operations import CASES
from tests.conformance.engine import cotangents
from tests.conformance.operations_engine import OperationCase


def run_case(case: OperationCase) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    spec = case.spec()
    keras.config.set_floatx("float32")
    config = json.loads(build_model(spec, {}, "float32").to_json())
    keras.config.set_floatx("float64")
    model = build_model(spec, {}, "float64")
    inputs = [tf.constant(array) for array in case.arrays()]
    floating = [(index, x) for index, x in enumerate(inputs) if x.dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch([x for _, x in floating])
        outputs = model(inputs)
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        factors = cotangents(case.name, [tuple(y.shape) for y in outputs])
        terms = [tf.reduce_sum(tf.cast(y, tf.float64) * c) for y, c in zip(outputs, factors, strict=True)
                 if y.dtype.is_floating]
        total = tf.add_n(terms) if terms else None
    arrays = {f"output {index}": np.asarray(y) for index, y in enumerate(outputs)}
    if case.gradient and total is not None and floating:
        gradients = tape.gradient(total, [x for _, x in floating], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        arrays |= {f"gradient {index}": np.asarray(tf.convert_to_tensor(g))
                   for (index, _), g in zip(floating, gradients, strict=True)}
    # In a graph, where the batch's size is open.
    traced = tf.function(model, input_signature=[[
        tf.TensorSpec([None, *(size for size in shape)], x.dtype)
        for shape, x in zip(case.inputs, inputs, strict=True)]])
    graph = traced(inputs)
    graph = list(graph) if isinstance(graph, (list, tuple)) else [graph]
    arrays |= {f"output {index} in a graph": np.asarray(y) for index, y in enumerate(graph)}
    shapes = [list(tensor.shape) for tensor in model.outputs]
    return arrays, {"config": config, "shapes": shapes}


def main() -> None:
    cases = {case.name: case for case in CASES}
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {}
    for name in json.loads(Path(sys.argv[1]).read_text()):
        try:
            found, facts[name] = run_case(cases[name])
            arrays |= {f"{name}|{what}": value for what, value in found.items()}
        except Exception:  # reported by the case's own test
            facts[name] = {"error": traceback.format_exc(limit=-4)}
    functions = {f"{space}{name}" for space, module in (("", keras.ops), ("image.", keras.ops.image))
                 for name in dir(module) if not name.startswith("_") and callable(getattr(module, name))}
    facts["about"] = {"functions": sorted(functions)}
    np.savez(sys.argv[2], **arrays, facts=np.array(json.dumps(facts)))  # type: ignore[arg-type]


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    main()
