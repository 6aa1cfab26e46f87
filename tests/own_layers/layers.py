"""A layer that Keras does not have, registered as a user would: x * scale + offset, scale a weight per channel."""

from harness import layers, register_layer
from harness.spec.initializers import InitializerArgument, initializer_argument


class ChannelScale(layers.Layer):
    """x * scale + offset; scale has one value per channel."""

    offset: float = 0.0
    scale_initializer: InitializerArgument = initializer_argument("ones")

    def weights(self, *shapes):
        return (layers.Weight("scale", (shapes[0][-1],), self.scale_initializer),)


register_layer(ChannelScale, tensorflow="tests.own_layers.in_keras:build", pytorch="tests.own_layers.in_pytorch:build")
