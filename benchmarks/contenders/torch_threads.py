"""One thread for PyTorch."""

from __future__ import annotations

import torch


def one_thread() -> None:
    """Before PyTorch computes anything."""
    torch.set_num_threads(1)
