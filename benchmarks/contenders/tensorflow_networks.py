"""The LSTM and the transformer in TensorFlow's own operations, with what Keras's layers leave out.

The LSTM multiplies all steps of a text by the input's kernel at once, ahead of the loop over steps; the attention makes
query, key and value in one product. B: batch, T: steps, W: width, U: units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.workloads import STEPS, Workload


@dataclass
class ByHand:
    """Called with ids [B, T] and training=True it gives logits, as a Keras model does."""

    trainable_variables: list[Any]
    logits: Callable[[Any], Any]

    def __call__(self, ids: Any, training: bool = True) -> Any:
        return self.logits(ids)


class Variables(list[Any]):
    """Makes variables and keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)

    def matrix(self, rows: int, columns: int, limit: float | None = None) -> Any:
        limit = limit or (6 / (rows + columns)) ** 0.5
        return self.add(self.rng.uniform(-limit, limit, (rows, columns)))

    def add(self, value: Any) -> Any:
        self.append(tf.Variable(np.asarray(value, np.float32)))
        return self[-1]

    def dense(self, rows: int, columns: int) -> Callable[[Any], Any]:
        """x [B, T, rows] or [B, rows] -> [.., columns], as one matrix product."""
        kernel, bias = self.matrix(rows, columns), self.add(np.zeros(columns))

        def product(x: Any) -> Any:
            flat = tf.nn.bias_add(tf.reshape(x, (-1, rows)) @ kernel, bias)
            return tf.reshape(flat, (*x.shape[:-1], columns))

        return product

    def norm(self, width: int) -> Callable[[Any], Any]:
        scale, offset = self.add(np.ones(width)), self.add(np.zeros(width))

        def normalized(x: Any) -> Any:
            mean, variance = tf.nn.moments(x, -1, keepdims=True)
            return (x - mean) * tf.math.rsqrt(variance + 1e-6) * scale + offset

        return normalized


def lstm(num_classes: int, vocabulary: int, embedding: int, units: tuple[int, ...]) -> ByHand:
    made = Variables()
    words = made.matrix(vocabulary, embedding, 0.05)
    (size,) = units
    kernel, recurrent = made.matrix(embedding, 4 * size), made.matrix(size, 4 * size)
    bias = made.add(np.repeat([0.0, 1.0, 0.0, 0.0], size))
    predict = made.dense(size, num_classes)

    def logits(ids_BT: Any) -> Any:
        batch = ids_BT.shape[0]
        # [T, B, 4 U]: the input's part of all gates, for all steps at once.
        x_TBE = tf.gather(words, tf.transpose(ids_BT))
        given_TBG = tf.reshape(tf.reshape(x_TBE, (-1, embedding)) @ kernel + bias, (STEPS, batch, 4 * size))

        def body(step: Any, h: Any, c: Any) -> Any:
            i, f, g, o = tf.split(given_TBG[step] + h @ recurrent, 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            return step + 1, tf.sigmoid(o) * tf.tanh(c), c

        zeros = tf.zeros((batch, size))
        _, h_BU, _ = tf.while_loop(lambda step, *_: step < STEPS, body, (0, zeros, zeros), maximum_iterations=STEPS)
        return predict(h_BU)

    return ByHand(list(made), logits)


def transformer(num_classes: int, vocabulary: int, width: int, heads: int, feedforward: int, depth: int) -> ByHand:
    made = Variables()
    words, places = made.matrix(vocabulary, width, 0.05), made.matrix(STEPS, width, 0.05)
    blocks = [_block(made, width, heads, feedforward) for _ in range(depth)]
    predict = made.dense(width, num_classes)

    def logits(ids_BT: Any) -> Any:
        x_BTW = tf.gather(words, ids_BT) + places
        for block in blocks:
            x_BTW = block(x_BTW)
        return predict(tf.reduce_mean(x_BTW, 1))

    return ByHand(list(made), logits)


def _block(made: Variables, width: int, heads: int, feedforward: int) -> Callable[[Any], Any]:
    together, out = made.dense(width, 3 * width), made.dense(width, width)
    norm_1, up, down, norm_2 = made.norm(width), made.dense(width, feedforward), made.dense(feedforward, width), \
        made.norm(width)
    size = width // heads

    def attended(x: Any) -> Any:
        # [3, B, heads, T, size]
        q, k, v = tf.unstack(tf.transpose(tf.reshape(together(x), (*x.shape[:2], 3, heads, size)), (2, 0, 3, 1, 4)))
        scores = tf.nn.softmax(tf.matmul(q * size**-0.5, k, transpose_b=True))
        return out(tf.reshape(tf.transpose(scores @ v, (0, 2, 1, 3)), x.shape))

    def block(x: Any) -> Any:
        x = norm_1(x + attended(x))
        return norm_2(x + down(tf.nn.relu(up(x))))

    return block


NETWORKS: dict[str, Callable[..., ByHand]] = {"lstm": lstm, "transformer": transformer}


def network(workload: Workload) -> ByHand:
    return NETWORKS[workload.network](num_classes=workload.num_classes, **workload.sizes)
