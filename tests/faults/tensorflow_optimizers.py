"""Faults in Keras's optimizers and losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.faults.mutant import LOSS, LOSS_WEIGHTS, SAMPLE_WEIGHTS, UPDATE, Expected, Mutant
from tests.faults.patching import after_init, with_arguments, wrap


def made_with(cls: str, **arguments: Any) -> None:
    """The optimizer is made with other arguments, where it is given them."""
    import keras

    with_arguments(getattr(keras.optimizers, cls), **arguments)


def correction_ahead() -> None:
    """The bias correction counts from 2."""
    import keras

    keras.optimizers.Adam.iterations = property(lambda self: self._iterations + 1)


def decay_on_all() -> None:
    import keras

    wrap(keras.optimizers.AdamW, "_use_weight_decay", lambda original: lambda self, variable: True)


def decay_without_rate() -> None:
    import keras

    def _apply_weight_decay(self: Any, variables: Any) -> None:
        for variable in variables:
            if self._use_weight_decay(variable):
                variable.assign(variable - variable * keras.ops.cast(self.weight_decay, variable.dtype))

    wrap(keras.optimizers.AdamW, "_apply_weight_decay", lambda original: _apply_weight_decay)


def clipped_by_variable() -> None:
    import tensorflow as tf

    def _clip_gradients(self: Any, gradients: Any) -> Any:
        return [tf.clip_by_norm(gradient, tf.cast(self.global_clipnorm, gradient.dtype)) for gradient in gradients]

    import keras

    wrap(keras.optimizers.AdamW, "_clip_gradients", lambda original: _clip_gradients)


def average_of_99() -> None:
    """The moving average takes 0.99 of itself, whatever the optimizer says."""
    import keras

    def make(original: Any) -> Any:
        def _update_model_variables_moving_average(self: Any, variables: Any) -> None:
            kept, self.ema_momentum = self.ema_momentum, 0.99
            original(self, variables)
            self.ema_momentum = kept

        return _update_model_variables_moving_average

    wrap(keras.optimizers.AdamW, "_update_model_variables_moving_average", make)


def update_removed(name: str) -> None:
    import keras

    def make(original: Any) -> Any:
        def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
            if self._trainable_variables[self._get_variable_index(variable)].path != name:
                original(self, gradient, variable, learning_rate)

        return update_step

    wrap(keras.optimizers.Adam, "update_step", make)


def plain_momentum() -> None:
    """The update is the momentum, whatever `nesterov` says."""
    import keras

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        ops, momentum = keras.ops, self.momentums[self._get_variable_index(variable)]
        rate, factor = ops.cast(learning_rate, variable.dtype), ops.cast(self.momentum, variable.dtype)
        self.assign(momentum, momentum * factor - ops.cast(gradient, variable.dtype) * rate)
        self.assign_add(variable, momentum)

    wrap(keras.optimizers.SGD, "update_step", lambda original: update_step)


def of_loss(name: str, **arguments: Any) -> None:
    """The Keras loss of that name is made with other arguments."""
    import keras

    with_arguments(getattr(keras.losses, name), **arguments)


def weight_ignored() -> None:
    import keras

    def make(original: Any) -> Any:
        def call(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return original(self, y_true, y_pred, sample_weight=None)

        return call

    wrap(keras.losses.Loss, "__call__", make)


def factors_ignored() -> None:
    from harness.backends.tensorflow.session import Session

    def change(session: Any) -> None:
        session.losses = [(function, 1.0) for function, _ in session.losses]

    after_init(Session, change)


def _updates(says: str) -> Expected:
    return Expected(UPDATE, says=says)


TF = "tensorflow"
MUTANTS = (
    Mutant("keras: adam beta_2 0.99", "mlp", TF, lambda: made_with("Adam", beta_2=np.float64(0.99)),
           _updates("beta_2")),
    Mutant("keras: adam beta_1 rounded to float32", "mlp", TF,
           lambda: made_with("Adam", beta_1=np.float64(np.float32(0.9))), _updates("beta_1")),
    Mutant("keras: adam bias correction a step ahead", "mlp", TF, correction_ahead, _updates("bias.?correct|step")),
    Mutant("keras: decay on biases", "adamw", TF, decay_on_all, Expected(UPDATE, weight=".*/bias", says="decay")),
    Mutant("keras: decay without the rate", "adamw", TF, decay_without_rate, _updates("decay")),
    Mutant("keras: clipped by variable", "adamw", TF, clipped_by_variable, _updates("clip")),
    Mutant("keras: average momentum 0.99", "adamw", TF, average_of_99, _updates("ema|average")),
    Mutant("keras: nesterov ignored", "sgd", TF, plain_momentum, _updates("nesterov")),
    Mutant("keras: rmsprop rho 0.99", "rmsprop", TF, lambda: made_with("RMSprop", rho=np.float64(0.99)),
           _updates("rho")),
    Mutant("keras: update removed for one variable", "mlp", TF, update_removed,
           Expected(UPDATE, "third", "third/kernel"), ("third/kernel",)),
    Mutant("keras: label smoothing ignored", "mlp", TF, lambda: of_loss("CategoricalCrossentropy", label_smoothing=0.0),
           Expected(LOSS, says="smooth")),
    Mutant("keras: huber delta 1", "sgd", TF, lambda: of_loss("Huber", delta=1.0), Expected(LOSS, says="delta|value")),
    Mutant("keras: loss summed", "cnn", TF, lambda: of_loss("SparseCategoricalCrossentropy", reduction="sum"),
           Expected(LOSS, says="reduc|sum|mean")),
    Mutant("keras: sample weight ignored", "sgd", TF, weight_ignored, Expected(LOSS, says=SAMPLE_WEIGHTS)),
    Mutant("keras: loss weights ignored", "sgd", TF, factors_ignored, Expected(LOSS, says=LOSS_WEIGHTS)),
)
