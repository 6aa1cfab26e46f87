"""Random arguments for the rarer layers, and random operations on tensors: what random_layers.py leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import layers, ops
from harness.spec.layers.base import Layer, Shape
from tests.conformance.random_layers import UNARY, Draw

Drawing = Callable[[Draw, Shape], Any]


def _transposed(d: Draw) -> dict[str, Any]:
    return {"filters": d.whole(1, 3), "kernel_size": d.whole(1, 3), "padding": d.one(("valid", "same")),
            "strides": d.whole(1, 2), "activation": d.activation(), **d.flags("use_bias"), **d.weights("kernel")}


def _separable(d: Draw) -> dict[str, Any]:
    return {"kernel_size": d.whole(1, 3), "padding": d.one(("valid", "same", "causal")),
            "depth_multiplier": d.whole(1, 2), "activation": d.activation(), **d.flags("use_bias")}


def _conv_lstm(d: Draw, rank: int) -> dict[str, Any]:
    return {"filters": d.whole(1, 2), "kernel_size": d.whole(1, 2), "padding": d.one(("valid", "same")),
            **d.some(return_sequences=lambda: True, go_backwards=lambda: True), **d.flags("use_bias")}


def _volume(kind: str) -> Drawing:
    if kind == "Conv":
        return lambda d, s: {"filters": 2, "kernel_size": d.whole(1, 2), "padding": d.one(("valid", "same")),
                             "activation": d.activation(), **d.flags("use_bias")}
    if kind.endswith("Pooling") and "Global" not in kind:
        return lambda d, s: {"pool_size": d.whole(1, 2), "padding": d.one(("valid", "same"))}
    return {"Cropping": lambda d, s: {"cropping": ((0, 1), (1, 0), (0, 0))},
            "ZeroPadding": lambda d, s: {"padding": ((0, 1), (1, 0), (0, 0))},
            "UpSampling": lambda d, s: {"size": d.one(((2, 1, 1), (1, 2, 1)))},
            "SpatialDropout": lambda d, s: {"rate": 0.4}}.get(kind, lambda d, s: d.some(keepdims=lambda: True))


def _cell(d: Draw) -> Layer:
    cell = getattr(layers, d.one(("SimpleRNNCell", "LSTMCell", "GRUCell")))
    return cell(d.whole(1, 3), **d.some(dropout=lambda: 0.3, recurrent_dropout=lambda: 0.2))


def _read(d: Draw) -> Layer:
    cells = [_cell(d) for _ in range(d.whole(1, 2))]
    # Of a stack of one cell Keras loses the list of states under a mask.
    stack = cells[0] if len(cells) == 1 else layers.StackedRNNCells(cells) if d.chance(0.4) else cells
    return layers.RNN(stack, return_sequences=d.chance(0.6), **d.some(go_backwards=lambda: True))


def _each_step(d: Draw, shape: Shape) -> Layer:
    inner = {3: ("Dense", "BatchNormalization", "Dropout"), 4: ("Conv1D", "Dense"), 5: ("Conv2D", "MaxPooling2D")}
    name = d.one(inner[len(shape)])
    arguments = UNARY[name][1](d, shape[1:])
    arguments.pop("axis", None)  # a mask and another axis are more than Keras's BatchNormalization puts up with
    return layers.TimeDistributed(getattr(layers, name)(**arguments))


# As UNARY of random_layers.py.
RARE: dict[str, tuple[tuple[int, ...], Drawing]] = {
    "DepthwiseConv1D": ((3,), lambda d, s: _separable(d)),
    "SeparableConv1D": ((3,), lambda d, s: {"filters": d.whole(1, 3), **_separable(d)}),
    **{f"Conv{rank}DTranspose": ((rank + 2,), lambda d, s: _transposed(d)) for rank in (1, 2, 3)},
    **{f"{kind}3D": ((5,), _volume(kind)) for kind in (
        "Conv", "MaxPooling", "AveragePooling", "GlobalAveragePooling", "GlobalMaxPooling", "Cropping", "ZeroPadding",
        "UpSampling", "SpatialDropout")},
    **{f"Adaptive{kind}Pooling{rank}D": ((rank + 2,), lambda d, s: {"output_size": d.whole(1, 3)})
       for kind in ("Average", "Max") for rank in (1, 2)},
    **{f"ConvLSTM{rank}D": ((rank + 3,), lambda d, s, rank=rank: _conv_lstm(d, rank)) for rank in (1, 2)},
    "AlphaDropout": ((), lambda d, s: {"rate": d.one((0.0, 0.3))}),
    "GaussianDropout": ((), lambda d, s: {"rate": d.one((0.0, 0.3))}),
    "Identity": ((), lambda d, s: {}),
    "ActivityRegularization": ((), lambda d, s: {"l1": 0.01, "l2": 0.02}),
    "Normalization": ((), lambda d, s: {"axis": None, "mean": 0.3, "variance": 1.7, **d.some(invert=lambda: True)}),
    "LayerScale": ((), lambda d, s: {"init_values": 0.5, "projection_dim": s[-1]}),
    "StochasticDepth": ((), lambda d, s: {"drop_path_rate": d.one((0.0, 0.4))}),
    "TimeDistributed": ((3, 4, 5), _each_step),
    "SpectralNormalization": ((2, 3), lambda d, s: layers.SpectralNormalization(
        layers.Dense(d.whole(1, 4)), power_iterations=d.whole(1, 2))),
    "EinsumDense": ((3,), lambda d, s: {"equation": "abc,cd->abd", "output_shape": (s[1], d.whole(1, 4)),
                                        "bias_axes": d.one((None, "d")), "activation": d.activation()}),
    "RNN": ((3,), lambda d, s: _read(d)),
    "Dense": ((), lambda d, s: {"units": d.whole(1, 4), "activation": d.one((
        {"LeakyReLU": {"negative_slope": 0.1}}, {"ReLU": {"max_value": 1.0, "threshold": 0.2}}, {"ELU": {"alpha": 0.3}},
    )), **d.some(kernel_constraint=lambda: "max_norm", activity_regularizer=lambda: "l2")}),
}
# Of a query and a value, of steps both.
READERS: dict[str, Drawing] = {
    "Attention": lambda d, s: d.some(use_scale=lambda: True, score_mode=lambda: "concat", dropout=lambda: 0.3),
    "AdditiveAttention": lambda d, s: {**d.flags("use_scale"), **d.some(dropout=lambda: 0.3)},
    "GroupQueryAttention": lambda d, s: {"head_dim": d.whole(1, 3), "num_query_heads": 2,
                                         "num_key_value_heads": d.whole(1, 2), **d.flags("use_bias")},
    "Dot": lambda d, s: {"axes": d.one((-1, 1, 2)), **d.some(normalize=lambda: True)},
}
# Layers of RARE's that wrap or hold others, which are drawn inside of them.
INSIDE = ("SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells")


def rare(d: Draw, shape: Shape) -> Layer:
    """One of RARE for a tensor of this shape. Raises SpecError where the arguments exclude each other."""
    names = [name for name, (ranks, _) in RARE.items() if not ranks or len(shape) in ranks]
    own = [name for name in names if RARE[name][0]]
    name = d.one(own if own and d.chance(0.7) else names)
    drawn = RARE[name][1](d, shape)
    return drawn if isinstance(drawn, Layer) else getattr(layers, name)(**drawn)


def _axis(d: Draw, x: Any) -> int:
    return d.one((-1, d.whole(1, len(x.shape) - 1)))


# An operation on one tensor, x of any rank from 2 on; d draws its constants.
OPERATIONS: dict[str, Callable[[Draw, Any], Any]] = {
    "plus": lambda d, x: x + d.real(-1, 1), "minus": lambda d, x: d.real(-1, 1) - x, "times": lambda d, x: x * 0.7,
    "over": lambda d, x: 1.0 / (1.5 + ops.abs(x)), "negative": lambda d, x: -x, "power": lambda d, x: x ** 2,
    "mean": lambda d, x: ops.mean(x, axis=_axis(d, x), keepdims=True),
    "sum": lambda d, x: ops.sum(x, axis=_axis(d, x), keepdims=True),
    "max": lambda d, x: ops.max(x, axis=_axis(d, x), keepdims=True),
    "var": lambda d, x: ops.var(x, axis=_axis(d, x), keepdims=True),
    "sigmoid": lambda d, x: ops.sigmoid(x), "softmax": lambda d, x: ops.softmax(x, axis=_axis(d, x)),
    "tanh": lambda d, x: ops.tanh(x), "gelu": lambda d, x: ops.gelu(x), "relu": lambda d, x: ops.relu(x),
    "logsumexp": lambda d, x: ops.logsumexp(x, axis=_axis(d, x), keepdims=True),
    "exp": lambda d, x: ops.exp(ops.clip(x, -2.0, 1.5)), "log": lambda d, x: ops.log1p(ops.abs(x)),
    "sqrt": lambda d, x: ops.sqrt(0.3 + ops.square(x)), "clip": lambda d, x: ops.clip(x, -0.6, 0.8),
    "flat": lambda d, x: ops.reshape(x, (-1, _size(x))),
    "first": lambda d, x: x[:, :1], "last": lambda d, x: x[..., -1:], "reversed": lambda d, x: ops.flip(x, axis=1),
    "cumsum": lambda d, x: ops.cumsum(x, axis=_axis(d, x)), "roll": lambda d, x: ops.roll(x, 1, axis=1),
    "rows apart": lambda d, x: ops.split(x, [1], axis=-1)[-1], "repeat": lambda d, x: ops.repeat(x, 2, axis=-1),
    "wider": lambda d, x: ops.expand_dims(x, axis=d.one((1, -1))), "swapped": lambda d, x: ops.swapaxes(x, 1, -1),
    "norm": lambda d, x: ops.normalize(x, axis=-1), "padded": lambda d, x: ops.pad(
        x, [(0, 0), *((1, 0) for _ in x.shape[1:])], constant_values=0.5),
    "whole": lambda d, x: ops.cast(x > 0, "float32"), "chosen": lambda d, x: ops.where(x > 0.1, x, -0.3),
}
# Of two tensors of one shape.
PAIRED: dict[str, Callable[[Draw, Any, Any], Any]] = {
    "sum": lambda d, x, y: x + y, "difference": lambda d, x, y: x - y, "product": lambda d, x, y: x * y,
    "ratio": lambda d, x, y: x / (1.0 + ops.square(y)), "maximum": lambda d, x, y: ops.maximum(x, y),
    "minimum": lambda d, x, y: ops.minimum(x, y), "where": lambda d, x, y: ops.where(x > y, x, y),
    "concatenate": lambda d, x, y: ops.concatenate([x, y], axis=_axis(d, x)),
    "stack": lambda d, x, y: ops.stack([x, y], axis=d.one((1, -1))),
    "matmul": lambda d, x, y: ops.matmul(x, ops.swapaxes(y, -1, -2)) if len(x.shape) > 2 else x * y,
    "multiply": lambda d, x, y: ops.multiply(x, y), "add": lambda d, x, y: ops.add(x, y),
}


def _size(x: Any) -> int:
    size = 1
    for item in x.shape[1:]:
        size *= item
    return size
