"""data_format="channels_first" in PyTorch: the module for channels last between two views of its tensors.

Shape suffixes: N batch, C channels, S any number of dimensions of space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from harness.backends.pytorch.activations import activation_function
from harness.backends.pytorch.masks import Masks
from harness.backends.pytorch.weights import weight_maps
from harness.spec.layers.base import Layer, Shape
from harness.spec.layers.spatial import channels_last, channels_last_twin, is_channels_first


class ChannelsFirst(nn.Module):
    """layer, a module for (N, S, C), on (N, C, S). Masks, which are of steps, pass as they are.

    activation: comes last, because Keras's softmax runs over the last axis, wherever the channels are.
    """

    def __init__(self, layer: nn.Module, activation: str | None = None) -> None:
        super().__init__()
        self.layer = layer
        self.activation = activation_function(activation)

    def _last(self, x_NCS: torch.Tensor) -> torch.Tensor:
        return x_NCS.movedim(1, -1) if x_NCS.dim() > 2 else x_NCS

    def _turned(self, y_NSC: torch.Tensor) -> torch.Tensor:
        return y_NSC.movedim(-1, 1) if y_NSC.dim() > 2 else y_NSC

    def pre_activation(self, x_NCS: torch.Tensor) -> torch.Tensor:
        return self._turned(self.layer(self._last(x_NCS)))

    def forward(self, x_NCS: torch.Tensor, **masks: Any) -> Any:
        y = self._turned(self.layer(self._last(x_NCS), **masks))
        return y if self.activation is None else self.activation(y)

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> Any:
        return self.layer.compute_mask(inputs, masks)  # type: ignore[operator]


def in_either_layout(builder: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """The builder of a layer that has a data_format: for channels first, from the builder for channels last."""

    def build(layer: Layer, *shapes: Shape) -> nn.Module:
        if not is_channels_first(layer):
            return builder(layer, *shapes)
        module = builder(channels_last_twin(layer, bare=True), *map(channels_last, shapes))
        turned = ChannelsFirst(module, getattr(layer, "activation", None))
        turned.keras_weights = {  # type: ignore[assignment]
            role: replace(item, tensors=tuple(f"layer.{path}" for path in item.tensors))
            for role, item in weight_maps(module).items()
        }
        return turned

    return build
