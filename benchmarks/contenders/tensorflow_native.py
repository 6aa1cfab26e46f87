"""The best loop by hand in TensorFlow: a whole epoch is one tf.function, a while_loop over steps on resident data, the
update in TensorFlow's own kernels; with XLA and without, on Keras's layers and on operations of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.contenders.loops import Loop, Variant, fastest
from benchmarks.workloads import Workload


def open_loop(workload: Workload, x: np.ndarray, y: np.ndarray) -> Loop:
    from benchmarks.contenders import keras_networks, tensorflow_networks, tensorflow_threads

    tensorflow_threads.one_thread()

    makers: dict[str, Callable[[Workload], Any]] = {"Keras's layers": keras_networks.network}
    if workload.network in tensorflow_networks.NETWORKS:
        makers["layers by hand"] = tensorflow_networks.network
    variants = {
        f"{words}, {layers}": _variant(maker, xla, workload, x, y, f"{words}, {layers}")
        for layers, maker in makers.items()
        for words, xla in (("graph loop", False), ("XLA loop", True))
    }
    return fastest(variants)


def _variant(
    maker: Callable[[Workload], Any], xla: bool, workload: Workload, x: np.ndarray, y: np.ndarray, words: str,
) -> Variant:
    def opened() -> tuple[Loop, Callable[[int], None]]:
        import tensorflow as tf

        model = maker(workload)
        kept = [getattr(variable, "value", variable) if not isinstance(variable, tf.Variable) else variable
                for variable in model.trainable_variables]
        losses = tf.Variable(tf.zeros(workload.steps))
        play = _epoch(model, kept, losses, tf.constant(x), tf.constant(y.astype(np.int32)), xla)
        rng = np.random.default_rng(0)

        def order() -> np.ndarray:
            return rng.permutation(len(x)).astype(np.int32).reshape(-1, workload.batch)

        def train(epochs: int) -> float:
            for _ in range(epochs):
                play(tf.constant(order()), workload.steps)
                found = losses.numpy()
            return float(found.mean())

        def probe(steps: int) -> None:
            play(tf.constant(order()), steps)
            losses.numpy()

        return Loop(words, train, lambda: [variable.numpy() for variable in kept]), probe

    return opened


def _epoch(model: Any, variables: list[Any], losses: Any, x: Any, y: Any, xla: bool) -> Callable[[Any, int], None]:
    """(order [steps, batch], how many of those steps) -> plays them."""
    import tensorflow as tf

    first = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
    second = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
    # In double, as the powers of beta are: in float32 they drift.
    iterations = tf.Variable(0.0, dtype=tf.float64)

    def step(index: Any, rows: Any) -> None:
        with tf.GradientTape() as tape:
            logits = model(tf.gather(x, rows), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(y, rows), logits))
        gradients = tape.gradient(loss, variables)
        iterations.assign_add(1.0)
        powers = [tf.cast(tf.pow(tf.constant(beta, tf.float64), iterations), tf.float32) for beta in (0.9, 0.999)]
        for variable, m, v, gradient in zip(variables, first, second, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=m.handle, v=v.handle, beta1_power=powers[0], beta2_power=powers[1],
                lr=0.001, beta1=0.9, beta2=0.999, epsilon=1e-7, grad=tf.convert_to_tensor(gradient))
        losses.scatter_nd_update([[index]], [loss])

    @tf.function(jit_compile=xla, autograph=False)
    def loop(order: Any, steps: Any) -> None:
        def body(index: Any) -> tuple[Any]:
            rows = tf.gather(order, index)
            step(index, rows)
            return (index + 1,)

        tf.while_loop(lambda index: index < steps, body, (0,), parallel_iterations=1)

    return lambda order, steps: loop(order, tf.constant(steps))
