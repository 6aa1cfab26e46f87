"""The tape's random bits in TensorFlow (plan/randomness.py is the reference)."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from harness.plan import randomness
from harness.plan.plan import Plan
from harness.spec.order import execution_order

# Told of every draw, (stream, bits), while a certificate is made.
recorder: Callable[[int, tf.Tensor], None] | None = None


def _mix(x: tf.Tensor) -> tf.Tensor:
    for shift, multiplier in zip(randomness.SHIFTS, (*randomness.MULTIPLIERS, None), strict=True):
        # Shifts of signed integers keep the sign; the mask makes them the hash's unsigned shifts.
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.bitwise_and(tf.bitwise.right_shift(x, shift),
                                                             (1 << (32 - shift)) - 1))
        if multiplier is not None:
            x = x * multiplier
    return x


def bits(key: tf.Tensor, shape: tf.Tensor, stream: int = 0) -> tf.Tensor:
    """int32 of the given shape: one hash per element, in C order. key: int32 [2]."""
    x = tf.range(tf.reduce_prod(shape), dtype=tf.int32)
    x = _mix(tf.bitwise.bitwise_xor(x, key[0]))
    second = tf.bitwise.bitwise_xor(key[1], randomness.stream_word(stream))
    drawn = tf.reshape(_mix(tf.bitwise.bitwise_xor(x, second)), shape)
    if recorder is not None:
        recorder(stream, drawn)
    return drawn


def _drawn(key: tf.Tensor, shape: tf.Tensor, stream: int, count: int) -> tf.Tensor:
    """int32: the upper `count` bits of each element's hash, not negative."""
    shifted = tf.bitwise.right_shift(bits(key, shape, stream), 32 - count)
    return tf.bitwise.bitwise_and(shifted, 2**count - 1)


def uniform(key: tf.Tensor, shape: tf.Tensor, dtype: str, stream: int = 0) -> tf.Tensor:
    """Uniform numbers in [0, 1)."""
    return tf.cast(_drawn(key, shape, stream, randomness.UNIFORM_BITS), dtype) * 2.0**-randomness.UNIFORM_BITS


def integers(key: tf.Tensor, shape: tf.Tensor, low: int, high: int, stream: int = 0) -> tf.Tensor:
    """int64: whole numbers in [low, high)."""
    drawn = tf.cast(_drawn(key, shape, stream, randomness.UNIFORM_BITS), tf.int64)
    return low + tf.bitwise.right_shift(drawn * (high - low), tf.constant(randomness.UNIFORM_BITS, tf.int64))


def order(key: tf.Tensor, size: tf.Tensor, stream: int = 0) -> tf.Tensor:
    """int32 [size]: a permutation of 0..size-1."""
    return tf.argsort(bits(key, tf.reshape(size, (1,)), stream), stable=True)


def keep_mask(key: tf.Tensor, shape: tf.Tensor, rate: float, stream: int = 0) -> tf.Tensor:
    """bool: True with probability 1 - rate."""
    return bits(key, shape, stream) >= randomness.threshold(rate)


def normal(key: tf.Tensor, shape: tf.Tensor, dtype: str, stream: int = 0) -> tf.Tensor:
    """Standard normal values."""
    table = tf.constant(randomness.normal_table(), dtype)
    return tf.gather(table, _drawn(key, shape, stream, randomness.NORMAL_BITS))


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


def keys_of(plan: Plan) -> Keys:
    """Which row of the tape's keys each call of a stochastic layer takes."""
    keys = Keys()
    rows = {call: row for row, call in enumerate(plan.stochastic)}
    for node in execution_order(plan.spec):
        if node.name in rows:
            keys.rows.setdefault(node.layer.replace("/", "_"), []).append(rows[node.name])
    return keys
