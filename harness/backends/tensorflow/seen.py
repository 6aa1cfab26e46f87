"""What TensorFlow says of itself (harness/backends/seen.py)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def seen() -> dict[str, Any]:
    gpus = tf.config.list_physical_devices("GPU")
    return {
        "version": tf.__version__, "keras": keras.__version__,
        "gpus": [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus],
        "cuda": tf.sysconfig.get_build_info().get("cuda_version"),
        "threads": {"intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
                    "inter_op": tf.config.threading.get_inter_op_parallelism_threads()},
    }
