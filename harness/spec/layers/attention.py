"""Attention layers (keras/src/layers/attention).

Shape letters: B batch, T query steps, S key and value steps, N heads, K key size, V value size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from harness.errors import SpecError, did_you_mean
from harness.spec.initializers import GlorotUniform, InitializerArgument, Ones, initializer_argument
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, check_bias_place, known, product, require_rank
from harness.spec.regularizers import RegularizerArgument

CALL_OPTIONS = ("attention_mask", "use_causal_mask")


class _Projected(Layer):
    """What the attentions with projections share: calls on (query, value, key), their options, the projections."""

    mask_rule: ClassVar[MaskRule] = "own"
    call_arguments: ClassVar[tuple[str, ...]] = ("query", "value", "key")

    @field_validator("flash_attention", check_fields=False)
    @classmethod
    def _check_flash(cls, value: bool | None) -> bool | None:
        if value:
            raise SpecError("flash_attention=True does not exist in Keras's TensorFlow backend.",
                            hint="Leave it out: PyTorch picks its fastest kernel by itself.")
        return value

    def _three(self, shapes: tuple[Shape, ...]) -> tuple[Shape, Shape, Shape]:
        if len(shapes) not in (2, 3):
            raise SpecError(f"{type(self).__name__} is called on query, value and perhaps key, got {len(shapes)} "
                            "tensor(s).", hint="Self-attention is written layer(x, x).")
        query, value, key = shapes[0], shapes[1], shapes[-1]
        for shape in (query, value, key):
            require_rank(self, shape, 3, "(batch, steps, features)")
            known(shape[-1], self, "the last dimension")
        if None not in (value[1], key[1]) and value[1] != key[1]:
            raise SpecError(f"{type(self).__name__} needs as many keys as values, got {key[1]} and {value[1]} steps.")
        return query, value, key

    def _projection(
        self, role: str, steps: int | None, inputs: tuple[int, ...], outputs: tuple[int, ...]
    ) -> list[Weight]:
        # EinsumDense gives its initializer the axes that are summed and those that are made (einsum_dense.py).
        a: Any = self
        fans = (float(math.prod(inputs)), float(math.prod(outputs)))
        weights = [Weight(f"{role}/kernel", (*inputs, *outputs), a.kernel_initializer,
                          regularizer=a.kernel_regularizer, fans=fans)]
        if a.use_bias:
            check_bias_place(self, (None, steps, *outputs), outputs)
            weights.append(Weight(f"{role}/bias", outputs, a.bias_initializer, regularizer=a.bias_regularizer))
        return weights

    def _flops(self, shapes: tuple[Shape, ...], heads: int, sizes: int) -> int | None:
        """Projections, scores and their products with the values; sizes: of a key and of a value, added up."""
        query, value, key = self._three(shapes)
        steps, keys = query[1], value[1] if value[1] is not None else key[1]
        if steps is None or keys is None:
            return None
        count = 0
        for weight in self.weights(*shapes):
            if weight.role.endswith("kernel"):
                count += weight.size * (keys if weight.role in ("key/kernel", "value/kernel") else steps)
        return 2 * (count + steps * keys * heads * sizes)

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError for an argument of the call that the layer does not have, or not here."""
        check_options(self, arguments, CALL_OPTIONS)

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        given = {name: value for name, value in arguments.items() if value is not None and value is not False}
        self.check_call({name: value for name, value in given.items() if name not in self.call_arguments})
        return super().__call__(*inputs, **given)


class MultiHeadAttention(_Projected):
    """Vaswani et al. 2017: called on (query (B, T, .), value (B, S, .), key (B, S, .), default value).

    attention_mask: (B, T, S), True where the query may attend. use_causal_mask: a query sees no later key.
    sliding_window: a query sees keys less than that many steps away. use_gate: sigmoid(query @ gate)
    multiplies the heads' outputs.

    Masks of the inputs (Keras's `_keras_mask`) are joined with attention_mask; the output carries the query's
    mask. A query that may see no key attends to all keys evenly if dropout is 0, and to none (its output is
    the bias) if dropout is not 0, in inference too: Keras takes two code paths.
    """

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
        query, _, _ = self._three(shapes)
        return (*query[:2], *self.output_sizes(query))

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        query, value, key = self._three(shapes)
        heads, out = self.num_heads, self.output_sizes(query)
        parts = [("query", query, self.key_dim), ("key", key, self.key_dim)]
        parts += [("gate", query, self.value_size)] if self.use_gate else []
        parts += [("value", value, self.value_size)]
        weights: list[Weight] = []
        for role, (_, steps, features), size in parts:
            inputs = known(features, self, f"the last dimension of {role}")
            weights += self._projection(role, steps, (inputs,), (heads, size))
        return (*weights, *self._projection("attention_output", query[1], (heads, self.value_size), out))

    def flops(self, *shapes: Shape) -> int | None:
        return self._flops(shapes, self.num_heads, self.key_dim + self.value_size)


class GroupQueryAttention(_Projected):
    """Ainslie et al. 2023: num_query_heads heads that share num_key_value_heads keys and values; called as
    MultiHeadAttention is, with the same options. Keras's class GroupedQueryAttention, under its exported name.
    """

    # Keras's signature holds arguments before these that the harness does not know (constraints).
    keyword_only: ClassVar[frozenset[str]] = Layer.keyword_only | {"use_gate", "seed"}

    head_dim: int = Field(gt=0)
    num_query_heads: int = Field(gt=0)
    num_key_value_heads: int = Field(gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    use_bias: bool = True
    sliding_window: int | None = Field(default=None, gt=0)
    flash_attention: bool | None = None
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    use_gate: bool = False
    seed: int | None = None

    @model_validator(mode="after")
    def _check_heads(self) -> GroupQueryAttention:
        if self.num_query_heads % self.num_key_value_heads:
            raise SpecError("num_query_heads must be a multiple of num_key_value_heads, got "
                            f"{self.num_query_heads} and {self.num_key_value_heads}.")
        return self

    @property
    def stochastic(self) -> bool:
        return self.dropout > 0

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        query, value, _ = self._three(shapes)
        if query[-1] != value[-1]:
            raise SpecError(f"GroupQueryAttention needs queries and values of as many features, got {query[-1]} and "
                            f"{value[-1]}.")
        return query

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        query, value, key = self._three(shapes)
        queries, keys = (self.num_query_heads, self.head_dim), (self.num_key_value_heads, self.head_dim)
        parts = [("query", query, queries), ("key", key, keys)]
        parts += [("gate", query, queries)] if self.use_gate else []
        parts += [("value", value, keys)]
        weights: list[Weight] = []
        for role, (_, steps, features), sizes in parts:
            weights += self._projection(role, steps, (known(features, self, f"the last dimension of {role}"),), sizes)
        made = (known(query[-1], self, "the features"),)
        return (*weights, *self._projection("attention_output", query[1], queries, made))

    def flops(self, *shapes: Shape) -> int | None:
        return self._flops(shapes, self.num_query_heads, 2 * self.head_dim)


def check_options(layer: Layer, arguments: Mapping[str, Any], known_options: tuple[str, ...]) -> None:
    """Raises SpecError for an argument of the call that the layer does not have, or not here."""
    kind = type(layer).__name__
    for name, value in arguments.items():
        if name == "return_attention_scores":
            raise SpecError(f"{kind}'s return_attention_scores=True is not supported.",
                            hint="Read the scores with a model of their own.")
        if name not in known_options:
            raise SpecError(f"a call of {kind} has no argument {name!r}.", hint=did_you_mean(name, known_options))
        if name == "use_causal_mask" and not isinstance(value, bool):
            raise SpecError(f"use_causal_mask is True or False, got {value!r}.")


class _Plain(Layer):
    """Attention without projections, called on a list [query (B, T, D), value (B, S, .), key (B, S, D)], the key being
    the value where it is left out. use_causal_mask: a query sees no later key.

    The query's mask sets its output to 0 and goes on; the value's mask hides values; the key's is not read.
    """

    mask_rule: ClassVar[MaskRule] = "own"

    @property
    def stochastic(self) -> bool:
        dropout: float = self.dropout  # type: ignore[attr-defined]
        return dropout > 0

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        kind = type(self).__name__
        if len(shapes) not in (2, 3):
            raise SpecError(f"{kind} is called on a list of query, value and perhaps key, got {len(shapes)} tensor(s).",
                            hint="Self-attention is written layer([x, x]).")
        query, value, key = shapes[0], shapes[1], shapes[-1]
        for shape in (query, value, key):
            require_rank(self, shape, 3, "(batch, steps, features)")
        if known(query[-1], self, "the features") != known(key[-1], self, "the features"):
            raise SpecError(f"{kind} needs queries and keys of as many features, got {query[-1]} and {key[-1]}.")
        if None not in (value[1], key[1]) and value[1] != key[1]:
            raise SpecError(f"{kind} needs as many keys as values, got {key[1]} and {value[1]} steps.")
        return (*query[:2], value[2])

    def flops(self, *shapes: Shape) -> int | None:
        query, value, key = shapes[0], shapes[1], shapes[-1]
        products = (product((query[1], value[1], value[2])), product((query[1], key[1], key[2])))
        counted = products if getattr(self, "score_mode", None) == "dot" else products[:1]
        return None if None in counted else 2 * sum(count for count in counted if count is not None)

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError for an argument of the call that the layer does not have, or not here."""
        check_options(self, arguments, ("use_causal_mask",))

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        given = {name: value for name, value in arguments.items() if value is not None and value is not False}
        self.check_call(given)
        return super().__call__(*inputs, **given)


class Attention(_Plain):
    """Luong et al. 2015. score_mode "dot": query @ key; "concat": weight * sum(tanh(query + key)). use_scale: a
    learned factor on the products, or on the sum within tanh."""

    use_scale: bool = False
    score_mode: Literal["dot", "concat"] = "dot"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    seed: int | None = None

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        ones = Ones()
        scale = (Weight("scale", (), ones),) if self.use_scale else ()
        return (*scale, Weight("concat_score_weight", (), ones)) if self.score_mode == "concat" else scale


class AdditiveAttention(_Plain):
    """Bahdanau et al. 2014: sum(scale * tanh(query + key)), scale (D,) learned or 1."""

    use_scale: bool = True
    dropout: float = Field(default=0.0, ge=0, lt=1)
    seed: int | None = None

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        if not self.use_scale:
            return ()
        return (Weight("scale", (known(shapes[0][-1], self, "the features"),), GlorotUniform()),)


LAYERS = (MultiHeadAttention, GroupQueryAttention, Attention, AdditiveAttention)
