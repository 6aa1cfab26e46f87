"""Random layers for random models: one drawing of arguments for every layer of the vocabulary.

A drawing may not fit the tensor it is meant for: then the spec refuses it, and another layer is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from harness import layers
from harness.spec.activations import ACTIVATIONS
from harness.spec.layers import LATER
from harness.spec.layers.base import Layer, Shape

INITIALIZERS = (
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal", "lecun_uniform", "ones",
    {"RandomNormal": {"stddev": 0.3}}, {"TruncatedNormal": {"stddev": 0.5}}, {"RandomUniform": {"minval": -0.5}},
    {"Constant": {"value": 0.1}}, {"VarianceScaling": {"mode": "fan_out", "distribution": "untruncated_normal"}},
)


class Draw:
    """A seeded generator with the words that drawings are written in."""

    def __init__(self, *seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def one(self, options: Any) -> Any:
        options = list(options)
        return options[int(self.rng.integers(len(options)))]

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def real(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, high)), 3)

    def activation(self) -> str | None:
        return None if self.chance(0.3) else self.one(name for name in ACTIVATIONS if name != "exponential")

    def some(self, **options: Callable[[], Any]) -> dict[str, Any]:
        """Each argument given with a quarter's chance; the others keep Keras's defaults."""
        return {name: make() for name, make in options.items() if self.chance(0.25)}

    def regularizer(self) -> Any:
        return {self.one(("L1", "L2")): {}} if self.chance(0.5) else {"L1L2": {"l1": 0.003, "l2": self.real(0, 0.02)}}

    def weights(self, *roles: str) -> dict[str, Any]:
        """Initializers and regularizers of these roles."""
        given: dict[str, Any] = {}
        for role in roles:
            given |= self.some(**{f"{role}_initializer": lambda: self.one(INITIALIZERS)})
            if self.chance(0.12):
                given[f"{role}_regularizer"] = self.regularizer()
        return given

    def flags(self, *names: str) -> dict[str, Any]:
        """Each flag turned over from its default True with a quarter's chance."""
        return {name: False for name in names if self.chance(0.25)}


def _kernel(d: Draw, rank: int) -> dict[str, Any]:
    """strides or dilation_rate, and padding."""
    given = {"kernel_size": d.whole(1, 3), "padding": d.one(("valid", "same", *(("causal",) if rank == 1 else ())))}
    return given | d.one(({}, {}, {"strides": 2}, {"dilation_rate": 2}))


def _conv(d: Draw, rank: int) -> dict[str, Any]:
    return {"filters": d.one((2, 3, 4)), **_kernel(d, rank), "activation": d.activation(), **d.flags("use_bias"),
            **d.weights("kernel", "bias"), **({"groups": 2} if d.chance(0.2) else {})}


def _depthwise(d: Draw) -> dict[str, Any]:
    return {**_kernel(d, 2), "depth_multiplier": d.whole(1, 2), "activation": d.activation(), **d.flags("use_bias"),
            **d.weights("depthwise", "bias")}


def _pool(d: Draw) -> dict[str, Any]:
    return {"pool_size": d.whole(1, 3), "padding": d.one(("valid", "same")), **d.some(strides=lambda: d.whole(1, 3))}


def _recurrent(d: Draw, kind: str) -> dict[str, Any]:
    given = {"units": d.whole(1, 4), "return_sequences": d.chance(0.6), **d.flags("use_bias"),
             **d.weights("kernel", "recurrent", "bias")}
    given |= d.some(activation=d.activation, dropout=lambda: 0.3, recurrent_dropout=lambda: 0.2)
    for name, chance in (("return_state", 0.15), ("go_backwards", 0.2), ("unroll", 0.1), ("zero_output_for_mask", 0.2)):
        given |= {name: True} if d.chance(chance) else {}
    if kind != "SimpleRNN":
        given |= d.some(recurrent_activation=lambda: d.one(("hard_sigmoid", "sigmoid", "tanh", "relu")),
                        use_cudnn=lambda: False)
    if kind == "GRU":
        given |= d.flags("reset_after")
    return given | (d.flags("unit_forget_bias") if kind == "LSTM" else {})


def _bidirectional(d: Draw) -> Layer:
    kind = d.one(("SimpleRNN", "LSTM", "GRU"))
    inner = _recurrent(d, kind) | {"go_backwards": False}
    return layers.Bidirectional(getattr(layers, kind)(**inner), merge_mode=d.one(("concat", "sum", "mul", "ave", None)))


def _axes(d: Draw, shape: Shape) -> int | list[int]:
    last = len(shape) - 1
    return d.one((-1, d.whole(1, last), list(range(1, last + 1)), [d.whole(1, last), last]))


def _norm(d: Draw) -> dict[str, Any]:
    return {**d.flags("center", "scale"), **d.weights("beta", "gamma"), **d.some(epsilon=lambda: d.one((1e-5, 0.1)))}


def _attention(d: Draw) -> dict[str, Any]:
    given = {"num_heads": d.whole(1, 2), "key_dim": d.whole(1, 3), **d.flags("use_bias"), **d.weights("kernel", "bias")}
    return given | d.some(value_dim=lambda: d.whole(1, 3), dropout=lambda: 0.3, use_gate=lambda: True,
                          sliding_window=lambda: 2, output_shape=lambda: d.one((3, (2, 2))))


def _noise_shape(d: Draw, shape: Shape) -> tuple[int | None, ...]:
    return (None, *(d.one((1, None)) for _ in shape[1:]))


def _factors(shape: Shape) -> list[tuple[int, ...]]:
    size = int(np.prod([value or 1 for value in shape[1:]]))
    pairs = [(a, size // a) for a in range(1, size + 1) if size % a == 0]
    return [(size,), *pairs, *((a, b // c, c) for a, b in pairs for c in (2, 3) if b % c == 0)]


# Layer -> (number of dimensions it is tried on, batch included; the drawing of it). () stands for any number.
UNARY: dict[str, tuple[tuple[int, ...], Callable[[Draw, Shape], Any]]] = {
    "Dense": ((), lambda d, s: {"units": d.whole(1, 6), "activation": d.activation(), **d.flags("use_bias"),
                                **d.weights("kernel", "bias")}),
    "Activation": ((), lambda d, s: {"activation": d.one(ACTIVATIONS)}),
    "ReLU": ((), lambda d, s: d.some(max_value=lambda: d.real(0.5, 2), negative_slope=lambda: 0.1,
                                     threshold=lambda: d.real(0, 0.4))),
    "LeakyReLU": ((), lambda d, s: d.some(negative_slope=lambda: 0.1)),
    "ELU": ((), lambda d, s: d.some(alpha=lambda: 0.4)),
    "PReLU": ((), lambda d, s: d.weights("alpha") | d.some(shared_axes=lambda: d.whole(1, len(s) - 1))),
    "Softmax": ((), lambda d, s: d.some(axis=lambda: d.one((-1, 1, tuple(range(1, len(s))))))),
    "Masking": ((3,), lambda d, s: d.some(mask_value=lambda: 0.5)),
    "Conv1D": ((3,), lambda d, s: _conv(d, 1)),
    "Conv2D": ((4,), lambda d, s: _conv(d, 2)),
    "DepthwiseConv2D": ((4,), lambda d, s: _depthwise(d)),
    "SeparableConv2D": ((4,), lambda d, s: {"filters": d.whole(1, 4), **_depthwise(d), **d.weights("pointwise")}),
    "MaxPooling1D": ((3,), lambda d, s: _pool(d)),
    "AveragePooling1D": ((3,), lambda d, s: _pool(d)),
    "MaxPooling2D": ((4,), lambda d, s: _pool(d)),
    "AveragePooling2D": ((4,), lambda d, s: _pool(d)),
    **{f"Global{kind}Pooling{rank}D": ((rank + 2,), lambda d, s: d.some(keepdims=lambda: True))
       for kind in ("Average", "Max") for rank in (1, 2)},
    "BatchNormalization": ((), lambda d, s: {**_norm(d), **d.some(momentum=lambda: 0.7,
                                                                 axis=lambda: d.whole(1, len(s) - 1))}),
    "LayerNormalization": ((), lambda d, s: {**_norm(d), "axis": _axes(d, s), **d.some(rms_scaling=lambda: True)}),
    "GroupNormalization": ((), lambda d, s: {**_norm(d), "groups": d.one((1, 2, -1))}),
    "RMSNormalization": ((), lambda d, s: d.some(axis=lambda: _axes(d, s))),
    "UnitNormalization": ((), lambda d, s: {"axis": _axes(d, s)}),
    "Rescaling": ((), lambda d, s: {"scale": d.real(0.1, 2), "offset": d.one((0.0, -0.3))}),
    **{kind: ((3,), lambda d, s, kind=kind: _recurrent(d, kind)) for kind in ("SimpleRNN", "LSTM", "GRU")},
    "Bidirectional": ((3,), lambda d, s: _bidirectional(d)),
    "Dropout": ((), lambda d, s: {"rate": d.one((0.0, 0.2, 0.5, 1.0)),
                                  **d.some(noise_shape=lambda: _noise_shape(d, s))}),
    "SpatialDropout1D": ((3,), lambda d, s: {"rate": 0.4}),
    "SpatialDropout2D": ((4,), lambda d, s: {"rate": 0.4}),
    "GaussianNoise": ((), lambda d, s: {"stddev": d.one((0.0, 0.3))}),
    "Flatten": ((), lambda d, s: {}),
    "Reshape": ((), lambda d, s: {"target_shape": d.one(_factors(s))}),
    "Permute": ((3, 4), lambda d, s: {"dims": tuple(int(i) for i in d.rng.permutation(len(s) - 1) + 1)}),
    "RepeatVector": ((2,), lambda d, s: {"n": d.whole(1, 3)}),
    "ZeroPadding1D": ((3,), lambda d, s: {"padding": d.one((1, (0, 2)))}),
    "ZeroPadding2D": ((4,), lambda d, s: {"padding": d.one((1, ((0, 1), (2, 0))))}),
    "Cropping1D": ((3,), lambda d, s: {"cropping": d.one((1, (0, 2)))}),
    "Cropping2D": ((4,), lambda d, s: {"cropping": d.one((1, ((0, 1), (1, 0))))}),
    "UpSampling1D": ((3,), lambda d, s: {"size": 2}),
    "UpSampling2D": ((4,), lambda d, s: {"size": d.one((2, (1, 2))),
                                         "interpolation": d.one(("nearest", "bilinear", "bicubic"))}),
}
# Layers of several tensors, or of ids, that random_models.py calls itself.
MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
OTHERS = (*MERGES, "MultiHeadAttention", "Embedding")
# What has its conformance cases (cases/) but is drawn nowhere, here or in random_rare_layers.py: what works on data
# before training, and what computes in float32 only.
NOT_DRAWN = (
    *(name for family, names in LATER.items() for name in names
      if family.startswith(("augmentation", "preprocessing_", "lora"))),
    "AdaptiveAveragePooling3D", "AdaptiveMaxPooling3D", "ConvLSTM3D", "CategoryEncoding", "CustomScaleLayer",
    "ReversibleEmbedding",
)


def unary(d: Draw, shape: Shape) -> Layer:
    """A layer for one tensor of this shape. Raises SpecError where the arguments drawn exclude each other."""
    names = [name for name, (ranks, _) in UNARY.items() if not ranks or len(shape) in ranks]
    # What is made for this number of dimensions is what the model is about.
    own = [name for name in names if UNARY[name][0]]
    name = d.one(own if own and d.chance(0.5) else names)
    drawn = UNARY[name][1](d, shape)
    return drawn if isinstance(drawn, Layer) else named(d, name, drawn)


def named(d: Draw, name: str, arguments: dict[str, Any]) -> Layer:
    """The layer; sometimes frozen."""
    return getattr(layers, name)(**arguments, **({"trainable": False} if d.chance(0.04) else {}))


def attention(d: Draw) -> Layer:
    return named(d, "MultiHeadAttention", _attention(d))


def embedding(d: Draw, rows: int) -> Layer:
    return named(d, "Embedding", {"input_dim": rows, "output_dim": d.whole(1, 4), "mask_zero": d.chance(0.6),
                                  **d.weights("embeddings")})
