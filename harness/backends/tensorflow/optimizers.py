"""Optimizers of the TensorFlow backend: stock keras.optimizers, with the learning rate given at every step.

Keras rounds Python floats to float32 on their way into a float64 update (semantics.md 0.1); in float64 runs
the hyperparameters are therefore np.float64, which Keras keeps whole (0.3). Gradients are made dense before
the update, because Keras does not merge an embedding's repeated rows (0.4).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.spec import optimizers as spec

# Canonical slot name -> attribute of the Keras optimizer that lists the slot's variables.
SLOTS: dict[type[Any], dict[str, str]] = {
    keras.optimizers.SGD: {"momentum": "momentums"},
    keras.optimizers.Adam: {"m": "_momentums", "v": "_velocities", "v_hat": "_velocity_hats"},
    keras.optimizers.RMSprop: {
        "velocity": "_velocities", "momentum": "_momentums", "average_gradient": "_average_gradients"
    },
    keras.optimizers.Adagrad: {"accumulator": "_accumulators"},
}


class KernelSGD(keras.optimizers.SGD):  # type: ignore[misc]
    """SGD whose update is one kernel per variable; Keras's formula, number for number."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        variable = _value(variable)
        rate = tf.cast(learning_rate, variable.dtype)
        if self.momentum == 0:
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=gradient)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=_value(self.momentums[self._get_variable_index(variable)]).handle,
            lr=rate,
            grad=gradient,
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


class KernelAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam whose update is one kernel per variable; in float64 Keras's formula, number for number.

    In float32 it is not: the kernel takes 1 - beta from the rounded beta, where Keras rounds 1 - beta itself, and
    v would be off by 1.3e-5 of its value (beta_2 = 0.999).
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        variable = _value(variable)
        dtype, index = variable.dtype, self._get_variable_index(variable)
        step = tf.cast(_value(self._iterations) + 1, dtype)
        beta_1, beta_2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=_value(self._momentums[index]).handle,
            v=_value(self._velocities[index]).handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=gradient,
        )


class KernelAdamW(KernelAdam, keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW likewise: the decay is Keras's own, the update KernelAdam's."""


STOCK: dict[type[spec.Optimizer], Callable[..., Any]] = {
    spec.SGD: keras.optimizers.SGD,
    spec.Adam: keras.optimizers.Adam,
    spec.AdamW: keras.optimizers.AdamW,
    spec.RMSprop: keras.optimizers.RMSprop,
    spec.Adagrad: keras.optimizers.Adagrad,
}
KERNELS: dict[type[spec.Optimizer], Callable[..., Any]] = {
    spec.SGD: KernelSGD,
    spec.Adam: KernelAdam,
    spec.AdamW: KernelAdamW,
}
KERNEL_OPTIMIZERS = (KernelSGD, KernelAdam)


def build_optimizer(
    optimizer: spec.Optimizer, dtype: str = "float32", *, no_decay: Collection[Any] = (), fused: bool = False
) -> Any:
    """A keras.optimizers object, to be built on the trainable variables (`.build(variables)`).

    no_decay: the variables on which weight decay does not act. fused: one kernel per variable and step where
    TensorFlow has one that is Keras's formula exactly (SGD; in float64 also Adam and AdamW without amsgrad).
    The learning rate is 0 until `apply` assigns one.
    """
    arguments: dict[str, Any] = {}
    for name in type(optimizer).model_fields:
        if name not in ("learning_rate", "exclude_from_weight_decay"):
            value = getattr(optimizer, name)
            exact = dtype == "float64" and isinstance(value, float)
            arguments[name] = np.float64(value) if exact else value
    cls = STOCK[type(optimizer)]
    if fused and not getattr(optimizer, "amsgrad", False) and (dtype == "float64" or isinstance(optimizer, spec.SGD)):
        cls = KERNELS.get(type(optimizer), cls)
    # The learning-rate variable takes the global dtype, whatever that of the variables is.
    floatx = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        made = cls(learning_rate=0.0, **arguments)
    finally:
        keras.config.set_floatx(floatx)
    if no_decay and made.weight_decay:
        made.exclude_from_weight_decay(var_list=list(no_decay))
    return made


def apply(
    optimizer: Any,
    gradients: Sequence[Any],
    variables: Sequence[Any],
    learning_rate: Any,
    multipliers: Sequence[float] | None = None,
) -> None:
    """One step. Works eagerly, in a tf.function, in a tf.while_loop and under jit_compile.

    gradients: one per variable, None where the loss does not depend on it. learning_rate: scalar tensor or
    number. multipliers: factor of the learning rate per variable.
    """
    gradients = [tf.convert_to_tensor(gradient) if gradient is not None else None for gradient in gradients]
    optimizer.learning_rate.assign(learning_rate)
    if multipliers is None or all(factor == 1 for factor in multipliers):
        optimizer.apply(gradients, list(variables))
        return
    kept = [
        (gradient, _value(variable), factor)
        for gradient, variable, factor in zip(gradients, variables, multipliers, strict=True)
        if gradient is not None
    ]
    clipped = optimizer._clip_gradients([gradient for gradient, _, _ in kept])
    rates = [
        tf.cast(learning_rate, variable.dtype) * tf.cast(np.float64(factor), variable.dtype)
        for _, variable, factor in kept
    ]
    if optimizer.weight_decay is not None:
        for (_, variable, _), rate in zip(kept, rates, strict=True):
            if optimizer._use_weight_decay(variable):
                variable.assign_sub(variable * tf.cast(optimizer.weight_decay, variable.dtype) * rate)
    for gradient, (_, variable, _), rate in zip(clipped, kept, rates, strict=True):
        optimizer.update_step(gradient, variable, rate)
    optimizer.iterations.assign_add(1)


def iterations(optimizer: Any) -> int:
    """Updates made so far."""
    return int(optimizer.iterations.numpy())


def slots(optimizer: Any, variables: Sequence[Any]) -> dict[str, list[np.ndarray]]:
    """{canonical slot name: its arrays in the variables' order}."""
    indices = [optimizer._get_variable_index(variable) for variable in variables]
    return {
        name: [_value(kept[index]).numpy() for index in indices] for name, kept in _slot_variables(optimizer).items()
    }


def load_slots(
    optimizer: Any, variables: Sequence[Any], values: Mapping[str, Sequence[np.ndarray | None]], iterations: int
) -> None:
    """The inverse of `slots`. What is absent or None keeps its initial value."""
    for name, kept in _slot_variables(optimizer).items():
        for variable, value in zip(variables, values.get(name, ()), strict=False):
            if value is not None:
                kept[optimizer._get_variable_index(variable)].assign(value)
    optimizer.iterations.assign(iterations)


def _slot_variables(optimizer: Any) -> dict[str, list[Any]]:
    names = next(names for cls, names in SLOTS.items() if isinstance(optimizer, cls))
    found = {name: getattr(optimizer, attribute, []) for name, attribute in names.items()}
    return {name: kept for name, kept in found.items() if kept}


def _value(variable: Any) -> Any:
    """The tf.Variable inside of a Keras variable."""
    return variable.value if isinstance(variable, keras.Variable) else variable
