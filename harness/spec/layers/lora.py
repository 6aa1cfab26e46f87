"""Layers with low-rank adapters (Hu et al. 2021, https://arxiv.org/abs/2106.09685): what is pretrained stays frozen,
and beside a kernel W the product A @ B of two thin matrices is trained: x @ W + (alpha / rank) * x @ A @ B.

Keras's `enable_lora` for Dense, EinsumDense and Embedding (keras/src/layers/core): shapes, names, first values (A
he_uniform, B zeros) and scale are its own. Two differences: the bias is frozen as well, and `lora_dropout`, which Keras
does not have, is that of the paper, on what A reads. A MultiHeadAttention has adapters of whole projections, as in the
paper (docs/decisions/0011-adapters-are-layers.md says why).

A phase makes them (`lora:`, harness/spec/lora.py); a spec may hold them too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from harness.errors import SpecError, did_you_mean
from harness.spec.initializers import InitializerArgument, Zeros, initializer_argument
from harness.spec.layers.attention import MultiHeadAttention
from harness.spec.layers.base import Layer, Shape, Weight, product
from harness.spec.layers.core import Dense, EinsumDense, Embedding
from harness.spec.products import Products, make_product, total
from harness.spec.regularizers import Regularizer

PROJECTIONS = ("query", "key", "value", "gate", "attention_output")
# The paper's choice (its table 5): the best two for as many parameters.
DEFAULT_PROJECTIONS = ("query", "value")


class LowRank(Layer):
    """What the layers with adapters share. lora_alpha: None is the rank, as in Keras: a scale of 1."""

    keyword_only: ClassVar[frozenset[str]] = frozenset(
        {*Layer.keyword_only, "lora_rank", "lora_alpha", "lora_dropout", "lora_initializer", "lora_projections"})

    lora_rank: int = Field(gt=0)
    lora_alpha: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    lora_initializer: InitializerArgument = initializer_argument("he_uniform")

    @model_validator(mode="after")
    def _check_restrictions(self) -> LowRank:
        for argument in ("kernel_constraint", "embeddings_constraint", "activity_regularizer"):
            if getattr(self, argument, None) is not None:
                raise SpecError(f"{type(self).__name__}: adapters do not go with {argument}.",
                                hint=f"Leave {argument} out. (Keras's enable_lora refuses constraints too.)")
        return self

    @property
    def stochastic(self) -> bool:
        return super().stochastic or self.lora_dropout > 0

    @property
    def lora_scale(self) -> float:
        """What A @ B is multiplied by."""
        return (self.lora_alpha or self.lora_rank) / self.lora_rank

    def pair(
        self, role: str, first: tuple[int, ...], second: tuple[int, ...], regularizer: Regularizer | None
    ) -> tuple[Weight, Weight]:
        """A and B, the regularizer that of the weight beside them, as in Keras."""
        return (Weight(f"{role}_a", first, self.lora_initializer, regularizer=regularizer),
                Weight(f"{role}_b", second, Zeros(), regularizer=regularizer))


def frozen(weights: tuple[Weight, ...]) -> tuple[Weight, ...]:
    """The weights as no optimizer touches them, and without the penalty that only a trained one has."""
    return tuple(replace(weight, trainable=False, regularizer=None) for weight in weights)


class LoRADense(LowRank, Dense):
    """Dense with an adapter: lora_kernel_a (inputs, rank), lora_kernel_b (rank, units)."""

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        own = super().weights(*shapes)
        inputs, units = own[0].shape
        return (*frozen(own), *self.pair("lora_kernel", (inputs, self.lora_rank), (self.lora_rank, units),
                                         self.kernel_regularizer))

    def products(self, shapes: tuple[Shape, ...], arguments: Any) -> Products:
        size, steps = product(shapes[0][1:]), product(shapes[0][1:-1])
        if size is None or steps is None:
            return None
        return (make_product(2 * size * self.units, [0], ["kernel"]),
                make_product(2 * size * self.lora_rank, [0], ["lora_kernel_a"]),
                make_product(2 * steps * self.lora_rank * self.units, [0, "lora_kernel_a"], ["lora_kernel_b"]))

    def flops(self, *shapes: Shape) -> int | None:
        return total(self.products(shapes, {}))


class LoRAEinsumDense(LowRank, EinsumDense):
    """EinsumDense with an adapter: its kernel (..., outputs) gets lora_kernel_a (..., rank) @ lora_kernel_b (rank,
    outputs), whichever axes the equation sums over, as in Keras."""

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        own = super().weights(*shapes)
        *others, outputs = own[0].shape
        return (*frozen(own), *self.pair("lora_kernel", (*others, self.lora_rank), (self.lora_rank, outputs),
                                         self.kernel_regularizer))

    def products(self, shapes: tuple[Shape, ...], arguments: Any) -> Products:
        # A @ B is made once per step, whatever the batch: only a dropout in front of it needs a product of its own.
        single = EinsumDense.flops(self, *shapes)
        if single is None:
            return None
        roles = ["lora_kernel_a", "lora_kernel_b"]
        if not self.lora_dropout:
            return (make_product(single, [0], ["kernel", *roles]),)
        return make_product(single, [0], ["kernel"]), make_product(single, [0], roles)

    def flops(self, *shapes: Shape) -> int | None:
        return total(self.products(shapes, {}))


class LoRAEmbedding(LowRank, Embedding):
    """Embedding with an adapter: lora_embeddings_a (input_dim, rank), of which rows are taken as of the table, times
    lora_embeddings_b (rank, output_dim). There is no dropout of ids."""

    @model_validator(mode="after")
    def _no_dropout(self) -> LoRAEmbedding:
        if self.lora_dropout:
            raise SpecError("LoRAEmbedding takes no lora_dropout: what its adapter reads are ids.")
        return self

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        return (*frozen(super().weights(*shapes)), *self.pair(
            "lora_embeddings", (self.input_dim, self.lora_rank), (self.lora_rank, self.output_dim),
            self.embeddings_regularizer))

    def products(self, shapes: tuple[Shape, ...], arguments: Any) -> Products:
        ids = product(shapes[0][1:])
        return None if ids is None else (make_product(
            2 * ids * self.lora_rank * self.output_dim, ["lora_embeddings_a"], ["lora_embeddings_b"]),)


class LoRAMultiHeadAttention(LowRank, MultiHeadAttention):
    """MultiHeadAttention with adapters of some projections, each seen as one matrix from features to heads x size.

    lora_projections: of query, key, value, gate, attention_output. "query/lora_kernel_a" is (features, rank),
    "query/lora_kernel_b" (rank, heads, size); of attention_output (heads, size, rank) and (rank, *output).
    """

    lora_projections: tuple[str, ...] = DEFAULT_PROJECTIONS

    @field_validator("lora_projections", mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_projections(self) -> LoRAMultiHeadAttention:
        known = [name for name in PROJECTIONS if name != "gate" or self.use_gate]
        if not self.lora_projections or len(set(self.lora_projections)) < len(self.lora_projections):
            raise SpecError(f"lora_projections names each projection once, got {list(self.lora_projections)}.")
        for name in self.lora_projections:
            if name not in known:
                raise SpecError(f"lora_projections: there is no projection {name!r}.", hint=did_you_mean(name, known))
        return self

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        found: list[Weight] = []
        own = super().weights(*shapes)
        for index, weight in enumerate(own):
            found += frozen((weight,))
            role = weight.role.rpartition("/")[0]
            last = index + 1 == len(own) or own[index + 1].role.rpartition("/")[0] != role
            if last and role in self.lora_projections:
                kernel = next(item for item in own if item.role == f"{role}/kernel")
                inputs = 2 if role == "attention_output" else 1
                found += self.pair(f"{role}/lora_kernel", (*kernel.shape[:inputs], self.lora_rank),
                                   (self.lora_rank, *kernel.shape[inputs:]), self.kernel_regularizer)
        return tuple(found)

    def products(self, shapes: tuple[Shape, ...], arguments: Any) -> Products:
        base = super().products(shapes, arguments)
        if base is None:
            return None
        found = list(base)
        kernels = {weight.role: weight for weight in self.weights(*shapes)}
        for role in self.lora_projections:
            kernel, names = f"{role}/kernel", frozenset({f"{role}/lora_kernel_a", f"{role}/lora_kernel_b"})
            # What comes out of a projection comes out of its adapter too.
            found = [item if item.right == {kernel} else
                     replace(item, left=item.left | names if kernel in item.left else item.left,
                             right=item.right | names if kernel in item.right else item.right) for item in found]
            whole = next(item for item in found if item.right == {kernel})
            first, second = kernels[f"{role}/lora_kernel_a"], kernels[f"{role}/lora_kernel_b"]
            places = whole.flops // kernels[kernel].size
            found += [make_product(places * first.size, whole.left, [first.role]),
                      make_product(places * second.size, {*whole.left, first.role}, [second.role])]
        return tuple(found)


LAYERS = (LoRADense, LoRAEinsumDense, LoRAEmbedding, LoRAMultiHeadAttention)
