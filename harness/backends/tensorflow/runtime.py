"""The process-wide switches of TensorFlow: device, threads, determinism; set, then read back."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from harness.errors import SpecError
from harness.spec.execution import Execution, no_tf32


def configure(execution: Execution) -> dict[str, Any]:
    """Sets what the execution asks for and returns what TensorFlow says it is. Threads can only be set
    before the first operation of a process; a process that ran one keeps what it has, and says so."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(execution.threads)
        tf.config.threading.set_inter_op_parallelism_threads(execution.threads)
    except RuntimeError:
        pass  # read back below
    gpus = tf.config.list_physical_devices("GPU")
    if execution.device == "gpu" and not gpus:
        raise SpecError("execution.device is 'gpu', but TensorFlow sees no GPU.", hint="Use device: cpu or auto.")
    use_gpu = bool(gpus) and execution.device != "cpu"
    tf32 = execution.precision == "tf32"
    if tf32 and not use_gpu:
        raise no_tf32()
    try:
        if use_gpu:
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
        else:
            tf.config.set_visible_devices([], "GPU")
    except RuntimeError:
        pass
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    # One thread on a CPU is deterministic as it is, and the switch would cost speed.
    if execution.deterministic and (use_gpu or execution.threads != 1):
        tf.config.experimental.enable_op_determinism()
    keras.config.set_floatx(execution.dtype)
    return {
        "device": "gpu" if use_gpu else "cpu",
        "threads": {"intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
                    "inter_op": tf.config.threading.get_inter_op_parallelism_threads()},
        "precision": {"floatx": keras.config.floatx(),
                      "tensor_float_32": bool(tf.config.experimental.tensor_float_32_execution_enabled())},
    }


def versions() -> dict[str, str]:
    return {"tensorflow": tf.__version__, "keras": keras.__version__}


def wait() -> None:
    """Returns when every device is idle."""
    if tf.config.list_logical_devices("GPU"):
        tf.test.experimental.sync_devices()


def peak_bytes() -> int | None:
    """Peak of the GPU allocator; None on a CPU, where TensorFlow keeps no count."""
    if not tf.config.list_logical_devices("GPU"):
        return None
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
