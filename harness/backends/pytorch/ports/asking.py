"""One call of a user's module once more, with some of its attributes changed: does a setting explain a difference?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.backends.pytorch.ports.layout import Adapter


@dataclass
class Seen:
    """One call of a module: its arguments with Keras's inputs in them, and Keras's outputs."""

    module: nn.Module
    adapter: Adapter
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def again(seen: Seen, attributes: Mapping[str, Any], *, training: bool) -> dict[str, np.ndarray]:
    """The module of one call once more, with Keras's input and some of its attributes changed: "output INDEX",
    and "buffer NAME" after it."""
    module = seen.module
    kept: dict[str, Any] = {name: getattr(module, name) for name in attributes if name != "same padding"}
    mode = module.training
    buffers = {name: tensor.clone() for name, tensor in module.named_buffers()}
    module.train(training)
    args = seen.args
    try:
        for name, value in attributes.items():
            if name == "same padding":
                kept["padding"] = module.padding
                setattr(module, "padding", (0,) * (len(value) - 2))  # noqa: B010 (mypy: a module's attribute)
                args = (_padded(args[0], value), *args[1:])
            else:
                setattr(module, name, value)
        with torch.no_grad():
            outputs = seen.adapter.outputs(module(*args, **seen.kwargs))
        found = {f"output {index}": _array(value) for index, value in enumerate(outputs)}
        return found | {f"buffer {name}": _array(tensor).copy() for name, tensor in module.named_buffers()}
    finally:
        module.train(mode)
        for name, value in kept.items():
            setattr(module, name, value)
        for name, tensor in module.named_buffers():
            tensor.data.copy_(buffers[name])


def _padded(x: torch.Tensor, sides: Sequence[tuple[int, int]]) -> torch.Tensor:
    flat = [side for pair in reversed(list(sides)) for side in pair]
    return torch.nn.functional.pad(x, flat)


def _array(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array
