"""One thread for TensorFlow."""

from __future__ import annotations

import tensorflow as tf


def one_thread() -> None:
    """Before TensorFlow computes anything."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
