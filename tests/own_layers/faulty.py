"""The same layer with a planted fault: its PyTorch half forgets the offset's sign."""

from harness import register_layer
from tests.own_layers.layers import ChannelScale


class FaultyScale(ChannelScale):
    """ChannelScale whose twin is wrong."""


register_layer(FaultyScale, tensorflow="tests.own_layers.in_keras:build", pytorch="tests.own_layers.faulty:build")


def build(layer, shape):
    from tests.own_layers.in_pytorch import ChannelScale as Module

    return Module(shape[-1], -layer.offset)
