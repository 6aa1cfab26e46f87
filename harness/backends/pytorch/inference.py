"""Inference as it would be served: examples on the host, outputs on the host, in inference mode, warm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch

from harness.backends.pytorch.mixed_precision import whole


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
