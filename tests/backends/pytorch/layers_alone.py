"""What the conformance cases cannot see of the PyTorch layers: compilation, memory layout, sharing, precision.

A program, because a process holds one framework: `test_layers.py` starts it. It prints, as JSON, the traceback of
every check that fails.
"""

from __future__ import annotations

import json
import traceback

import numpy as np
import torch

from harness import Input, Model, layers
from harness.backends.pytorch.model import Network, build_network
from harness.spec.model import ModelSpec


def network_of(spec: ModelSpec, dtype: str = "float64") -> Network:
    rng = np.random.default_rng(0)
    weights = {w.name: np.abs(rng.normal(0.5, 0.2, w.shape)) for w in spec.weights}
    return build_network(spec, weights, dtype)


def images() -> ModelSpec:
    x = image = Input((9, 8, 3), name="image")
    x = layers.Rescaling(1 / 255, -0.5)(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.SeparableConv2D(8, 3, padding="same")(x)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.DepthwiseConv2D(2, padding="same")(x)
    x = layers.AveragePooling2D(2, strides=1, padding="same")(x)
    x = layers.LayerNormalization(axis=1)(x)
    x = layers.UpSampling2D(2, interpolation="bicubic")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.GroupNormalization(4)(layers.ZeroPadding2D()(x))
    return Model(image, layers.Softmax()(layers.GlobalAveragePooling2D()(x)))


def steps() -> ModelSpec:
    x = sequence = Input((9, 3), name="sequence")
    x = layers.Masking()(x)
    x = layers.BatchNormalization()(x)
    x = layers.Multiply()([layers.PReLU()(x), layers.LeakyReLU()(x)])
    return Model(sequence, layers.GlobalAveragePooling1D()(x))


def compile_as_one_graph(spec: ModelSpec) -> None:
    """fullgraph=True raises where Python depends on data. Outputs and moving averages are the eager ones."""
    shape = (4, *(size or 1 for size in spec.inputs[0].shape[1:]))
    x = torch.from_numpy(np.random.default_rng(1).normal(size=shape))
    eager, compiled = network_of(spec), network_of(spec)
    expected = eager(x)
    result = torch.compile(compiled, backend="aot_eager", fullgraph=True)(x)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)
    result.sum().backward()
    for name, value in eager.get_weights().items():
        np.testing.assert_allclose(compiled.get_weights()[name], value, rtol=1e-12, err_msg=name)


def feature_maps_stay_channels_last() -> None:
    """Between layers NHWC tensors are contiguous: no layout is ever converted."""
    network = network_of(images(), "float32")
    layouts = {}

    def note(name: str):
        return lambda module, inputs, output: layouts.__setitem__(
            name, (output[0] if isinstance(output, tuple) else output).is_contiguous())

    for name in ("conv2d", "batch_normalization", "separable_conv2d", "max_pooling2d", "depthwise_conv2d",
                 "average_pooling2d", "zero_padding2d", "up_sampling2d_1"):
        network.layer(name).register_forward_hook(note(name))
    network(torch.randn(4, 9, 8, 3))
    assert len(layouts) == 8
    assert all(layouts.values()), layouts


def shared_batch_normalization() -> None:
    a, b = Input((5,), name="a"), Input((5,), name="b")
    shared = layers.BatchNormalization(momentum=0.5, name="bn")
    network = network_of(Model([a, b], layers.Add()([shared(a), shared(b)])))
    network.set_weights({"bn/gamma": np.ones(5), "bn/beta": np.zeros(5), "bn/moving_mean": np.zeros(5),
                         "bn/moving_variance": np.ones(5)})
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 6, 5))
    network.train()
    network(torch.from_numpy(first), torch.from_numpy(second)).square().sum().backward()
    weights = network.get_weights()
    np.testing.assert_allclose(weights["bn/moving_mean"], first.mean(0) / 4 + second.mean(0) / 2, rtol=1e-12)
    np.testing.assert_allclose(weights["bn/moving_variance"], 1 / 4 + first.var(0) / 4 + second.var(0) / 2, rtol=1e-12)


def bfloat16_under_autocast(spec: ModelSpec) -> None:
    network = network_of(spec, "float32")
    x = torch.randn(4, *spec.inputs[0].shape[1:])
    with torch.autocast("cpu", torch.bfloat16):
        low = network(x)
    torch.testing.assert_close(low.float(), network_of(spec, "float32")(x), rtol=0.1, atol=0.1)


CHECKS = {
    "images compile as one graph": lambda: compile_as_one_graph(images()),
    "steps compile as one graph": lambda: compile_as_one_graph(steps()),
    "feature maps stay channels last": feature_maps_stay_channels_last,
    "shared batch normalization": shared_batch_normalization,
    "images in bfloat16": lambda: bfloat16_under_autocast(images()),
    "steps in bfloat16": lambda: bfloat16_under_autocast(steps()),
}


def outcome(check) -> str | None:
    try:
        check()
    except Exception:  # handed to the test of this check
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    torch.manual_seed(0)
    print(json.dumps({name: outcome(check) for name, check in CHECKS.items()}))
