"""The PyTorch backend: native torch.nn modules, lowered to mean what Keras means."""

from harness.backends.pytorch.backend import BACKEND

__all__ = ["BACKEND"]
