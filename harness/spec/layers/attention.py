"""Attention layers (keras/src/layers/attention): MultiHeadAttention.

Shape letters: B batch, T query steps, S key and value steps, N heads, K key size, V value size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from harness.errors import SpecError, did_you_mean
from harness.spec.initializers import InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, known, require_rank
from harness.spec.regularizers import RegularizerArgument

CALL_OPTIONS = ("attention_mask", "use_causal_mask")


class MultiHeadAttention(Layer):
    """Vaswani et al. 2017: called on (query (B, T, .), value (B, S, .), key (B, S, .), default value).

    attention_mask: (B, T, S), True where the query may attend. use_causal_mask: a query sees no later key.
    sliding_window: a query sees keys less than that many steps away. use_gate: sigmoid(query @ gate)
    multiplies the heads' outputs.

    Masks of the inputs (Keras's `_keras_mask`) are joined with attention_mask; the output carries the query's
    mask. A query that may see no key attends to all keys evenly if dropout is 0, and to none (its output is
    the bias) if dropout is not 0, in inference too: Keras takes two code paths.
    """

    mask_rule: ClassVar[MaskRule] = "own"
    call_arguments: ClassVar[tuple[str, ...]] = ("query", "value", "key")
    # Keras's signature holds an argument before these that the harness does not know (activity_regularizer).
    keyword_only: ClassVar[frozenset[str]] = Layer.keyword_only | {"use_gate", "seed"}

    num_heads: int = Field(gt=0)
    key_dim: int = Field(gt=0)
    value_dim: int | None = Field(default=None, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    use_bias: bool = True
    output_shape: tuple[int, ...] | None = None
    attention_axes: int | tuple[int, ...] | None = None
    sliding_window: int | None = Field(default=None, gt=0)
    flash_attention: bool | None = None
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    use_gate: bool = False
    seed: int | None = None

    @field_validator("output_shape", mode="before")
    @classmethod
    def _one_size(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value or None

    @field_validator("attention_axes")
    @classmethod
    def _check_axes(cls, value: int | tuple[int, ...] | None) -> int | tuple[int, ...] | None:
        if value not in (None, 1, (1,)):
            raise SpecError(f"attention over the axes {value} is not supported: inputs are (batch, steps, features).")
        return value

    @field_validator("flash_attention")
    @classmethod
    def _check_flash(cls, value: bool | None) -> bool | None:
        if value:
            raise SpecError("flash_attention=True does not exist in Keras's TensorFlow backend.",
                            hint="Leave it out: PyTorch picks its fastest kernel by itself.")
        return value

    @property
    def stochastic(self) -> bool:
        return self.dropout > 0

    @property
    def value_size(self) -> int:
        return self.value_dim or self.key_dim

    def output_sizes(self, query: Shape) -> tuple[int, ...]:
        """The output's shape behind (B, T)."""
        return self.output_shape or (known(query[-1], self, "the last dimension of query"),)

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        query, value, key = self._three(shapes)
        for shape in (query, value, key):
            require_rank(self, shape, 3, "(batch, steps, features)")
            known(shape[-1], self, "the last dimension")
        if None not in (value[1], key[1]) and value[1] != key[1]:
            raise SpecError(f"MultiHeadAttention needs as many keys as values, got {key[1]} and {value[1]} steps.")
        return (*query[:2], *self.output_sizes(query))

    def _three(self, shapes: tuple[Shape, ...]) -> tuple[Shape, Shape, Shape]:
        if len(shapes) not in (2, 3):
            raise SpecError(f"MultiHeadAttention is called on query, value and perhaps key, got {len(shapes)} "
                            "tensor(s).", hint="Self-attention is written layer(x, x).")
        return shapes[0], shapes[1], shapes[-1]

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        query, value, key = self._three(shapes)
        heads, out = self.num_heads, self.output_sizes(query)
        parts = [("query", query[-1], self.key_dim), ("key", key[-1], self.key_dim)]
        parts += [("gate", query[-1], self.value_size)] if self.use_gate else []
        parts += [("value", value[-1], self.value_size)]
        weights: list[Weight] = []
        for role, features, size in parts:
            inputs = known(features, self, f"the last dimension of {role}")
            weights += self._projection(role, (inputs,), (heads, size))
        return (*weights, *self._projection("attention_output", (heads, self.value_size), out))

    def _projection(self, role: str, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> list[Weight]:
        # EinsumDense gives its initializer the axes that are summed and those that are made (einsum_dense.py).
        fans = (float(math.prod(inputs)), float(math.prod(outputs)))
        weights = [Weight(f"{role}/kernel", (*inputs, *outputs), self.kernel_initializer,
                          regularizer=self.kernel_regularizer, fans=fans)]
        if self.use_bias:
            weights.append(Weight(f"{role}/bias", outputs, self.bias_initializer, regularizer=self.bias_regularizer))
        return weights

    def flops(self, *shapes: Shape) -> int | None:
        query, value, key = self._three(shapes)
        steps, keys = query[1], value[1] if value[1] is not None else key[1]
        if steps is None or keys is None:
            return None
        count = 0
        for weight in self.weights(*shapes):
            if weight.role.endswith("kernel"):
                count += weight.size * (keys if weight.role in ("key/kernel", "value/kernel") else steps)
        return 2 * (count + steps * keys * self.num_heads * (self.key_dim + self.value_size))

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError for an argument of the call that the layer does not have, or not here."""
        for name, value in arguments.items():
            if name == "return_attention_scores":
                raise SpecError("MultiHeadAttention's return_attention_scores=True is not supported.",
                                hint="Read the scores with a model of their own.")
            if name not in CALL_OPTIONS:
                raise SpecError(f"a call of MultiHeadAttention has no argument {name!r}.",
                                hint=did_you_mean(name, CALL_OPTIONS))
            if name == "use_causal_mask" and not isinstance(value, bool):
                raise SpecError(f"use_causal_mask is True or False, got {value!r}.")

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        given = {name: value for name, value in arguments.items() if value is not None and value is not False}
        self.check_call({name: value for name, value in given.items() if name not in self.call_arguments})
        return super().__call__(*inputs, **given)


LAYERS = (MultiHeadAttention,)
