"""The dropout masks of recurrent layers in PyTorch: drawn once per call, fixed over the steps.

Shape letters: B batch, T steps, I input features, H units, N masks.

A row of the drawing holds all masks of one example, one layer after the other: first those of the input
(N x I), then those of the state (N x H). backends/tensorflow/layers/dropout_masks.py draws the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from harness.backends.pytorch.randomness import bits
from harness.plan import randomness
from harness.spec.layers.recurrent import Recurrent


@dataclass(frozen=True)
class DropoutMasks:
    """The masks of one layer's call: 0 or 1 / (1 - rate), (N, B, I) and (N, B, H); None where none is drawn."""

    inputs: torch.Tensor | None = None
    state: torch.Tensor | None = None

    def apply(self, x_BTI: torch.Tensor) -> torch.Tensor:
        """The input under the one mask of all gates."""
        return x_BTI if self.inputs is None else x_BTI * self.inputs[0].unsqueeze(1)


def draw_masks(key: torch.Tensor | None, layers: Sequence[Recurrent], x_BTI: torch.Tensor) -> list[DropoutMasks]:
    """The masks of several layers that read the same input, from the tape or, without a key, from torch."""
    batch, features = x_BTI.shape[0], x_BTI.shape[2]
    parts: list[tuple[int, int, float]] = []
    for layer in layers:
        of_input, of_state = layer.dropout_masks
        parts += [(of_input, features, layer.dropout), (of_state, layer.units, layer.recurrent_dropout)]
    shape = (batch, sum(count * size for count, size, _ in parts))
    drawn = torch.rand(shape, device=x_BTI.device) if key is None else bits(key, shape)
    masks: list[torch.Tensor | None] = []
    for part, (count, size, rate) in zip(torch.split(drawn, [c * s for c, s, _ in parts], 1), parts, strict=True):
        if count == 0:
            masks.append(None)
            continue
        keep = part >= (rate if key is None else randomness.threshold(rate))
        scaled = keep.to(x_BTI.dtype) * (1.0 / (1.0 - rate))
        masks.append(scaled.reshape(batch, count, size).transpose(0, 1))
    return [DropoutMasks(*pair) for pair in zip(masks[::2], masks[1::2], strict=True)]
