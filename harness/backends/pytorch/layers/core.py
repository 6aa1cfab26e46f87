"""Core layers in PyTorch: Dense, EinsumDense, Activation, Identity, Embedding, ReversibleEmbedding, Masking.

Shape suffixes: B batch, F features, U units, T steps, D dimension of the embedding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from harness.backends.pytorch.activations import activation_function
from harness.backends.pytorch.masks import Masks
from harness.backends.pytorch.weights import permuted, same
from harness.spec.layers import core as spec
from harness.spec.layers.base import Shape


class Dense(nn.Linear):
    """nn.Linear, followed by an activation."""

    keras_weights = {"kernel": permuted("weight", 1, 0), "bias": same("bias")}

    def __init__(self, inputs: int, units: int, bias: bool = True, activation: str | None = None) -> None:
        super().__init__(inputs, units, bias)
        self.activation = activation_function(activation, inplace=True, inplace_training=True)

    def pre_activation(self, x_BF: torch.Tensor) -> torch.Tensor:
        """The values that Keras's losses recover from a softmax or sigmoid output."""
        return super().forward(x_BF)

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        y_BU = super().forward(x_BF)
        return y_BU if self.activation is None else self.activation(y_BU)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, activation={self.activation}"


class EinsumDense(nn.Module):
    """torch.einsum with Keras's equation and Keras's kernel, followed by an activation.

    kernel, bias: their shapes; bias None for none.
    """

    keras_weights = {"kernel": same("weight"), "bias": same("bias")}

    def __init__(
        self, equation: str, kernel: tuple[int, ...], bias: tuple[int, ...] | None = None,
        activation: str | None = None,
    ) -> None:
        super().__init__()
        self.equation = equation
        self.weight = nn.Parameter(torch.empty(kernel))
        self.bias = None if bias is None else nn.Parameter(torch.empty(bias))
        self.activation = activation_function(activation)

    def extra_repr(self) -> str:
        return f"{self.equation}, kernel={tuple(self.weight.shape)}"

    def pre_activation(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.einsum(self.equation, x, self.weight)
        return y if self.bias is None else y + self.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.pre_activation(x)
        return y if self.activation is None else self.activation(y)


class Activation(nn.Module):
    """An activation function as a module. inplace: it writes over its input; inplace_training: also where a gradient
    is asked for."""

    def __init__(self, activation: str | None, inplace: bool = False, inplace_training: bool = False) -> None:
        super().__init__()
        self.activation = activation_function(activation, inplace, inplace_training)

    def pre_activation(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.activation is None else self.activation(x)


class Embedding(nn.Embedding):
    """nn.Embedding without padding_idx: Keras trains row 0 like any other, mask_zero only makes a mask."""

    keras_weights = {"embeddings": same("weight")}

    def __init__(self, input_dim: int, output_dim: int, mask_zero: bool = False) -> None:
        super().__init__(input_dim, output_dim)
        self.mask_zero = mask_zero

    def forward(self, ids_BT: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:  # type: ignore[override]
        return super().forward(ids_BT.int())

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return inputs[0] != 0 if self.mask_zero else None


class ReversibleEmbedding(Embedding):
    """An Embedding that also gives the products of vectors with its rows, or with a matrix of their own (not `tied`).

    soft_cap: of these products, x becomes tanh(x / soft_cap) * soft_cap.
    """

    keras_weights = {"embeddings": same("weight"), "reverse_embeddings": same("reverse_embeddings")}

    def __init__(
        self, input_dim: int, output_dim: int, mask_zero: bool = False, tied: bool = True,
        soft_cap: float | None = None,
    ) -> None:
        super().__init__(input_dim, output_dim, mask_zero)
        self.reverse_embeddings = None if tied else nn.Parameter(torch.empty(output_dim, input_dim))
        self.soft_cap = soft_cap

    def forward(  # type: ignore[override]
        self, x: torch.Tensor, masks: Masks | None = None, reverse: bool = False
    ) -> torch.Tensor:
        if not reverse:
            return super().forward(x)
        y = x @ (self.weight.T if self.reverse_embeddings is None else self.reverse_embeddings)
        return y if self.soft_cap is None else torch.tanh(y / self.soft_cap) * self.soft_cap


class Masking(nn.Module):
    """The mask is False, and the values 0, where every feature of a step equals mask_value."""

    def __init__(self, mask_value: float) -> None:
        super().__init__()
        self.mask_value = mask_value

    def forward(self, x_BTF: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:
        mask_BT1 = (x_BTF != self.mask_value).any(-1, keepdim=True)
        return torch.where(mask_BT1, x_BTF, torch.zeros_like(x_BTF))

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor:
        return (inputs[0] != self.mask_value).any(-1)


def build_dense(layer: spec.Dense, *shapes: Shape) -> nn.Module:
    inputs = shapes[0][-1]
    assert inputs is not None  # the spec refused it otherwise
    return Dense(inputs, layer.units, layer.use_bias, layer.activation)


def build_einsum_dense(layer: spec.EinsumDense, *shapes: Shape) -> nn.Module:
    found = layer.shapes(shapes[0])
    return EinsumDense(layer.equation, found.kernel, found.bias, layer.activation)


def build_identity(layer: spec.Identity, *shapes: Shape) -> nn.Module:
    return nn.Identity()


def build_activation(layer: spec.Activation, *shapes: Shape, **inplace: int) -> nn.Module:
    return Activation(layer.activation, **dict.fromkeys(inplace, True))


def build_embedding(layer: spec.Embedding, *shapes: Shape) -> nn.Module:
    return Embedding(layer.input_dim, layer.output_dim, layer.mask_zero)


def build_reversible_embedding(layer: spec.ReversibleEmbedding, *shapes: Shape) -> nn.Module:
    return ReversibleEmbedding(layer.input_dim, layer.output_dim, layer.mask_zero, layer.tie_weights,
                               layer.logit_soft_cap)


def build_masking(layer: spec.Masking, *shapes: Shape) -> nn.Module:
    return Masking(layer.mask_value)


BUILDERS = {
    spec.Dense: build_dense,
    spec.EinsumDense: build_einsum_dense,
    spec.Activation: build_activation,
    spec.Identity: build_identity,
    spec.Embedding: build_embedding,
    spec.ReversibleEmbedding: build_reversible_embedding,
    spec.Masking: build_masking,
}
