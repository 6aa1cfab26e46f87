"""The TensorFlow backend: real keras.Models with stock layers."""

from harness.backends.tensorflow.backend import BACKEND

__all__ = ["BACKEND"]
