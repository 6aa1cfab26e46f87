"""The classes of keras.layers that the vocabulary refuses on purpose: why, and what to do instead.

The one table behind the error messages (of specs, of harness.keras.layers and of imported models) and docs/layers.md.
tests/spec/test_vocabulary.py holds that every class of keras.layers is either here or in the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

REGISTER = "Register a layer of your own: harness.register_layer takes a spec entry and one builder per framework."


@dataclass(frozen=True)
class Refusal:
    """reason: completes "keras.layers.<class> is refused: "; way_out: a sentence."""

    reason: str
    way_out: str


_BASE = "it is a base class, which computes nothing"
_CODE = "it holds Python code, which would run in one framework only and is never run here"

REFUSED = {
    "Lambda": Refusal(_CODE, f"Write it with layers or with operations (x * 2, ops.mean(x)). {REGISTER}"),
    "TFSMLayer": Refusal("it holds a TensorFlow SavedModel, which only TensorFlow can run",
                         "Load the Keras model that the SavedModel was made of."),
    "JaxLayer": Refusal("it holds a JAX function, which only JAX can run", REGISTER),
    "FlaxLayer": Refusal("it holds a Flax module, which only JAX can run", REGISTER),
    "TorchModuleWrapper": Refusal("it holds a pickled torch module, which is never opened here",
                                  f"Put the module into your PyTorch program yourself. {REGISTER}"),
    "Layer": Refusal(_BASE, REGISTER),
    "Wrapper": Refusal(_BASE, "Use TimeDistributed, Bidirectional or SpectralNormalization."),
    "InputLayer": Refusal("it is no layer of a spec, where inputs stand by themselves",
                          "Write Input(shape=...), or a line under `inputs:`."),
    "AugMix": Refusal("Keras chooses its chains of operations with Python's own random module when the program is "
                      "traced: once for a whole training, and not by the layer's seed",
                      "Use RandAugment, which draws its operations in every step."),
    "RandomElasticTransform": Refusal("Keras's kernel moves the first image of a batch only, where the batch's size is "
                                      "not known before", "Use RandomPerspective, RandomShear or RandomRotation."),
    "MaxNumBoundingBoxes": Refusal("it works on dictionaries of bounding boxes, and data here are arrays",
                                   "Pad the boxes before they are fed."),
}

# Keras's second names -> the name in the vocabulary (keras/src/layers: keras_export).
ALIASES = {
    **{f"{short}{rank}D": f"{long}{rank}D" for rank in (1, 2, 3) for short, long in (
        ("MaxPool", "MaxPooling"), ("AvgPool", "AveragePooling"), ("GlobalMaxPool", "GlobalMaxPooling"),
        ("GlobalAvgPool", "GlobalAveragePooling"), ("Convolution", "Conv"))},
    **{f"Convolution{rank}DTranspose": f"Conv{rank}DTranspose" for rank in (1, 2, 3)},
    **{f"SeparableConvolution{rank}D": f"SeparableConv{rank}D" for rank in (1, 2)},
    "GroupedQueryAttention": "GroupQueryAttention",  # the name of the class, and the name it is exported under
}
