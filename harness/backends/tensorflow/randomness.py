"""The tape's random bits in TensorFlow (plan/randomness.py is the reference)."""

from __future__ import annotations

import tensorflow as tf

from harness.plan import randomness


def _mix(x: tf.Tensor) -> tf.Tensor:
    for shift, multiplier in zip(randomness.SHIFTS, (*randomness.MULTIPLIERS, None), strict=True):
        # Shifts of signed integers keep the sign; the mask makes them the hash's unsigned shifts.
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.bitwise_and(tf.bitwise.right_shift(x, shift),
                                                             (1 << (32 - shift)) - 1))
        if multiplier is not None:
            x = x * multiplier
    return x


def bits(key: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """int32 of the given shape: one hash per element, in C order. key: int32 [2]."""
    x = tf.range(tf.reduce_prod(shape), dtype=tf.int32)
    x = _mix(tf.bitwise.bitwise_xor(x, key[0]))
    return tf.reshape(_mix(tf.bitwise.bitwise_xor(x, key[1])), shape)


def keep_mask(key: tf.Tensor, shape: tf.Tensor, rate: float) -> tf.Tensor:
    """bool: True with probability 1 - rate."""
    return bits(key, shape) >= randomness.threshold(rate)


def normal(key: tf.Tensor, shape: tf.Tensor, dtype: str) -> tf.Tensor:
    """Standard normal values."""
    table = tf.constant(randomness.normal_table(), dtype)
    index = tf.bitwise.bitwise_and(
        tf.bitwise.right_shift(bits(key, shape), 32 - randomness.NORMAL_BITS), 2**randomness.NORMAL_BITS - 1
    )
    return tf.gather(table, index)


class Keys:
    """The keys of the step that is being played: int32 [stochastic calls, 2].

    The train step sets `current` before it calls the model; a layer takes the row of its present call.
    """

    def __init__(self) -> None:
        self.current: tf.Tensor | None = None
        self._calls: dict[str, int] = {}
        self.rows: dict[str, list[int]] = {}

    def start(self, current: tf.Tensor) -> None:
        """A new pass through the model begins."""
        self.current = current
        self._calls = {}

    def take(self, layer: str) -> tf.Tensor:
        """The key of the layer's next call in this pass (a shared layer has one per call)."""
        assert self.current is not None, "the train step did not start the keys"
        rows = self.rows[layer]
        # Under `fit` nobody says that a pass begins: it does when every call had its turn.
        call = self._calls.get(layer, 0) % len(rows)
        self._calls[layer] = call + 1
        return self.current[rows[call]]
