"""What lies on the device for all of a phase: the examples and the tape."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from harness.plan.binding import Arrays
from harness.plan.plan import Plan


def data_on_device(data: Arrays) -> dict[str, Any]:
    """{"x": input -> examples, "y": output -> targets, "w": weights of the examples or None}."""
    return {
        "x": {name: tf.convert_to_tensor(array) for name, array in data.x.items()},
        "y": {name: tf.convert_to_tensor(array) for name, array in data.y.items()},
        "w": None if data.sample_weight is None else tf.convert_to_tensor(data.sample_weight),
    }


def replaceable(data: dict[str, Any]) -> dict[str, Any]:
    """The same as variables: what reads them is compiled once, whatever they hold."""
    return {**data, **{kind: {name: tf.Variable(tensor, trainable=False) for name, tensor in data[kind].items()}
                       for kind in ("x", "y")}}


def is_replaceable(data: dict[str, Any]) -> bool:
    return all(isinstance(held, tf.Variable) for held in data["x"].values())


def replace_rows(data: dict[str, Any], rows: np.ndarray, new: Arrays) -> None:
    """Exchanges examples of `replaceable` data."""
    for held, arrays in ((data["x"], new.x), (data["y"], new.y)):
        for name, variable in held.items():
            variable.scatter_update(tf.IndexedSlices(tf.convert_to_tensor(arrays[name], variable.dtype), rows))


def tape_on_device(plan: Plan) -> dict[str, tf.Tensor]:
    """{"indices", "keys", "learning_rates"}, a row per step; a partial batch is filled up with row 0."""
    tape = plan.tape
    return {"indices": tf.convert_to_tensor(np.maximum(tape.indices, 0)), "keys": tf.convert_to_tensor(tape.keys),
            "learning_rates": tf.convert_to_tensor(tape.learning_rates.astype(plan.dtype))}
