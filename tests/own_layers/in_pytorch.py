"""ChannelScale in PyTorch."""

import torch

from harness.backends.pytorch.weights import same


class ChannelScale(torch.nn.Module):
    keras_weights = {"scale": same("scale")}

    def __init__(self, channels, offset):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.empty(channels))
        self.offset = offset

    def forward(self, x):
        return x * self.scale + self.offset


def build(layer, shape):
    return ChannelScale(shape[-1], layer.offset)
