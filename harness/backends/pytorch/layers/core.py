"""Core layers in PyTorch: Dense, EinsumDense, Activation, Identity, Embedding, Masking.

Shape suffixes: B batch, F features, U units, T steps, D dimension of the embedding.
"""

from __future__ import annotations

import torch
from torch import nn

from harness.backends.pytorch.activations import activation_function
from harness.backends.pytorch.weights import permuted, same
from harness.spec.layers import core as spec
from harness.spec.layers.base import Shape


class Dense(nn.Linear):
    """nn.Linear, followed by an activation.

    `pre_activation` gives the values that Keras's losses recover from a softmax or sigmoid output.
    """

    keras_weights = {"kernel": permuted("weight", 1, 0), "bias": same("bias")}

    def __init__(self, inputs: int, units: int, bias: bool, activation: str | None) -> None:
        super().__init__(inputs, units, bias)
        self.activation = activation_function(activation)

    def pre_activation(self, x_BF: torch.Tensor) -> torch.Tensor:
        return super().forward(x_BF)

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        y_BU = super().forward(x_BF)
        return y_BU if self.activation is None else self.activation(y_BU)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, activation={self.activation}"


class EinsumDense(nn.Module):
    """torch.einsum with Keras's equation and Keras's kernel, followed by an activation."""

    keras_weights = {"kernel": same("weight"), "bias": same("bias")}

    def __init__(self, layer: spec.EinsumDense, shape: Shape) -> None:
        super().__init__()
        found = layer.shapes(shape)
        self.equation = layer.equation
        self.weight = nn.Parameter(torch.empty(found.kernel))
        self.bias = None if found.bias is None else nn.Parameter(torch.empty(found.bias))
        self.activation = activation_function(layer.activation)

    def extra_repr(self) -> str:
        return f"{self.equation}, kernel={tuple(self.weight.shape)}"

    def pre_activation(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.einsum(self.equation, x, self.weight)
        return y if self.bias is None else y + self.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.pre_activation(x)
        return y if self.activation is None else self.activation(y)


class Activation(nn.Module):
    """An activation function as a module."""

    def __init__(self, activation: str | None) -> None:
        super().__init__()
        self.activation = activation_function(activation)

    def pre_activation(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.activation is None else self.activation(x)


class Embedding(nn.Embedding):
    """nn.Embedding without padding_idx: Keras trains row 0 like any other, mask_zero only makes a mask."""

    keras_weights = {"embeddings": same("weight")}

    def __init__(self, input_dim: int, output_dim: int, mask_zero: bool) -> None:
        super().__init__(input_dim, output_dim)
        self.mask_zero = mask_zero

    def forward(  # type: ignore[override]
        self, ids_BT: torch.Tensor, masks: tuple[torch.Tensor | None, ...]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        return super().forward(ids_BT.int()), ids_BT != 0 if self.mask_zero else None


class Masking(nn.Module):
    """The mask is False, and the values 0, where every feature of a step equals mask_value."""

    def __init__(self, mask_value: float) -> None:
        super().__init__()
        self.mask_value = mask_value

    def forward(
        self, x_BTF: torch.Tensor, masks: tuple[torch.Tensor | None, ...]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        mask_BT = (x_BTF != self.mask_value).any(-1)
        return torch.where(mask_BT.unsqueeze(-1), x_BTF, torch.zeros_like(x_BTF)), mask_BT


def build_dense(layer: spec.Dense, *shapes: Shape) -> nn.Module:
    inputs = shapes[0][-1]
    assert inputs is not None  # the spec refused it otherwise
    return Dense(inputs, layer.units, layer.use_bias, layer.activation)


def build_einsum_dense(layer: spec.EinsumDense, *shapes: Shape) -> nn.Module:
    return EinsumDense(layer, shapes[0])


def build_identity(layer: spec.Identity, *shapes: Shape) -> nn.Module:
    return nn.Identity()


def build_activation(layer: spec.Activation, *shapes: Shape) -> nn.Module:
    return Activation(layer.activation)


def build_embedding(layer: spec.Embedding, *shapes: Shape) -> nn.Module:
    return Embedding(layer.input_dim, layer.output_dim, layer.mask_zero)


def build_masking(layer: spec.Masking, *shapes: Shape) -> nn.Module:
    return Masking(layer.mask_value)


BUILDERS = {
    spec.Dense: build_dense,
    spec.EinsumDense: build_einsum_dense,
    spec.Activation: build_activation,
    spec.Identity: build_identity,
    spec.Embedding: build_embedding,
    spec.Masking: build_masking,
}
