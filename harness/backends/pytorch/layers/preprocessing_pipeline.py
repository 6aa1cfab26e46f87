"""Pipeline in PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from harness.backends.pytorch.randomness import Keyed
from harness.spec.layers import preprocessing_pipeline as spec
from harness.spec.layers.base import Shape


class Pipeline(Keyed):
    """Modules one after the other; those that draw random numbers do so under keys of their own."""

    def __init__(self, modules: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(modules)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        keys = self.step_keys(len(self.layers)) if self.training else None
        for index, layer in enumerate(self.layers):
            if keys is not None:
                for module in layer.modules():
                    if isinstance(module, Keyed):
                        module.key = keys[index]
            x = layer(x)
        return x


def build_pipeline(layer: spec.Pipeline, *shapes: Shape) -> nn.Module:
    from harness.backends.pytorch.layers import BUILDERS  # which holds this builder as well

    between = layer.shapes_between(*shapes)
    return Pipeline([BUILDERS[type(inner)](inner, shape) for inner, shape in zip(layer.layers, between, strict=False)])


BUILDERS = {spec.Pipeline: build_pipeline}
