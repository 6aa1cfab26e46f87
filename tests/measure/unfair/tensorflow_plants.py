"""TensorFlow under unfair conditions, one at a time: what the harness reads back of each. See test_unfair.py.

python tensorflow_plants.py FILE. TensorFlow alone.
"""

from __future__ import annotations

import os
import time
from unittest import mock

import tensorflow as tf

from harness.backends.probes import BFLOAT16_BITS, TF32_BITS, matmul_probe, rounded
from harness.backends.tensorflow.backend import BACKEND
from harness.backends.tensorflow.session import Session
from harness.spec.execution import Execution
from tests.measure.unfair.subject import Subject, normalised_model, run

PLAIN = Execution(device="cpu")


def clean():
    tf.constant(0.0)  # TensorFlow's own start is not the conditions'
    began = time.process_time()
    found = BACKEND.conditions(PLAIN)
    return {"conditions": found, "cpu_seconds": time.process_time() - began}


def conditions(execution=PLAIN):
    return {"conditions": BACKEND.conditions(execution)}


def mixed_precision():
    """TensorFlow's own rewriting of graphs into bfloat16, where this CPU has it; "real" is what it does to a product
    that the harness has no part in."""
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    try:
        probe = matmul_probe("float32")
        product = tf.function(tf.matmul, autograph=False)(tf.constant(probe.first), tf.constant(probe.second)).numpy()
        return {**conditions(), "real": bool(probe.errors(product).full > 1e-3)}
    finally:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": False})


def rounding(function, bits):
    """The product of rounded operands: what tensor cores, or a CPU with bfloat16, do."""
    def product(first, second, *rest):
        operands = [tf.numpy_function(lambda array: rounded(array, bits), [operand], operand.dtype)
                    for operand in (first, second)]
        for operand, original in zip(operands, (first, second), strict=True):
            operand.set_shape(original.shape)
        return function(*operands, *rest)

    return product


def rounded_matmul(bits):
    with mock.patch.object(tf, "matmul", rounding(tf.matmul, bits)):
        return conditions()


def rounded_convolution(bits):
    with mock.patch.object(tf.nn, "conv2d", rounding(tf.nn.conv2d, bits)):
        return conditions()


def scheduler():
    with mock.patch.dict(os.environ, OMP_NUM_THREADS="4"):
        return conditions()


def session(**changes):
    subject = Subject(BACKEND, **{"compile": "none", **changes})
    return {**conditions(subject.execution), **subject.facts(), "mode": subject.mode()}


def evaluation_mode(**changes):
    original = Session.predictions
    with mock.patch.object(Session, "predictions", lambda self, x, training: original(self, x, training=False)):
        return session(**changes)


def compiled(**changes):
    subject = Subject(BACKEND, **changes)
    first = subject.played(1)
    return {**conditions(subject.execution), "compilation": first, "later": subject.played(3)}


def without_jit():
    """Something between here and TensorFlow loses the argument."""
    original = tf.function

    def function(*args, jit_compile=None, **kwargs):
        return original(*args, **kwargs)

    subject = Subject(BACKEND, compile="xla")
    with mock.patch.object(tf, "function", function):
        found = subject.played(1)
    return {**conditions(), "compilation": found}


def eagerly():
    tf.config.run_functions_eagerly(True)
    try:
        subject = Subject(BACKEND, compile="xla")
        return {**conditions(subject.execution), "compilation": subject.played(1)}
    finally:
        tf.config.run_functions_eagerly(False)


PLANTS = {
    "clean": clean,
    "session": session,
    "normalised": lambda: session(model=normalised_model),
    "mixed precision": mixed_precision,
    "bfloat16": lambda: rounded_matmul(BFLOAT16_BITS),
    "tf32 matmul": lambda: rounded_matmul(TF32_BITS),
    "tf32 convolution": lambda: rounded_convolution(TF32_BITS),
    "scheduler": scheduler,
    "batch size": lambda: session(batch_size=4),
    "evaluation mode": evaluation_mode,
    "evaluation mode, normalised": lambda: evaluation_mode(model=normalised_model),
    "graph": lambda: compiled(compile="none"),
    "compiled": lambda: compiled(compile="xla"),
    "idiomatic": lambda: compiled(compile="xla", tier="idiomatic"),
    "data path": lambda: Subject(BACKEND, compile="none", tier="idiomatic").facts(),
    "without jit_compile": without_jit,
    "functions run eagerly": eagerly,
}


if __name__ == "__main__":
    BACKEND.configure(PLAIN)
    run(PLANTS)
