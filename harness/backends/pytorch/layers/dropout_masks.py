"""The dropout masks of recurrent layers in PyTorch: drawn once per call, fixed over the steps.

Shape letters: B batch, T steps, I input features, H units, N masks; for images, I and H stand for several dimensions.

A row of the drawing holds all masks of one example, one cell after the other: first those of the input (N x I), then
those of the state (N x H). backends/tensorflow/layers/recurrent.py draws the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from harness.backends.pytorch.drawing import Drawing

# How many masks, of which shape (without the batch), at which rate.
Part = tuple[int, tuple[int, ...], float]


@dataclass(frozen=True)
class DropoutMasks:
    """The masks of one cell in one call: 0 or 1 / (1 - rate), (N, B, I) and (N, B, H); None where none is drawn."""

    inputs: torch.Tensor | None = None
    state: torch.Tensor | None = None

    @property
    def shared(self) -> bool:
        """Whether the gates share what masks there are: none of the state, at most one of the input."""
        return self.state is None and (self.inputs is None or len(self.inputs) == 1)

    def apply(self, x_BTI: torch.Tensor) -> torch.Tensor:
        """The input under the one mask of all gates."""
        return x_BTI if self.inputs is None else x_BTI * self.inputs[0].unsqueeze(1)


def draw_masks(source: Drawing, parts: Sequence[Part], x_BTI: torch.Tensor) -> list[DropoutMasks]:
    """The masks of several cells, two parts each; source: the module that draws."""
    batch = x_BTI.shape[0]
    sizes = [count * math.prod(shape) for count, shape, _ in parts]
    drawn = source.draw((batch, sum(sizes)), x_BTI.device)
    masks: list[torch.Tensor | None] = []
    for section, (count, shape, rate) in zip(torch.split(drawn, sizes, 1), parts, strict=True):
        if count == 0:
            masks.append(None)
            continue
        scaled = source.kept(section, rate).to(x_BTI.dtype) * (1.0 / (1.0 - rate))
        masks.append(scaled.reshape(batch, count, *shape).transpose(0, 1))
    return [DropoutMasks(*pair) for pair in zip(masks[::2], masks[1::2], strict=True)]
