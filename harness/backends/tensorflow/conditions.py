"""The conditions of a TensorFlow process, read back from it and probed by computing; nothing is echoed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from harness.backends import process
from harness.backends.probes import precision_of, probed_layer
from harness.backends.tensorflow.model import build_model, whole
from harness.backends.tensorflow.remat import recomputes
from harness.spec.execution import Execution

# Large enough that every thread of the pool gets a part; about 25 ms on one core.
WORK = 1024


def conditions(execution: Execution) -> dict[str, Any]:
    """See backends/contract.py. Takes about 0.2 s, most of it TensorFlow's start."""
    # "auto" is decided by the model: Session.compilation says what it came to. On a GPU it is mostly XLA.
    compiled = asks_for_xla(execution) or (execution.compile == execution.program == "auto" and on_gpu())
    threads = _threads()  # first: after a product of NumPy's the threads of its BLAS spin for a while
    products: list[tf.Tensor] = []
    if execution.compute_dtype == execution.dtype:
        matmul = _product(tf.matmul, compiled, products)
        convolution = _product(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "VALID"), compiled, products)
    else:
        matmul, convolution = (_of_layer(kind, execution, compiled, products) for kind in ("matmul", "convolution"))
    precision = precision_of(matmul, convolution, execution.dtype)
    return {
        "backend": "tensorflow",
        "device": _device(products[0].device),
        "precision": {
            "wanted": execution.precision, **precision, "floatx": keras.config.floatx(),
            "switches": {"tensor_float_32": bool(tf.config.experimental.tensor_float_32_execution_enabled())},
        },
        "threads": {"wanted": execution.threads, **threads},
        "determinism": bool(is_op_determinism_enabled()),
        "allocator": {"growth": _growth()},
        "compile": {"wanted": execution.compile, "active": _active(execution)},
        "remat": {"wanted": execution.remat, "recomputes": recomputes(execution)},
        "environment": process.variables(),
    }


def asks_for_xla(execution: Execution) -> bool:
    return execution.compile == "xla" or execution.program.startswith("xla")


def on_gpu() -> bool:
    return bool(tf.config.list_logical_devices("GPU"))


def xla_compiles() -> bool:
    """Whether a function that asks for XLA is really compiled by it: XLA refuses a program that turns a number
    into text, so one that runs was never compiled (functions run eagerly, a build without XLA)."""
    return _xla_refuses(bool(tf.config.functions_run_eagerly()))


@lru_cache
def _xla_refuses(eagerly: bool) -> bool:
    """eagerly: the only switch that a process can turn later on."""
    @tf.function(jit_compile=True, autograph=False)
    def refused(x: tf.Tensor) -> tf.Tensor:
        return tf.strings.length(tf.strings.as_string(x))

    try:
        refused(tf.constant(1.5))
    except tf.errors.InvalidArgumentError as error:
        return "unsupported operations" in str(error).lower()
    except tf.errors.UnimplementedError:
        return False
    return False


def _active(execution: Execution) -> str | None:
    """"xla" or "none" where the execution says which; None for "auto", which the model decides."""
    if execution.compile == execution.program == "auto":
        return None
    return "xla" if asks_for_xla(execution) and xla_compiles() else "none"


def _product(
    function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], compiled: bool, kept: list[tf.Tensor],
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """In a graph, as what is timed runs: TensorFlow rewrites graphs into bfloat16 (auto mixed precision), never what
    is computed eagerly."""
    graph = tf.function(function, jit_compile=compiled, autograph=False)

    def product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        result = graph(tf.constant(first), tf.constant(second))
        kept.append(result)
        return np.asarray(result.numpy())

    return product


def _of_layer(
    kind: str, execution: Execution, compiled: bool, kept: list[tf.Tensor],
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The product as a layer of a model computes it that is built as the session's: mixed precision is a matter of
    layers, not of a switch."""

    def product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        model = build_model(probed_layer(kind, first.shape, second.shape), {f"{kind}/kernel": second}, execution.policy)
        graph = tf.function(lambda x: model(x, training=False), jit_compile=compiled, autograph=False)
        result = graph(tf.constant(first))
        kept.append(result)
        return np.asarray(whole(result).numpy())

    return product


def _threads() -> dict[str, Any]:
    """intra, inter: of the two pools, as the running context has them (0 there is one thread for each CPU). openmp,
    mkl: TensorFlow's CPU kernels have none. parallelism: see process.py."""
    cpus = process.affinity()
    with tf.device("CPU:0"):
        work = tf.random.stateless_uniform((WORK, WORK), (0, 0))
        shared = process.parallelism(lambda: tf.matmul(work, work).numpy())
    return {
        "intra": tf.config.threading.get_intra_op_parallelism_threads() or len(cpus),
        "inter": tf.config.threading.get_inter_op_parallelism_threads() or len(cpus),
        "openmp": None, "mkl": None, "parallelism": shared, "affinity": cpus,
    }


def _device(name: str) -> str:
    """"cpu", or "gpu:0 NVIDIA H200", of the device that a result lies on."""
    found = tf.DeviceSpec.from_string(name)
    if found.device_type != "GPU":
        return str(found.device_type).lower()
    physical = tf.config.list_physical_devices("GPU")[found.device_index]
    model = tf.config.experimental.get_device_details(physical).get("device_name", "")
    return f"gpu:{found.device_index} {model}".strip()


def _growth() -> bool | None:
    """Whether GPU memory is taken as it is needed; None on a CPU."""
    if not on_gpu():
        return None
    return all(bool(tf.config.experimental.get_memory_growth(gpu)) for gpu in tf.config.get_visible_devices("GPU"))
