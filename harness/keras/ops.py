"""keras.ops on symbolic tensors: the operations of `harness.ops` under Keras's own name."""

from harness.ops import __dir__, __getattr__, dtype, is_tensor, ndim, shape

__all__ = ["__dir__", "__getattr__", "dtype", "is_tensor", "ndim", "shape"]
