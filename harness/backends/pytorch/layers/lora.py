"""Layers with low-rank adapters in PyTorch: x @ W + scale * dropout(x) @ A @ B, W frozen.

Where W is a matrix the two thin products are taken one after the other, so that no gradient of the size of W is ever
made. Shape suffixes: B batch, F features, U units, T steps, D dimension of the embedding.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.layers.attention import (
    MultiHeadAttention,
    features_of,
    projection_maps,
    sizes_of,
)
from harness.backends.pytorch.layers.core import Dense, EinsumDense, Embedding
from harness.backends.pytorch.masks import Masks
from harness.backends.pytorch.randomness import Keyed
from harness.backends.pytorch.weights import WeightMap, reshaped, same
from harness.spec.layers import lora as spec
from harness.spec.layers.base import Shape

# Projections of an attention -> the attributes of its module.
PATHS = {"query": "query", "key": "key_projection", "value": "value", "gate": "gate",
         "attention_output": "attention_output"}


class Adapter(Keyed):
    """scale * dropout(x) @ A @ B, the part that is trained.

    inputs, outputs: features of x and of the result. rate: of the dropout, in training. stream: the number of its mask
    among those that one call of the layer draws.
    """

    def __init__(
        self, inputs: int, outputs: int, rank: int, scale: float, rate: float = 0.0, stream: int = 0,
    ) -> None:
        super().__init__()
        self.scale, self.rate, self.stream = scale, rate, stream
        self.a = nn.Parameter(torch.empty(inputs, rank))
        self.b = nn.Parameter(torch.empty(rank, outputs))

    def extra_repr(self) -> str:
        return f"{self.a.shape[0]}, {self.b.shape[1]}, rank={self.b.shape[0]}, scale={self.scale}, dropout={self.rate}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and self.rate > 0:
            x = self.dropout(x, self.rate, self.stream)
        return (x @ self.a) @ self.b * self.scale


class LoRADense(Dense):
    """Dense with an adapter beside its kernel."""

    keras_weights = {**Dense.keras_weights, "lora_kernel_a": same("adapter.a"), "lora_kernel_b": same("adapter.b")}

    def __init__(
        self, inputs: int, units: int, rank: int, scale: float, rate: float = 0.0, bias: bool = True,
        activation: str | None = None,
    ) -> None:
        super().__init__(inputs, units, bias, activation)
        self.adapter = Adapter(inputs, units, rank, scale, rate)

    def pre_activation(self, x_BF: torch.Tensor) -> torch.Tensor:
        return super().pre_activation(x_BF) + self.adapter(x_BF)

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        y_BU = self.pre_activation(x_BF)
        return y_BU if self.activation is None else self.activation(y_BU)


class LoRAEinsumDense(EinsumDense):
    """EinsumDense with an adapter beside its kernel (..., outputs): A (..., rank) @ B (rank, outputs)."""

    keras_weights = {**EinsumDense.keras_weights, "lora_kernel_b": same("adapter.b")}

    def __init__(
        self, equation: str, kernel: tuple[int, ...], rank: int, scale: float, rate: float = 0.0,
        bias: tuple[int, ...] | None = None, activation: str | None = None,
    ) -> None:
        super().__init__(equation, kernel, bias, activation)
        # A as a matrix: all axes of the kernel but the last are its rows.
        self.adapter = Adapter(math.prod(kernel[:-1]), kernel[-1], rank, scale, rate)

    def pre_activation(self, x: torch.Tensor) -> torch.Tensor:
        adapter = self.adapter
        added = (adapter.a @ adapter.b).reshape(self.weight.shape) * adapter.scale
        if self.training and adapter.rate > 0:
            read = adapter.dropout(x, adapter.rate, adapter.stream)
            y = torch.einsum(self.equation, x, self.weight) + torch.einsum(self.equation, read, added)
        else:
            y = torch.einsum(self.equation, x, self.weight + added)
        return y if self.bias is None else y + self.bias


class LoRAEmbedding(Embedding):
    """Embedding with an adapter: the rows of A for the ids, times B."""

    keras_weights = {"embeddings": same("weight"), "lora_embeddings_a": same("adapter.a"),
                     "lora_embeddings_b": same("adapter.b")}

    def __init__(self, input_dim: int, output_dim: int, rank: int, scale: float, mask_zero: bool = False) -> None:
        super().__init__(input_dim, output_dim, mask_zero)
        self.adapter = Adapter(input_dim, output_dim, rank, scale)

    def forward(self, ids_BT: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:  # type: ignore[override]
        rows_BTR = F.embedding(ids_BT.int(), self.adapter.a)
        return super().forward(ids_BT) + rows_BTR @ self.adapter.b * self.adapter.scale


class AdaptedLinear(nn.Linear):
    """nn.Linear with an adapter: a projection of an attention."""

    def __init__(
        self, inputs: int, outputs: int, bias: bool, rank: int, scale: float, rate: float, stream: int,
    ) -> None:
        super().__init__(inputs, outputs, bias)
        self.adapter = Adapter(inputs, outputs, rank, scale, rate, stream)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + self.adapter(x)


class LoRAMultiHeadAttention(MultiHeadAttention):
    """MultiHeadAttention, some of whose projections have adapters. adapted: attribute of the projection -> the number
    of its dropout's mask (the scores' is 0)."""

    def __init__(
        self, inputs: tuple[int, int, int], heads: int, key_size: int, value_size: int, output_sizes: tuple[int, ...],
        adapted: dict[str, int], rank: int, scale: float, lora_rate: float = 0.0, bias: bool = True,
        rate: float = 0.0, gate: bool = False, window: int | None = None, axes: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(inputs, heads, key_size, value_size, output_sizes, None, bias, rate, gate, window, axes)
        for path, stream in adapted.items():
            plain = getattr(self, path)
            setattr(self, path, AdaptedLinear(
                plain.in_features, plain.out_features, bias, rank, scale, lora_rate, stream))


def build_dense(layer: spec.LoRADense, *shapes: Shape) -> nn.Module:
    inputs = shapes[0][-1]
    assert inputs is not None  # the spec refused it otherwise
    return LoRADense(inputs, layer.units, layer.lora_rank, layer.lora_scale, layer.lora_dropout, layer.use_bias,
                     layer.activation)


def build_einsum_dense(layer: spec.LoRAEinsumDense, *shapes: Shape) -> nn.Module:
    found = layer.shapes(shapes[0])
    module = LoRAEinsumDense(layer.equation, found.kernel, layer.lora_rank, layer.lora_scale, layer.lora_dropout,
                             found.bias, layer.activation)
    whole = (*found.kernel[:-1], layer.lora_rank)
    module.keras_weights = {**module.keras_weights, "lora_kernel_a": reshaped(
        "adapter.a", tuple(module.adapter.a.shape), whole, *range(len(whole)))}
    return module


def build_embedding(layer: spec.LoRAEmbedding, *shapes: Shape) -> nn.Module:
    return LoRAEmbedding(layer.input_dim, layer.output_dim, layer.lora_rank, layer.lora_scale, layer.mask_zero)


def build_multi_head_attention(layer: spec.LoRAMultiHeadAttention, *shapes: Shape) -> nn.Module:
    adapted = {PATHS[role]: 1 + spec.PROJECTIONS.index(role) for role in layer.lora_projections}
    module = LoRAMultiHeadAttention(
        features_of(shapes), layer.num_heads, layer.key_dim, layer.value_size, sizes_of(layer.output_sizes(shapes[0])),
        adapted, layer.lora_rank, layer.lora_scale, layer.lora_dropout, bias=layer.use_bias, rate=layer.dropout,
        gate=layer.use_gate, window=layer.sliding_window,
        axes=layer.axes(shapes[0]) if len(shapes[0]) > 3 else None,
    )
    maps = projection_maps(module, layer.key_dim, layer.value_size)
    for weight in layer.weights(*shapes):
        role, _, name = weight.role.rpartition("/")
        if name.startswith("lora_kernel"):
            maps[weight.role] = _matrix(f"{PATHS[role]}.adapter.{name[-1]}", weight.shape, name[-1], layer.lora_rank)
    module.keras_weights = maps  # type: ignore[assignment]
    return module


def _matrix(path: str, shape: tuple[int, ...], part: str, rank: int) -> WeightMap:
    """The map of A or B, of which the module holds all axes but the rank's as one."""
    rest = math.prod(shape) // rank
    return reshaped(path, (rest, rank) if part == "a" else (rank, rest), shape, *range(len(shape)))


BUILDERS = {
    spec.LoRADense: build_dense,
    spec.LoRAEinsumDense: build_einsum_dense,
    spec.LoRAEmbedding: build_embedding,
    spec.LoRAMultiHeadAttention: build_multi_head_attention,
}
