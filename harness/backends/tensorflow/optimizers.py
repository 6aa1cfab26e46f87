"""Optimizers of the TensorFlow backend: stock keras.optimizers, with the learning rate given at every step.

Keras rounds Python floats to float32 on their way into a float64 update (semantics.md 0.1); in float64 runs
the hyperparameters are therefore np.float64, which Keras keeps whole (0.3). Gradients are made dense before
the update, because Keras does not merge an embedding's repeated rows (0.4).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
    keras.optimizers.Adadelta: {
        "accumulated_grad": "_accumulated_grads", "accumulated_delta_var": "_accumulated_delta_vars"
    },
    keras.optimizers.Adamax: {"m": "_m", "u": "_u"},
    keras.optimizers.Nadam: {"m": "_momentums", "v": "_velocities"},
    keras.optimizers.Ftrl: {"accumulator": "_accumulators", "linear": "_linears"},
    keras.optimizers.Lion: {"momentum": "_momentums"},
    keras.optimizers.Lamb: {"m": "_momentums", "v": "_velocities"},
    keras.optimizers.Adafactor: {"r": "_r", "c": "_c", "v": "_v"},
    keras.optimizers.Muon: {"momentum": "momentums", "v": "adam_velocities"},
    keras.optimizers.ScheduleFreeAdamW: {"z": "_momentums", "v": "_velocities"},
}
SHARED_SLOTS = {"average": "_model_variables_moving_average", "accumulated_gradient": "_accumulated_gradients"}


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
        step = tf.cast(_value(self.iterations) + 1, dtype)
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
    spec.Adadelta: keras.optimizers.Adadelta,
    spec.Adamax: keras.optimizers.Adamax,
    spec.Nadam: keras.optimizers.Nadam,
    spec.Ftrl: keras.optimizers.Ftrl,
    spec.Lion: keras.optimizers.Lion,
    spec.Lamb: keras.optimizers.Lamb,
    spec.Adafactor: keras.optimizers.Adafactor,
    spec.Muon: keras.optimizers.Muon,
    spec.ScheduleFreeAdamW: keras.optimizers.ScheduleFreeAdamW,
}
# Arguments that Keras multiplies a keras.Variable by from the left: NumPy would take the product over. As Python
# floats they are not rounded there either.
PLAIN: dict[type[spec.Optimizer], tuple[str, ...]] = {spec.Adadelta: ("rho",), spec.Muon: ("momentum",)}
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
            exact = dtype == "float64" and isinstance(value, float) and name not in PLAIN.get(type(optimizer), ())
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
    if no_decay and (made.weight_decay or getattr(made, "adam_weight_decay", None)):
        made.exclude_from_weight_decay(var_list=list(no_decay))
    return made


def loss_scaled(optimizer: Any, initial_scale: float, dynamic_growth_steps: int) -> Any:
    """The optimizer as Keras's compile wraps it under mixed_float16 (keras/src/trainers/trainer.py)."""
    return keras.optimizers.LossScaleOptimizer(
        optimizer, initial_scale=initial_scale, dynamic_growth_steps=dynamic_growth_steps)


def inner(optimizer: Any) -> Any:
    """The optimizer without what scales the loss around it."""
    return optimizer.inner_optimizer if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else optimizer


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
    with _multiplied(inner(optimizer), variables, multipliers):
        optimizer.apply(gradients, list(variables))


@contextlib.contextmanager
def _multiplied(optimizer: Any, variables: Sequence[Any], multipliers: Sequence[float]) -> Iterator[None]:
    """Inside, every variable has its own learning rate, for the update and for the weight decay."""
    cls = type(optimizer)
    factors = {
        optimizer._var_key(variable): np.float64(factor)
        for variable, factor in zip(variables, multipliers, strict=True)
    }

    def rate(learning_rate: Any, variable: Any) -> Any:
        factor = factors[optimizer._var_key(variable)]
        return tf.cast(_value(learning_rate), variable.dtype) * tf.cast(factor, variable.dtype)

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        cls.update_step(optimizer, gradient, variable, rate(learning_rate, variable))

    def decay(decayed: Sequence[Any]) -> None:
        for variable in decayed:
            amount = _weight_decay_of(optimizer, variable)
            if amount is not None and optimizer._use_weight_decay(variable):
                value = _value(variable)
                value.assign_sub(value * tf.cast(amount, value.dtype) * rate(optimizer.learning_rate, value))

    vars(optimizer).update(update_step=update_step, _apply_weight_decay=decay)
    try:
        yield
    finally:
        for name in ("update_step", "_apply_weight_decay"):
            del vars(optimizer)[name]


def _weight_decay_of(optimizer: Any, variable: Any) -> Any:
    if isinstance(optimizer, keras.optimizers.Muon) and optimizer._should_use_adamw(variable):
        return optimizer.adam_weight_decay
    return optimizer.weight_decay


def iterations(optimizer: Any) -> int:
    """Batches seen so far; with gradient accumulation, updates are fewer."""
    return int(inner(optimizer)._iterations.numpy())


def finish(optimizer: Any, variables: Sequence[Any]) -> None:
    """What fit does at its end: moving averages, if there are any, take the weights' place."""
    keras.optimizers.Optimizer.finalize_variable_values(inner(optimizer), list(variables))


def slots(optimizer: Any, variables: Sequence[Any]) -> dict[str, list[np.ndarray | None]]:
    """{canonical slot name: its arrays in the variables' order}, None for a variable that has no such slot."""
    optimizer = inner(optimizer)
    indices = [optimizer._get_variable_index(variable) for variable in variables]
    return {
        name: [None if kept[index] is None else _value(kept[index]).numpy() for index in indices]
        for name, kept in _slot_variables(optimizer).items()
    }


def load_slots(
    optimizer: Any, variables: Sequence[Any], values: Mapping[str, Sequence[np.ndarray | None]], iterations: int
) -> None:
    """The inverse of `slots`. What is absent or None keeps its initial value."""
    optimizer = inner(optimizer)
    for name, kept in _slot_variables(optimizer).items():
        for variable, value in zip(variables, values.get(name, ()), strict=False):
            slot = kept[optimizer._get_variable_index(variable)]
            if value is not None and slot is not None:
                slot.assign(value)
    optimizer._iterations.assign(iterations)
    if isinstance(optimizer, keras.optimizers.Nadam):
        known = spec.Nadam(beta_1=float(optimizer.beta_1))
        optimizer._u_product.assign(known.momentum_product(int(optimizer.iterations)))


def named_slots(
    optimizer: Any, variables: Sequence[Any], names: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    """The slots as a State has them: slot -> name of the variable -> array; "loss_scale" by Keras's names."""
    found = {
        slot: {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
        for slot, arrays in slots(optimizer, variables).items()
    }
    if inner(optimizer) is not optimizer:
        found["loss_scale"] = {"dynamic_scale": np.asarray(optimizer.dynamic_scale.numpy()),
                               "step_counter": np.asarray(optimizer.step_counter.numpy(), np.int64)}
    return found


def load_named_slots(
    optimizer: Any, variables: Sequence[Any], names: Sequence[str], values: Mapping[str, Mapping[str, np.ndarray]],
    iterations: int,
) -> None:
    """The inverse of `named_slots`."""
    load_slots(optimizer, variables, {slot: [arrays.get(name) for name in names] for slot, arrays in values.items()},
               iterations)
    if inner(optimizer) is not optimizer:
        for name, value in values.get("loss_scale", {}).items():
            getattr(optimizer, name).assign(value)


def schedule_step(optimizer: Any, step: Any, first_iteration: int) -> Any:
    """Which of the tape's learning rates a step takes: schedules count none of the steps that a scaled loss leaves
    out."""
    if inner(optimizer) is optimizer:
        return step
    return tf.minimum(tf.cast(inner(optimizer)._iterations.value, step.dtype) - first_iteration, step)


def _slot_variables(optimizer: Any) -> dict[str, list[Any]]:
    names = next(names for cls, names in SLOTS.items() if isinstance(optimizer, cls)) | SHARED_SLOTS
    found = {name: getattr(optimizer, attribute, []) for name, attribute in names.items()}
    if isinstance(optimizer, keras.optimizers.Adafactor):
        # Where there is nothing to factor Keras keeps placeholders.
        factored = [len(variable.shape) >= 2 for variable in optimizer._trainable_variables]
        for name in ("r", "c"):
            found[name] = [kept if real else None for kept, real in zip(found[name], factored, strict=True)]
    return {name: kept for name, kept in found.items() if kept}


def _value(variable: Any) -> Any:
    """The tf.Variable inside of a Keras variable."""
    return variable.value if isinstance(variable, keras.Variable) else variable
