"""Every class of keras.layers as Keras writes it into its files, read by the vocabulary and built again.

`python -m tests.exchange.layer_configs OUT` (a process with TensorFlow) writes a JSON object: "Class number" ->
{"written": Keras's serialized layer, "again": the config of the layer that was built from what was read} or
{"written": ..., "error": the SpecError's text}. "classes": every name of a class in
keras.layers, with the class's own name; "names": every name there.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras

from harness.backends.tensorflow.layers import build_layer
from harness.backends.tensorflow.layers.stock import stock
from harness.errors import SpecError
from harness.spec.keras_config.layers import read_layer
from harness.spec.layers.refused import REFUSED
from harness.spec.layers.spatial import is_channels_first

L = keras.layers
L2 = {"kernel_regularizer": keras.regularizers.L2(0.02), "kernel_initializer": keras.initializers.HeNormal(seed=3)}

# What a class cannot be made without, and further configurations: (arguments, keyword arguments) each.
CONFIGURATIONS: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "Activation": [(("relu",), {}), (("softmax",), {"dtype": "float64"})],
    "ActivityRegularization": [((0.1, 0.2), {})],
    "AdaptiveAveragePooling1D": [((3,), {})], "AdaptiveAveragePooling2D": [((3,), {})],
    "AdaptiveAveragePooling3D": [(((1, 2, 3),), {})],
    "AdaptiveMaxPooling1D": [((3,), {})], "AdaptiveMaxPooling2D": [((3,), {})], "AdaptiveMaxPooling3D": [((3,), {})],
    "AlphaDropout": [((0.1,), {}), ((0.1,), {"noise_shape": (None, 1), "seed": 3})],
    **{f"AveragePooling{rank}D": [((2,), {}), ((3,), {"strides": 1, "padding": "same"})] for rank in (1, 2, 3)},
    "AdditiveAttention": [((), {}), ((), {"use_scale": False, "dropout": 0.1, "seed": 3})],
    "Attention": [((), {}), ((), {"use_scale": True, "score_mode": "concat", "dropout": 0.1})],
    "BatchNormalization": [((), {}), ((), {"axis": 1, "momentum": 0.9, "scale": False, "gamma_regularizer": "l2"})],
    "Bidirectional": [((L.LSTM(3),), {}), ((L.GRU(3, return_sequences=True),), {"merge_mode": "sum"})],
    "CategoryEncoding": [((5,), {}), ((5,), {"output_mode": "one_hot"})],
    "CenterCrop": [((3, 4), {})],
    "Concatenate": [((), {}), ((), {"axis": 1})],
    "Conv1D": [((3, 2), {}), ((3, 2), {"padding": "causal", "dilation_rate": 2, **L2})],
    "Conv2D": [((3, 2), {}), ((4, 2), {"strides": (2, 1), "groups": 2, "activation": "gelu", **L2}),
               ((4, 2), {"data_format": "channels_first", "use_bias": False})],
    "Conv3D": [((3, 2), {}), ((3, 2), {"padding": "same", **L2})],
    "Conv1DTranspose": [((3, 2), {})], "Conv3DTranspose": [((3, 2), {"strides": 2, "output_padding": 1})],
    "Conv2DTranspose": [((3, 2), {}), ((3, 2), {"strides": 2, "padding": "same", "output_padding": 1, **L2})],
    "ConvLSTM1D": [((3, 2), {})], "ConvLSTM3D": [((3, 2), {})],
    "ConvLSTM2D": [((3, 2), {}), ((3, 2), {"return_sequences": True, "dropout": 0.1, "padding": "same"})],
    "CutMix": [((), {})],
    "Dense": [((3,), {}), ((3,), {"activation": "relu", "bias_regularizer": keras.regularizers.L1L2(0.1, 0.2), **L2}),
              ((3,), {"trainable": False, "dtype": "mixed_float16", "name": "head"}),
              ((3,), {"kernel_constraint": "max_norm", "activity_regularizer": "l2"})],
    "DepthwiseConv1D": [((2,), {})],
    "DepthwiseConv2D": [((2,), {}), ((2,), {"depth_multiplier": 2, "depthwise_regularizer": "l2"})],
    "Discretization": [((), {"bin_boundaries": [0.0, 1.0]})],
    "Dot": [((1,), {}), (((1, 2),), {"normalize": True})],
    "Dropout": [((0.1,), {}), ((0.1,), {"noise_shape": (None, 1), "seed": 3})],
    "EinsumDense": [(("abc,cd->abd",), {"output_shape": (None, 4), "bias_axes": "d", **L2}),
                    (("ab,bc->ac",), {"output_shape": 4})],
    "ELU": [((), {}), ((), {"alpha": 0.3})],
    "Embedding": [((5, 3), {}), ((5, 3), {"mask_zero": True, "embeddings_regularizer": "l2"})],
    "GRU": [((3,), {}), ((3,), {"reset_after": False, "return_sequences": True, "dropout": 0.1, "seed": 3})],
    "GRUCell": [((3,), {})], "GaussianDropout": [((0.1,), {})], "GaussianNoise": [((0.1,), {"seed": 3})],
    "GlobalAveragePooling2D": [((), {}), ((), {"keepdims": True, "data_format": "channels_first"})],
    "GroupNormalization": [((), {}), ((2,), {"axis": 1, "scale": False})],
    "GroupQueryAttention": [((4, 4, 2), {}), ((4, 4, 2), {"dropout": 0.1, "use_gate": True, "use_bias": False})],
    "HashedCrossing": [((5,), {})], "Hashing": [((5,), {})],
    "IntegerLookup": [((), {"vocabulary": [3, 4, 5]})],
    "LSTM": [((3,), {}), ((3,), {"go_backwards": True, "recurrent_dropout": 0.1, "unit_forget_bias": False, **L2})],
    "LSTMCell": [((3,), {})],
    "LayerNormalization": [((), {}), ((), {"axis": (1, 2), "center": False})],
    "LeakyReLU": [((), {}), ((), {"negative_slope": 0.1})],
    "Masking": [((), {}), ((3.0,), {})],
    "MaxPooling2D": [((), {}), ((3,), {"strides": (2, 1), "padding": "same"})],
    "MelSpectrogram": [((), {})],
    "MultiHeadAttention": [((2, 3), {}), ((2, 3), {"value_dim": 4, "dropout": 0.1, "output_shape": 5, "seed": 1, **L2}),
                           ((2, 3), {"attention_axes": (1,), "sliding_window": 3, "use_gate": True})],
    "Normalization": [((), {}), ((), {"mean": 1.0, "variance": 4.0})],
    "PReLU": [((), {}), ((), {"shared_axes": [1, 2]})],
    "Permute": [(((2, 1),), {})],
    "Pipeline": [(([L.Rescaling(2.0)],), {})],
    "RNN": [((L.LSTMCell(3),), {}), (([L.GRUCell(3), L.GRUCell(4)],), {"return_sequences": True})],
    "RandomBrightness": [((0.2,), {})], "RandomColorDegeneration": [((0.2,), {})],
    "RandomColorJitter": [((), {"brightness_factor": 0.1})], "RandomContrast": [((0.2,), {})],
    "RandomCrop": [((3, 4), {})], "RandomHue": [((0.2,), {})], "RandomPosterization": [((3,), {})],
    "RandomRotation": [((0.2,), {})], "RandomSaturation": [((0.2,), {})], "RandomSharpness": [((0.2,), {})],
    "RandomTranslation": [((0.1, 0.2), {})], "RandomZoom": [((0.2,), {})],
    "ReLU": [((), {}), ((6.0, 0.1, 0.3), {})],
    "RepeatVector": [((3,), {})],
    "Rescaling": [((2.0,), {}), ((1 / 255,), {"offset": -1.0})],
    "Reshape": [(((2, -1),), {})],
    "Resizing": [((3, 4), {}), ((3, 4), {"interpolation": "nearest"})],
    "ReversibleEmbedding": [((5, 3), {}), ((5, 3), {"tie_weights": False, "logit_soft_cap": 3.0})],
    "STFTSpectrogram": [((), {})],
    "SeparableConv1D": [((3, 2), {})],
    "SeparableConv2D": [((3, 2), {}), ((3, 2), {"depth_multiplier": 2, "pointwise_regularizer": "l2"})],
    "SimpleRNN": [((3,), {}), ((3,), {"activation": "relu", "stateful": False, "unroll": True})],
    "SimpleRNNCell": [((3,), {})],
    "Softmax": [((), {}), (((1, 2),), {})],
    "SpatialDropout1D": [((0.1,), {})], "SpatialDropout2D": [((0.1,), {"data_format": "channels_first", "seed": 3})],
    "SpatialDropout3D": [((0.1,), {})],
    "SpectralNormalization": [((L.Dense(3),), {}), ((L.Conv2D(3, 2),), {"power_iterations": 2})],
    "StackedRNNCells": [(([L.LSTMCell(3), L.GRUCell(3)],), {})],
    "StringLookup": [((), {"vocabulary": ["a", "b"]})],
    "TextVectorization": [((), {"vocabulary": ["a", "b"]}),
                          ((), {"vocabulary": ["a", "b"], "output_sequence_length": 4, "ngrams": (1, 2)})],
    "TimeDistributed": [((L.Dense(3),), {}), ((L.BatchNormalization(axis=1),), {})],
    "UnitNormalization": [((), {}), ((), {"axis": 1})],
    "UpSampling2D": [((), {}), ((3,), {"interpolation": "bilinear"})],
    "ZeroPadding2D": [((), {}), ((((1, 2), (0, 3)),), {})],
}


def classes() -> dict[str, type[L.Layer]]:
    """Every name of a class in keras.layers."""
    found = {name: getattr(L, name) for name in dir(L)}
    return {name: cls for name, cls in found.items() if inspect.isclass(cls) and issubclass(cls, L.Layer)}


def made() -> Iterator[tuple[str, Callable[[], L.Layer]]]:
    """(label, maker) of every configuration."""
    seen = set()
    for name, cls in sorted(classes().items(), key=lambda item: (item[0] not in CONFIGURATIONS, item[0])):
        if cls in seen or name in REFUSED:
            continue
        seen.add(cls)
        for number, (arguments, named) in enumerate(CONFIGURATIONS.get(name, [((), {})])):
            yield f"{name} {number}", lambda cls=cls, given=arguments, named=named: cls(*given, **named)


def read_and_built(written: dict[str, Any]) -> dict[str, Any]:
    """What becomes of a serialized layer."""
    try:
        spec = read_layer(written, written["config"]["name"], "float32")
        common = {"name": spec.name, "dtype": spec.dtype or "float32", "trainable": spec.trainable}
        # Channels first may stand between two transposes when it runs; it is written as Keras's own layer.
        layer = stock(spec, **common) if is_channels_first(spec) else build_layer(spec, keyed=False, **common)
    except SpecError as error:
        return {"error": str(error)}
    except Exception as error:  # reported by the test of this layer
        return {"error": f"{type(error).__name__}: {error}"}
    return {"again": keras.saving.serialize_keras_object(layer)}


def main(path: str) -> None:
    outcome: dict[str, Any] = {"classes": {name: cls.__name__ for name, cls in classes().items()},
                               "names": [name for name in dir(L) if not name.startswith("_")]}
    for label, make in made():
        written = json.loads(json.dumps(keras.saving.serialize_keras_object(make())))
        outcome[label] = {"written": written, **read_and_built(written)}
    Path(path).write_text(json.dumps(outcome))


if __name__ == "__main__":
    main(sys.argv[1])
