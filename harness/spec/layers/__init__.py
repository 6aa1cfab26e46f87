"""The vocabulary: every layer class under Keras's name (`harness.layers.Dense`).

One file per Keras family, each ending in its own table; this is where the tables meet. The families that most
models do without are imported when one of their layers is first asked for: making the classes takes a tenth of a
second, which a command like `harness check` would feel.
"""

import importlib
from types import ModuleType

from harness.errors import SpecError, did_you_mean
from harness.spec.configured import Family
from harness.spec.layers import convolutional, core, merging, normalization, pooling, regularization, reshaping
from harness.spec.layers.base import Layer as Layer
from harness.spec.layers.base import Weight as Weight
from harness.spec.layers.refused import ALIASES, REFUSED
from harness.spec.layers.registration import load_registrations

# Family -> its layers, as its own table has them (tests/spec/test_layers.py compares the two).
LATER = {
    "activation": ("ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax"),
    "applications": ("LayerScale", "StochasticDepth", "CustomScaleLayer"),
    "attention": ("MultiHeadAttention", "GroupQueryAttention", "Attention", "AdditiveAttention"),
    "augmentation": ("RandomFlip", "RandomCrop", "RandomTranslation", "RandomRotation", "RandomZoom", "RandomShear",
                     "RandomPerspective", "RandomErasing"),
    "augmentation_colors": ("RandomContrast", "RandomBrightness", "RandomHue", "RandomSaturation", "RandomSharpness",
                            "RandomGrayscale", "RandomColorDegeneration", "RandomInvert", "RandomPosterization",
                            "Solarization", "Equalization", "AutoContrast", "RandomGaussianBlur", "RandomColorJitter"),
    "augmentation_mixing": ("MixUp", "CutMix", "RandAugment", "ContrastLimitedAdaptiveHistogramEqualization"),
    "bidirectional": ("Bidirectional",),
    "cells": ("SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells"),
    "depthwise": ("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
    "lora": ("LoRADense", "LoRAEinsumDense", "LoRAEmbedding", "LoRAMultiHeadAttention"),
    "preprocessing": ("Rescaling", "Normalization", "CategoryEncoding"),
    "preprocessing_categories": ("Discretization", "IntegerLookup"),
    "preprocessing_images": ("Resizing", "CenterCrop"),
    "preprocessing_pipeline": ("Pipeline",),
    "preprocessing_text": ("StringLookup", "TextVectorization", "Hashing", "HashedCrossing"),
    "preprocessing_signals": ("STFTSpectrogram", "MelSpectrogram"),
    "recurrent": ("RNN", "SimpleRNN", "LSTM", "GRU"),
    "recurrent_convolutional": ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
    "spectral": ("SpectralNormalization",),
    "transposed": ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    "wrapping": ("TimeDistributed",),
}
NOW = (convolutional, core, merging, normalization, pooling, regularization, reshaping)


class Vocabulary(Family[Layer]):
    """The family of layers."""

    def __init__(self) -> None:
        super().__init__("layer", [cls for family in NOW for cls in family.LAYERS],
                         later={f"{__name__}.{family}": layers for family, layers in LATER.items()})

    def find(self, name: object) -> type[Layer]:
        if isinstance(name, str):
            if "." in name:
                from harness.spec import operations

                if operations.is_operation(name):
                    return operations.find(name)
            name = ALIASES.get(name, name)
        if not super().knows(name):
            load_registrations()
        if name in REFUSED and not super().knows(name):
            refusal = REFUSED[str(name)]
            raise SpecError(f"the layer {name} is refused: {refusal.reason}.", hint=refusal.way_out)
        return super().find(name)

    def registered(self, name: str) -> type[Layer] | None:
        """The class of exactly that name, None if there is none."""
        return self.classes.get(name)

    def knows(self, name: object) -> bool:
        if isinstance(name, str) and "." in name:
            from harness.spec import operations

            return operations.knows(name) or super().knows(name)
        name = ALIASES.get(name, name) if isinstance(name, str) else name
        return super().knows(name)


def families() -> tuple[ModuleType, ...]:
    """Every family's module."""
    return (*NOW, *(importlib.import_module(f"{__name__}.{name}") for name in LATER))


LAYERS = Vocabulary()


def __getattr__(name: str) -> type[Layer]:
    if name[:1].isupper() and LAYERS.knows(name):
        return LAYERS.find(name)
    raise AttributeError(str(SpecError(f"there is no layer {name!r}.", hint=did_you_mean(name, LAYERS.classes))))


def __dir__() -> list[str]:
    return sorted(LAYERS.classes)
