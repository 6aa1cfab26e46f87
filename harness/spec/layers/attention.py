"""Attention layers (keras/src/layers/attention).

Shape letters: B batch, T query steps, S key and value steps, N heads, K key size, V value size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from harness.errors import SpecError
from harness.spec.constraints import ConstraintArgument
from harness.spec.initializers import GlorotUniform, InitializerArgument, Ones, initializer_argument
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, known, product, require_rank
from harness.spec.layers.projections import Projected, check_options
from harness.spec.products import Products, make_product
from harness.spec.regularizers import RegularizerArgument


class MultiHeadAttention(Projected):
    """Vaswani et al. 2017: called on (query (B, T, .), value (B, S, .), key (B, S, .), default value).

    attention_mask: (B, T, S), True where the query may attend. use_causal_mask: a query sees no later key.
    attention_axes: of inputs with several dimensions between batch and features, those with attention; the others
    count as examples. sliding_window: a query sees keys less than that many steps away. use_gate: sigmoid(query @ gate)
    multiplies the heads' outputs.

    Masks of the inputs (Keras's `_keras_mask`) are joined with attention_mask; the output carries the query's
    mask. A query that may see no key attends to all keys evenly if dropout is 0, and to none (its output is
    the bias) if dropout is not 0, in inference too, or if the inputs have several dimensions between batch and
    features: Keras takes two code paths.
    """

    # Keras hands activity_regularizer on to the projections (multi_head_attention.py).
    regularizes_outputs: ClassVar[bool] = False
    regularizes_parts: ClassVar[bool] = True

    num_heads: int = Field(gt=0)
    key_dim: int = Field(gt=0)
    value_dim: int | None = Field(default=None, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    use_bias: bool = True
    output_shape: tuple[int, ...] | None = None
    attention_axes: tuple[int, ...] | None = None
    sliding_window: int | None = Field(default=None, gt=0)
    flash_attention: bool | None = None
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    kernel_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None
    use_gate: bool = False
    seed: int | None = None

    @field_validator("output_shape", mode="before")
    @classmethod
    def _one_size(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value or None

    @field_validator("attention_axes", mode="before")
    @classmethod
    def _one_axis(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value

    @property
    def query_heads(self) -> int:
        return self.num_heads

    def rank(self, query: Shape) -> int:
        return max(3, len(query))

    def axes(self, query: Shape) -> tuple[int, ...]:
        """The dimensions over which there is attention: all between batch and features, or those that are given."""
        rank = len(query)
        if self.attention_axes is None:
            return tuple(range(1, rank - 1))
        axes = tuple(axis + rank if axis < 0 else axis for axis in self.attention_axes)
        if list(axes) != sorted(set(axes)) or not all(0 < axis < rank - 1 for axis in axes):
            raise SpecError(f"attention_axes are dimensions between batch and features, in order, got "
                            f"{self.attention_axes} for inputs of shape {query}.")
        return axes

    def apart(self, query: Shape) -> Shape:
        axes = self.axes(query)
        return tuple(size for axis, size in enumerate(query[1:-1], 1) if axis not in axes)

    def call_shape(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Shape | tuple[Shape, ...]:
        options = [*arguments, *(["sliding_window"] if self.sliding_window else [])]
        if len(shapes[0]) > 3 and options:
            raise SpecError(f"MultiHeadAttention: {options[0]} is for inputs (batch, steps, features), got "
                            f"{shapes[0]}.", hint="Reshape to one dimension of steps.")
        return super().call_shape(shapes, arguments)

    def check_masks(
        self, shapes: tuple[Shape, ...], masks: tuple[Shape | None, ...], arguments: Mapping[str, Any]
    ) -> None:
        query, axes = shapes[0], self.axes(shapes[0])
        # Keras puts the dimensions of a mask against those of the scores in their order, without regard for the axes
        # (multi_head_attention.py: _compute_attention_mask).
        scores = (*self.apart(query), *(query[axis] for axis in axes), *(shapes[1][axis] for axis in axes))
        for index, (shape, mask) in enumerate(zip(shapes, masks, strict=True)):
            if mask is None:
                continue
            sizes = (*shape[1:-2], shape[-2], 1) if index == 0 else (*shape[1:-2], 1, shape[-2])
            fits = len(sizes) == len(scores) and all(
                size in (1, score) and size is not None for size, score in zip(sizes, scores, strict=True))
            if not fits and axes != (len(query) - 2,):
                raise SpecError(
                    f"MultiHeadAttention over the dimensions {axes} of a query of shape {query}: the mask of shape "
                    f"{mask} does not fit, which Keras takes for one of attention over dimension {len(query) - 2}.",
                    hint=f"Write attention_axes={len(query) - 2}, reshape to one dimension of steps, or use no mask.")

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
        query, value, _ = self.query_value_key(shapes)
        axes = self.axes(query)
        for axis, (here, there) in enumerate(zip(query[1:-1], value[1:-1], strict=True), 1):
            if axis not in axes and None not in (here, there) and here != there:
                raise SpecError(f"MultiHeadAttention: dimension {axis}, over which there is no attention, is {here} in "
                                f"the query and {there} in the value.")
        return (*query[:-1], *self.output_sizes(query))

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        query, value, key = self.query_value_key(shapes)
        heads, out = self.num_heads, self.output_sizes(query)
        parts = [("query", query, self.key_dim), ("key", key, self.key_dim)]
        parts += [("gate", query, self.value_size)] if self.use_gate else []
        parts += [("value", value, self.value_size)]
        weights: list[Weight] = []
        for role, (_, *steps, features), size in parts:
            inputs = known(features, self, f"the last dimension of {role}")
            weights += self.projection(role, tuple(steps), (inputs,), (heads, size))
        return (*weights, *self.projection("attention_output", query[1:-1], (heads, self.value_size), out))

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        return self.attention_products(shapes, self.num_heads, self.key_dim, self.value_size)


class GroupQueryAttention(Projected):
    """Ainslie et al. 2023: num_query_heads heads that share num_key_value_heads keys and values; called as
    MultiHeadAttention is, with the same options. Keras's class GroupedQueryAttention, under its exported name.
    """

    # Keras hands activity_regularizer on to the projections, and obeys it itself (grouped_query_attention.py).
    regularizes_parts: ClassVar[bool] = True

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
    kernel_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None
    use_gate: bool = False
    seed: int | None = None

    @model_validator(mode="after")
    def _check_heads(self) -> GroupQueryAttention:
        if self.num_query_heads % self.num_key_value_heads:
            raise SpecError("num_query_heads must be a multiple of num_key_value_heads, got "
                            f"{self.num_query_heads} and {self.num_key_value_heads}.")
        return self

    @property
    def query_heads(self) -> int:
        return self.num_query_heads

    @property
    def stochastic(self) -> bool:
        return self.dropout > 0

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        query, value, _ = self.query_value_key(shapes)
        if query[-1] != value[-1]:
            raise SpecError(f"GroupQueryAttention needs queries and values of as many features, got {query[-1]} and "
                            f"{value[-1]}.")
        return query

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        query, value, key = self.query_value_key(shapes)
        queries, keys = (self.num_query_heads, self.head_dim), (self.num_key_value_heads, self.head_dim)
        parts = [("query", query, queries), ("key", key, keys)]
        parts += [("gate", query, queries)] if self.use_gate else []
        parts += [("value", value, keys)]
        weights: list[Weight] = []
        for role, (_, *steps, features), sizes in parts:
            inputs = (known(features, self, f"the last dimension of {role}"),)
            weights += self.projection(role, tuple(steps), inputs, sizes)
        made = (known(query[-1], self, "the features"),)
        return (*weights, *self.projection("attention_output", query[1:-1], queries, made))

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        return self.attention_products(shapes, self.num_query_heads, self.head_dim, self.head_dim)


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

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        query, value, key = shapes[0], shapes[1], shapes[-1]
        keys = value[1] if key[1] is None else key[1]
        pairs = product((query[1], keys))
        if pairs is None:
            return None
        roles, last = [weight.role for weight in self.weights(*shapes)], len(shapes) - 1
        weighed = make_product(2 * pairs * known(value[2], self, "the features"), [0, last, *roles], [1])
        if getattr(self, "score_mode", None) != "dot":  # the others add and sum, which is no product
            return (weighed,)
        return make_product(2 * pairs * known(key[2], self, "the features"), [0, *roles], [last]), weighed

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError for an argument of the call that the layer does not have, or not here."""
        check_options(self, arguments, ("use_causal_mask", "return_attention_scores"))

    def call_shape(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Shape | tuple[Shape, ...]:
        """With return_attention_scores=True the scores (B, T, S) as well."""
        output = self.compute_output_shape(*shapes)
        scores = (*shapes[0][:2], shapes[-1][1])
        return (output, scores) if arguments.get("return_attention_scores") else output

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
