"""ChannelScale in Keras."""

import keras


class ChannelScale(keras.layers.Layer):
    def __init__(self, offset, **common):
        super().__init__(**common)
        self.offset = offset

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")

    def call(self, x):
        return x * self.scale + self.offset


def build(layer, **common):
    return ChannelScale(layer.offset, **common)
