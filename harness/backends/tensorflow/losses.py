"""Losses of the TensorFlow backend: stock keras.losses objects, whose meaning is the definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from harness.spec import losses as spec


def loss_function(loss: spec.Loss, dtype: str = "float32") -> Callable[..., Any]:
    """A stock Keras loss: call(y_true, y_pred, sample_weight=None) -> scalar tensor.

    y_true: labels [B, ...], cast to `dtype`; y_pred: [B, ...]. The mask that Keras hung on y_pred counts, and so
    do the logits behind a softmax or sigmoid output (keras/src/losses/loss.py; backend/tensorflow/nn.py).
    """
    if isinstance(loss, spec.CTC) and dtype == "float64":
        return WholeCTC(loss.reduction, dtype=dtype)
    arguments = {name: getattr(loss, name) for name in type(loss).model_fields if name != "dtype"}
    function: Callable[..., Any] = LOSSES[type(loss)](**arguments, dtype=dtype)
    return function


class WholeCTC(keras.losses.Loss):  # type: ignore[misc]
    """CTC in the predictions' own dtype, from the forward recursion over log probabilities: TensorFlow's kernel, and
    with it keras.losses.CTC, computes in float32. B batch, T steps, L labels, S = 2 L + 1 states, C classes."""

    NEVER = -1e30  # for the logarithm of 0; an infinity would make the gradients NaN

    def __init__(self, reduction: str = "sum_over_batch_size", dtype: Any = None) -> None:
        super().__init__(name="ctc", reduction=reduction, dtype=dtype)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """y_true: [B, L], zeros behind the labels; y_pred: logits [B, T, C]. Returns [B]."""
        labels_BL = tf.cast(y_true, tf.int32)
        lengths_B = tf.math.count_nonzero(labels_BL, axis=1, dtype=tf.int32)
        blank_BL = tf.zeros_like(labels_BL)
        states_BS = tf.reshape(tf.stack([blank_BL, labels_BL], -1), (tf.shape(labels_BL)[0], -1))
        states_BS = tf.concat([states_BS, blank_BL[:, :1]], 1)
        logs_TBS = tf.transpose(tf.gather(tf.nn.log_softmax(y_pred), states_BS, axis=2, batch_dims=1), (1, 0, 2))
        # From the label before last to this one: not over a blank to the same label again.
        skips_BS = (states_BS != 0) & (states_BS != self._shifted(states_BS, 2, 0))
        places_S = tf.range(tf.shape(states_BS)[1])
        first_BS = tf.where(places_S < 2, logs_TBS[0], tf.cast(self.NEVER, y_pred.dtype))

        def step(before_BS: tf.Tensor, logs_BS: tf.Tensor) -> tf.Tensor:
            never = tf.fill(tf.shape(before_BS), tf.cast(self.NEVER, y_pred.dtype))
            ways = [before_BS, self._shifted(before_BS, 1, self.NEVER),
                    tf.where(skips_BS, self._shifted(before_BS, 2, self.NEVER), never)]
            return tf.reduce_logsumexp(tf.stack(ways), axis=0) + logs_BS

        last_BS = tf.scan(step, logs_TBS[1:], first_BS)[-1] if y_pred.shape[1] != 1 else first_BS
        # The last label, or the blank behind it.
        ends_BS = (places_S == 2 * lengths_B[:, None]) | (places_S == 2 * lengths_B[:, None] - 1)
        return -tf.reduce_logsumexp(tf.where(ends_BS, last_BS, tf.cast(self.NEVER, y_pred.dtype)), axis=1)

    @staticmethod
    def _shifted(values_BS: tf.Tensor, by: int, fill: float) -> tf.Tensor:
        return tf.pad(values_BS, [[0, 0], [by, 0]], constant_values=fill)[:, :-by]


LOSSES: dict[type[spec.Loss], Callable[..., Any]] = {
    cls: getattr(keras.losses, name) for name, cls in spec.LOSSES.classes.items()
}
