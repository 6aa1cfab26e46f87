"""Inference: whole arrays batch by batch; and as it would be served: examples and outputs on the host, warm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from harness.backends.pytorch.mixed_precision import whole
from harness.backends.pytorch.model import Network


def warmed(
    model: Any, inputs: Sequence[torch.Tensor], batch_size: int, device: torch.device, *, compiled: bool = False,
    idiomatic: bool = False, around: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
) -> Callable[[], None]:
    """A call that answers for the first `batch_size` examples of the inputs, taken around where there are fewer.

    compiled: through Inductor. idiomatic: with torch.no_grad, as tutorials write it, not torch.inference_mode. around:
    what it stands in besides (torch.autocast).
    """
    rows = torch.arange(batch_size) % len(inputs[0])
    feeds = [values.cpu()[rows] for values in inputs]
    mode = torch.no_grad if idiomatic else torch.inference_mode
    forward = torch.compile(model) if compiled else model

    def call() -> None:
        if model.training:
            model.eval()
        with mode(), around():
            result = forward(*(values.to(device) for values in feeds))
            for item in result if isinstance(result, tuple) else (result,):
                whole(item).cpu().numpy()

    call()
    call()
    return call


@torch.no_grad()
def predict(network: Network, x: Mapping[str, np.ndarray], batch_size: int) -> tuple[np.ndarray, ...]:
    """The outputs in inference mode, batch by batch."""
    network.eval()
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    parts = []
    for begin in range(0, len(next(iter(x.values()))), batch_size):
        feeds = [torch.from_numpy(np.ascontiguousarray(x[name][begin : begin + batch_size])).to(device)
                 for name in network.input_names]
        result = network(*feeds)
        parts.append([whole(item).cpu().numpy() for item in (result if isinstance(result, tuple) else (result,))])
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
