"""What PyTorch says of itself (harness/backends/seen.py)."""

from __future__ import annotations

from typing import Any

import torch


def seen() -> dict[str, Any]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {
        "version": torch.__version__, "gpus": [torch.cuda.get_device_name(index) for index in range(count)],
        "cuda": torch.version.cuda,
        "threads": {"intra_op": torch.get_num_threads(), "inter_op": torch.get_num_interop_threads()},
    }
