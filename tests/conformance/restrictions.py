"""Every layer with every constraint and an activity regularizer: one update in each framework.

    python -m tests.conformance.restrictions <backend> <out.npz>

A case is the first conformance case of a layer class, its `*_constraint` arguments and its activity_regularizer set.
The loss is what the activity regularizers add, and a little of every weight, so that every weight has a gradient.
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import replace
from typing import Any

import numpy as np

from harness import layers
from harness.spec.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from harness.spec.layers.base import Layer
from harness.spec.model import ModelSpec, copy_layer
from harness.spec.regularizers import L1L2
from tests.conformance import engine

CONSTRAINTS = (MaxNorm(max_value=0.3, axis=0), UnitNorm(axis=-1), MinMaxNorm(0.2, 0.4, 0.7, axis=0), NonNeg(),
               MaxNorm(max_value=0.4, axis=None))
LEARNING_RATE = 0.1
# Keras's class has no such argument, or fails with it.
WITHOUT_ACTIVITY = ("ActivityRegularization", "SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells")
# Families whose layers have neither weights nor use for an activity regularizer, or refuse both.
LEFT_OUT = ("operations/", "preprocessing", "augmentation", "lora/")


def restricted(layer: Layer) -> Layer:
    """The layer with its constraints and an activity regularizer."""
    fields = [field for field in type(layer).model_fields if field.endswith("_constraint")]
    changes: dict[str, Any] = {field: CONSTRAINTS[index % len(CONSTRAINTS)] for index, field in enumerate(fields)}
    if type(layer).__name__ not in WITHOUT_ACTIVITY:
        changes["activity_regularizer"] = L1L2(l1=0.02, l2=0.03)
    return copy_layer(layer, **changes)


def cases() -> dict[str, engine.Case]:
    """One case for each layer class."""
    found: dict[str, engine.Case] = {}
    for key, case in engine.all_cases().items():
        name = case.layer_class.__name__
        if name in found or type(case) is not engine.Case or key.startswith(LEFT_OUT):
            continue
        made = case.layer(layers)
        found[name] = replace(case, layer=lambda _layers, made=made: restricted(made))
    return found


def weights_of(name: str, spec: ModelSpec) -> engine.Arrays:
    return engine.weights_of(f"restrictions {name}", spec)


def tensorflow_update(name: str, case: engine.Case) -> engine.Arrays:
    """{"penalty", "weight ..."} after one update."""
    import tensorflow as tf

    from harness.backends.tensorflow.model import build_model, get_weights, variables
    from harness.backends.tensorflow.optimizers import apply, build_optimizer
    from harness.backends.tensorflow.randomness import Keys
    from harness.spec.optimizers import SGD

    spec = case.spec()
    model = build_model(spec, weights_of(name, spec), "float64", Keys() if case.certified else None)
    trained = [variable for variable in variables(model).values() if variable.trainable]
    inputs = [tf.constant(array) for array in engine.inputs_of(name, case)]
    with tf.GradientTape() as tape:
        model(inputs if len(inputs) > 1 else inputs[0], training=False)
        penalty = tf.add_n([tf.zeros((), "float64"), *model.losses])
        total = penalty + sum(0.1 * tf.reduce_sum(variable.value) for variable in trained)
    if trained:
        optimizer = build_optimizer(SGD(), "float64")
        optimizer.build(trained)
        apply(optimizer, tape.gradient(total, [variable.value for variable in trained]), trained, LEARNING_RATE)
    arrays = {f"weight {weight}": array for weight, array in get_weights(model).items()}
    return {"penalty": penalty.numpy(), **arrays}


def pytorch_update(name: str, case: engine.Case) -> engine.Arrays:
    """The same in PyTorch."""
    import torch

    from harness.backends.pytorch.model import build_network
    from harness.backends.pytorch.optimizers import OptimizedVariable, build_optimizer
    from harness.backends.pytorch.penalties import activity_penalties
    from harness.backends.pytorch.weights import weight_maps
    from harness.spec.optimizers import SGD

    spec = case.spec()
    network = build_network(spec, weights_of(name, spec), "float64").eval()
    activity = activity_penalties(network)
    if activity is not None:
        activity.start()
    network(*(torch.from_numpy(array) for array in engine.inputs_of(name, case)))
    penalty = torch.as_tensor(0.0 if activity is None else activity.total(), dtype=torch.float64)
    variables = []
    for weight in spec.weights:
        if weight.trainable:
            item = weight_maps(network.layer(weight.layer))[weight.role]
            parameters = tuple(parameter for _, parameter in network.parameters_of(weight.layer, weight.role))
            variables.append(OptimizedVariable(weight.name, parameters, 1.0, True, item.to_keras, item.to_torch,
                                               weight.constraint))
    if variables:
        optimizer = build_optimizer(SGD(), variables, "float64")
        total = penalty + sum(0.1 * parameter.sum() for variable in variables for parameter in variable.parameters)
        torch.as_tensor(total).backward()
        optimizer.step(LEARNING_RATE)
    arrays = {f"weight {weight}": array for weight, array in network.get_weights().items()}
    return {"penalty": penalty.detach().numpy(), **arrays}


def main() -> None:
    backend, out = sys.argv[1:]
    update = tensorflow_update if backend == "tensorflow" else pytorch_update
    arrays: engine.Arrays = {}
    for name, case in cases().items():
        try:
            arrays |= {f"{name}|{what}": array for what, array in update(name, case).items()}
        except Exception:  # reported by the case's own test
            arrays[f"{name}|error"] = np.array(traceback.format_exc(limit=-6))
    np.savez(out, **arrays)


if __name__ == "__main__":
    main()
