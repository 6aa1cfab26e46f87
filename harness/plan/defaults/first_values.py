"""The first values of weights: PyTorch's reset_parameters, in the words of Keras's initializers.

torch.nn.Linear and _ConvNd: kaiming_uniform_(a=sqrt(5)) for the weight, uniform for the bias, both within
1 / sqrt(fan_in); Embedding: normal(0, 1); RNNBase: everything uniform within 1 / sqrt(hidden_size);
MultiheadAttention: xavier_uniform_ on the packed (3 E, E) projection.
A weight's values are drawn from the seed and its name: after a switch they are the same draws, scaled.
"""

from __future__ import annotations

import math
from typing import Any

from harness.plan.defaults.base import Change, EditLayer, Shapes, change_layers, is_left
from harness.spec.initializers import RandomNormal, RandomUniform, VarianceScaling
from harness.spec.layers.base import Layer
from harness.spec.layers.cells import Gates, GRUGates
from harness.spec.layers.convolutional import Conv1D, Conv2D, Conv3D
from harness.spec.layers.core import Dense, Embedding
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

# Layers that hold these are PyTorch's Linear and convolutions, by class name: most of them are imported when needed.
KERNELS = {
    **{cls.__name__: ("kernel_initializer",) for cls in (Dense, Conv1D, Conv2D, Conv3D)},
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), ("kernel_initializer",)),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), ("depthwise_initializer",)),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), ("depthwise_initializer", "pointwise_initializer")),
}


def kernels(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """Kernels of Dense and convolutions."""
    # kaiming_uniform_(a=sqrt(5)): the limit is sqrt(2 / (1 + 5)) * sqrt(3 / fan_in).
    uniform = VarianceScaling(scale=1 / 3, mode="fan_in", distribution="uniform")

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        left = [name for name in KERNELS.get(type(layer).__name__, ()) if is_left(layer, name)]
        return {name: within(depthwise_fan(layer)) if name.startswith("depthwise") else uniform for name in left}

    return _change(spec, recipe, edit, "Glorot uniform", "uniform within 1/sqrt(fan_in)")


def biases(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """Biases of Dense and convolutions."""

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        if type(layer).__name__ not in KERNELS or not is_left(layer, "bias_initializer"):
            return {}
        if not getattr(layer, "use_bias", False):
            return {}
        return {"bias_initializer": within(fan_in(layer, shapes))}

    return _change(spec, recipe, edit, "zeros", "uniform within 1/sqrt(fan_in)")


def attention(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """Projections of MultiHeadAttention."""
    packed = VarianceScaling(scale=0.5, mode="fan_avg", distribution="uniform")

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        own = type(layer).__name__ == "MultiHeadAttention" and is_left(layer, "kernel_initializer")
        return {"kernel_initializer": packed} if own else {}

    return _change(spec, recipe, edit, "Glorot uniform for each projection",
                   "Glorot uniform over queries, keys and values packed: sqrt(1/2) of it")


def embeddings(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """Tables of Embedding."""

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        own = type(layer) is Embedding and is_left(layer, "embeddings_initializer")
        return {"embeddings_initializer": RandomNormal(mean=0.0, stddev=1.0)} if own else {}

    return _change(spec, recipe, edit, "uniform within 0.05", "normal(0, 1)")


def recurrent_kernels(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """Kernels of recurrent layers."""

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        if not isinstance(layer, Gates):
            return {}
        left = (name for name in ("kernel_initializer", "recurrent_initializer") if is_left(layer, name))
        return dict.fromkeys(left, within(layer.units))

    return _change(spec, recipe, edit, "Glorot uniform for inputs, orthogonal for states",
                   "uniform within 1/sqrt(units) for both")


def recurrent_biases(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """Biases of recurrent layers. PyTorch's LSTM and RNN add two; here their sum has one uniform distribution of the
    same variance."""

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        if not isinstance(layer, Gates) or not layer.use_bias or not is_left(layer, "bias_initializer"):
            return {}
        summed = 1 if isinstance(layer, GRUGates) else 2
        forget = {"unit_forget_bias": False} if "unit_forget_bias" in type(layer).model_fields else {}
        return {"bias_initializer": within(layer.units / summed), **forget}

    return _change(spec, recipe, edit, "zeros, 1 for an LSTM's forget gate", "uniform within 1/sqrt(units)")


def within(fan: float) -> RandomUniform:
    """Uniform within 1 / sqrt(fan)."""
    limit = 1 / math.sqrt(fan)
    return RandomUniform(minval=-limit, maxval=limit)


def depthwise_fan(layer: Layer) -> int:
    """fan_in of a grouped convolution with one input channel per group: the places of its window."""
    size: tuple[int, ...] = layer.kernel_size  # type: ignore[attr-defined]
    return math.prod(size)


def fan_in(layer: Layer, shapes: Shapes) -> int:
    """torch.nn.init's fan_in of the kernel in front of the bias: of (out, in / groups, k...), and for transposed
    convolutions of (in, out, k...), which makes it the outputs."""
    if type(layer).__name__.startswith("Depthwise"):
        return depthwise_fan(layer)
    kernel = shapes.get("pointwise_kernel") or shapes["kernel"]
    return math.prod(kernel[:-1])


def _change(spec: ModelSpec, recipe: Recipe, edit: EditLayer, keras: str, torch: str) -> Change | None:
    changed, where = change_layers(spec, edit)
    return Change(changed, recipe, where, keras, torch) if where else None
