"""Where a user's module computes in less than the precision that it is trained in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.backends.pytorch.ports.network import PortNetwork


class _Watching(TorchDispatchMode):
    """Notes the first operation that gives floating-point numbers of less than `size` bytes, and in which module."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.inside: list[str] = []
        self.found: str | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        lower = [item.dtype for item in (result if isinstance(result, (tuple, list)) else (result,))
                 if isinstance(item, torch.Tensor) and item.is_floating_point() and item.element_size() < self.size]
        if lower and self.found is None:
            place = next((name for name in reversed(self.inside) if name), "its forward")
            self.found = f"{place} computes in {str(lower[0]).removeprefix('torch.')}"
        return result


def lower_precision(network: PortNetwork, inputs: Sequence[torch.Tensor]) -> str | None:
    """"conv1 computes in bfloat16": the first place of a pass, in training mode, that computes in less than the
    precision of the module's parameters; None where there is none, or the module does not run."""
    size = min((item.element_size() for item in network.net.parameters()), default=4)
    watching = _Watching(size)
    handles = []
    for path, module in network.net.named_modules():
        handles += [module.register_forward_pre_hook(lambda _module, _inputs, path=path: watching.inside.append(path)),
                    module.register_forward_hook(lambda _module, _inputs, _result: watching.inside.pop() and None)]
    buffers = {name: tensor.clone() for name, tensor in network.net.named_buffers()}
    network.net.train()
    try:
        with torch.no_grad(), watching:
            network.net(*network.handed_over(inputs))
    except Exception:
        return watching.found
    finally:
        for handle in handles:
            handle.remove()
        for name, tensor in network.net.named_buffers():
            tensor.data.copy_(buffers[name])
    return watching.found
