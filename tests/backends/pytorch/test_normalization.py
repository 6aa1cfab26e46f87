"""Normalization where the conformance cases do not come: kernels of zeros, layers called twice, raw inputs."""

import numpy as np
import pytest
import torch

from harness import Input, Model, layers
from harness.backends.pytorch.model import build_network
from harness.plan.initial import initial_weights


def network(spec, **weights):
    values = {name: weights.get(name.partition("/")[2], array) for name, array in initial_weights(spec, 0).items()}
    return build_network(spec, values, "float64").train()


def spectral(calls=1, activation=None):
    x = Input((4,), name="x")
    layer = layers.SpectralNormalization(layers.Dense(4, activation, name="inner"), name="spectral")
    y = x
    for _ in range(calls):
        y = layer(y)
    return Model(x, y)


def test_a_kernel_of_zeros_stays():
    built = network(spectral(), kernel=np.zeros((4, 4)), vector_u=np.full((1, 4), 0.5))
    built(torch.ones(2, 4, dtype=torch.float64))
    weights = built.get_weights()
    assert (weights["spectral/kernel"] == 0).all()
    assert (weights["spectral/vector_u"] == 0.5).all()


def test_many_iterations_leave_the_largest_singular_value_at_one():
    built = network(spectral())
    for _ in range(200):
        built(torch.ones(2, 4, dtype=torch.float64))
    kernel = built.get_weights()["spectral/kernel"]
    assert np.linalg.norm(kernel, 2) == pytest.approx(1.0, rel=1e-6)


def test_a_layer_called_twice_is_differentiated_through_both_of_its_kernels():
    """Each call has its own kernel: the gradient of the second meets the output of the first."""
    built = network(spectral(calls=2))
    x = torch.ones(1, 4, dtype=torch.float64, requires_grad=True)
    kernels = []
    built.layer("spectral").layer.register_forward_hook(lambda module, _, __: kernels.append(module.weight.detach()))
    built(x).sum().backward()
    first, second = kernels
    assert not torch.equal(first, second)
    expected = torch.ones(1, 4, dtype=torch.float64) @ second @ first
    torch.testing.assert_close(x.grad, expected, rtol=1e-12, atol=1e-12)


def test_what_comes_before_the_activation_is_normalized_too():
    one, other = network(spectral(activation="softmax")), network(spectral(activation="softmax"))
    x = torch.arange(8, dtype=torch.float64).reshape(2, 4)
    (before,), _ = one.run((x,), frozenset({"spectral"}))
    torch.testing.assert_close(torch.softmax(before, -1), other(x))
    assert np.array_equal(one.get_weights()["spectral/kernel"], other.get_weights()["spectral/kernel"])


@pytest.mark.parametrize("shape", [(4, 5, 6), (2, 3, 4, 6), (5, 6)])
def test_group_normalization_of_raw_inputs(shape):
    """torch 2.13 crashes in the backward pass of channels that are last in memory if the input needs no gradient."""
    x = Input(shape, name="x")
    built = network(Model(x, layers.GroupNormalization(3, name="norm")(x)))
    built(torch.randn(2, *shape, dtype=torch.float64)).square().sum().backward()
    assert built.layer("norm").weight.grad.abs().sum() > 0
