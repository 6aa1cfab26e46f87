"""Attention layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness import Input, Model, layers
from harness.spec.model import ModelSpec
from tests.conformance.engine import Case, Fed

ONE = ((4, 6),)
PAIR = ((4, 6), (5, 7))
TRIPLE = ((4, 6), (5, 7), (5, 3))


def _case(name: str, inputs: tuple[tuple[int | None, ...], ...] = PAIR, *, num_heads: int = 2, key_dim: int = 3,
          certified: bool = False, masked: tuple[bool, ...] = (), call: dict[str, Any] | None = None,
          kinds: tuple[str, ...] = (), **config: Any) -> Case:
    return Case(name, lambda layers: layers.MultiHeadAttention(num_heads, key_dim, **config), inputs, kinds=kinds,
                masked=masked, arguments=call or {}, certified=certified)


CAUSAL = {"use_causal_mask": True}
SCORES = {"return_attention_scores": True}
SQUARE = ((5, 6), (5, 6))  # Keras's symbolic shape of the scores is that of as many values as queries
# The third or fourth input, bool: True where a query may see a key. Among 4 x 4 rows of 2 keys, some see none.
GIVEN = {"inputs": ((4, 6), (2, 7), (4, 2)), "kinds": ("normal", "normal", "mask"),
         "call": {"attention_mask": Fed(2)}}



@dataclass(frozen=True)
class Graph(Case):
    """Attention within a model: what becomes of masks when attention took them off its inputs.

    model: the outputs from the inputs, each of which passed a Masking layer.
    """

    model: Callable[[list[Any]], list[Any]] = list

    def spec(self) -> ModelSpec:
        inputs = [Input(shape, name=f"input_{index}") for index, shape in enumerate(self.inputs)]
        feeds = [layers.Masking(name=f"masking_{index}")(tensor) for index, tensor in enumerate(inputs)]
        return Model(inputs, self.model(feeds), name="case")


def _attention(name: str) -> Any:
    return layers.MultiHeadAttention(2, 3, name=name)


def _blocks(feeds: list[Any]) -> list[Any]:
    """Two residual blocks (the second sees no mask), a pooling and a recurrent layer (which do)."""
    x = feeds[0]
    for block in range(2):
        x = layers.Add(name=f"add_{block}")([x, _attention(f"attention_{block}")(x, x)])
        x = layers.LayerNormalization(name=f"norm_{block}")(x)
    return [x, layers.GlobalAveragePooling1D(name="pooled")(x), layers.LSTM(3, name="read")(x)]


def _memory(feeds: list[Any]) -> list[Any]:
    """The same memory twice: only the first reader is masked by it. Recurrent layers give it a mask anew."""
    x, memory = feeds
    first = _attention("first")(x, memory)
    second = _attention("second")(first, memory)
    fresh = layers.GRU(4, return_sequences=True, name="fresh")(memory)
    return [second, _attention("third")(second, fresh)]


def _merges(feeds: list[Any]) -> list[Any]:
    """Merges of a tensor that lost its mask with one that did not."""
    x, y = feeds
    seen = _attention("seen")(x, x)
    outputs = []
    for number, merge in enumerate((layers.Add, layers.Multiply, layers.Maximum, layers.Concatenate)):
        merged = merge(name=f"merge_{number}")([x, seen, y])
        outputs += [_attention(f"after_{number}")(merged, merged),
                    layers.GlobalAveragePooling1D(name=f"pooled_{number}")(merged)]
    return outputs


def _graph(name: str, model: Callable[[list[Any]], list[Any]], *inputs: tuple[int, ...]) -> Case:
    return Graph(name, lambda layers: layers.MultiHeadAttention(2, 3), inputs, masked=(True,) * len(inputs),
                 model=model)


def _group(name: str, inputs: tuple[tuple[int | None, ...], ...] = ((4, 6), (5, 6)), *, heads: tuple[int, int] = (4, 2),
           certified: bool = False, masked: tuple[bool, ...] = (), call: dict[str, Any] | None = None,
           kinds: tuple[str, ...] = (), **config: Any) -> Case:
    return Case(f"group_{name}", lambda layers: layers.GroupQueryAttention(3, *heads, **config), inputs, kinds=kinds,
                masked=masked, arguments=call or {}, certified=certified)


EVEN = {"inputs": ((4, 6), (2, 6), (4, 2)), "kinds": ("normal", "normal", "mask"), "call": {"attention_mask": Fed(2)}}

GROUPS = [
    _group("even"),
    _group("key", ((4, 6), (5, 6), (5, 3))),
    _group("one_pair", heads=(3, 1)),
    _group("as_many", heads=(2, 2)),
    _group("no_bias", use_bias=False),
    _group("gate", use_gate=True),
    _group("window", ((5, 6), (5, 6)), sliding_window=2),
    _group("window_causal", ((5, 6), (5, 6)), sliding_window=2, call=CAUSAL),
    _group("flash", flash_attention=False),
    _group("regularized", kernel_regularizer="l2", bias_regularizer="l1"),
    _group("unknown_length", ((None, 6), (None, 6))),
    _group("causal", call=CAUSAL),
    _group("masked", masked=(True, True)),
    _group("masked_query", masked=(True, False)),
    _group("masked_causal", masked=(True, True), call=CAUSAL),
    _group("given_mask", **EVEN),
    _group("given_mask_masked", **EVEN, masked=(True, True)),
    _group("scores", SQUARE, call=SCORES),
    _group("scores_causal_masked", SQUARE, masked=(True, True), call={**SCORES, **CAUSAL}),
    _group("scores_dropout", SQUARE, certified=True, dropout=0.3, call=SCORES),
    _group("dropout", certified=True, dropout=0.3),
    _group("dropout_causal", certified=True, dropout=0.3, call=CAUSAL),
    _group("dropout_masked", certified=True, dropout=0.3, masked=(True, True)),
    _group("dropout_given_mask", certified=True, dropout=0.3, **EVEN),
    Case("group_head_dim", lambda layers: layers.GroupQueryAttention(head_dim=5, num_query_heads=2,
                                                                    num_key_value_heads=1), ((4, 6), (5, 6))),
]


def _plain(kind: str, name: str, inputs: tuple[tuple[int | None, ...], ...] = ((4, 6), (5, 6)), *,
           masked: tuple[bool, ...] = (), certified: bool = False, call: dict[str, Any] | None = None,
           **config: Any) -> Case:
    return Case(f"{kind}_{name}", lambda layers: getattr(layers, kind)(**config), inputs, masked=masked,
                arguments=call or {}, certified=certified)


def _every(kind: str, name: str, **config: Any) -> list[Case]:
    """One way to score under every way to call."""
    return [
        _plain(kind, name, **config),
        _plain(kind, f"{name}_key", ((4, 6), (5, 7), (5, 6)), **config),
        _plain(kind, f"{name}_causal", call=CAUSAL, **config),
        _plain(kind, f"{name}_causal_shorter", ((5, 6), (3, 6)), call=CAUSAL, **config),
        _plain(kind, f"{name}_masked", masked=(True, True), **config),
        _plain(kind, f"{name}_masked_query", masked=(True, False), **config),
        _plain(kind, f"{name}_masked_value", masked=(False, True), **config),
        _plain(kind, f"{name}_masked_key", ((4, 6), (5, 7), (5, 6)), masked=(True, True, True), **config),
        # The causal rule and the mask together hide every value from some queries.
        _plain(kind, f"{name}_masked_causal", masked=(True, True), call=CAUSAL, **config),
        _plain(kind, f"{name}_unknown_length", ((None, 6), (None, 6)), **config),
        _plain(kind, f"{name}_scores", call=SCORES, **config),
        _plain(kind, f"{name}_scores_masked", masked=(True, True), certified=True, dropout=0.3, call=SCORES, **config),
        _plain(kind, f"{name}_dropout", certified=True, dropout=0.3, **config),
        _plain(kind, f"{name}_dropout_masked", certified=True, dropout=0.3, masked=(True, True), call=CAUSAL, **config),
    ]


PLAIN = [
    *_every("Attention", "dot"), *_every("Attention", "scaled", use_scale=True),
    *_every("Attention", "concat", score_mode="concat"),
    *_every("Attention", "concat_scaled", score_mode="concat", use_scale=True),
    *_every("AdditiveAttention", "scaled"), *_every("AdditiveAttention", "plain", use_scale=False),
]


def _kinds_of_attention(feeds: list[Any]) -> list[Any]:
    """Attention that takes masks off before attention that leaves them. (`seen` is the first output because Keras
    runs the calls that most others depend on first.)"""
    x, y = feeds
    seen = _attention("takes")(x, y)
    group = layers.GroupQueryAttention(3, 2, 1, name="group")(x, y)
    plain = layers.Attention(name="plain")([x, y])
    additive = layers.AdditiveAttention(name="additive")([seen, y])
    outputs = [seen, group, plain, additive, layers.GlobalAveragePooling1D(name="pooled")(y)]
    for number, tensor in enumerate((group, plain, additive)):
        outputs += [_attention(f"after_{number}")(tensor, tensor),
                    layers.GlobalAveragePooling1D(name=f"pooled_{number}")(tensor)]
    return outputs


CASES = [
    _graph("attention_kinds", _kinds_of_attention, (5, 6), (4, 6)),
    *GROUPS,
    *PLAIN,
    _graph("attention_blocks", _blocks, (5, 6)),
    _graph("attention_memory", _memory, (4, 6), (5, 7)),
    _graph("attention_merges", _merges, (5, 6), (5, 6)),
    _case("attention"),
    _case("attention_key", TRIPLE),
    _case("attention_value_dim", TRIPLE, value_dim=5),
    _case("attention_no_bias", use_bias=False),
    _case("attention_one_head", num_heads=1, key_dim=4),
    _case("attention_output_shape", output_shape=(5,)),
    _case("attention_output_matrix", output_shape=(2, 3)),
    _case("attention_gate", use_gate=True, value_dim=2),
    _case("attention_axes", attention_axes=1),
    _case("attention_axes_all", ((2, 3, 6), (2, 3, 7))),
    _case("attention_axes_first", ((4, 2, 6), (3, 2, 7)), attention_axes=1),
    _case("attention_axes_last", ((2, 4, 6), (2, 3, 7), (2, 3, 5)), attention_axes=(-2,), value_dim=2, use_gate=True),
    _case("attention_axes_two_of_three", ((2, 3, 4, 6), (2, 5, 2, 7)), attention_axes=(2, 3), output_shape=(2, 3)),
    _case("attention_axes_outer", ((2, 3, 4, 6), (5, 3, 2, 6)), attention_axes=(1, 3), use_bias=False),
    _case("attention_axes_masked", ((4, 5, 6), (4, 3, 7)), attention_axes=2, masked=(True, True)),
    _case("attention_axes_masked_query", ((2, 4, 6), (2, 3, 7), (2, 3, 5)), attention_axes=-2, dropout=0.3,
          masked=(True, False, False), certified=True),
    _case("attention_axes_masked_same_sizes", ((3, 3, 6), (3, 3, 7)), attention_axes=1, masked=(True, True)),
    _case("attention_axes_dropout", ((4, 3, 6), (2, 3, 7)), attention_axes=(1,), certified=True, dropout=0.3),
    _case("attention_flash", flash_attention=False),
    _case("attention_window", ((5, 6), (5, 7)), sliding_window=2),
    _case("attention_window_causal", ((5, 6), (5, 7)), sliding_window=2, call=CAUSAL),
    _case("attention_regularized", kernel_regularizer="l2", bias_regularizer="l1"),
    _case("attention_unknown_length", ((None, 6), (None, 7))),
    _case("attention_causal", ((5, 6), (5, 7)), call=CAUSAL),
    _case("attention_causal_longer", ((5, 6), (3, 7)), call=CAUSAL),
    _case("attention_causal_shorter", ((3, 6), (5, 7)), call=CAUSAL),
    _case("attention_masked_query", masked=(True, False)),
    _case("attention_masked_value", masked=(False, True)),
    _case("attention_masked_key", TRIPLE, masked=(False, False, True)),
    _case("attention_masked_all", TRIPLE, masked=(True, True, True)),
    _case("attention_masked_causal", ((5, 6), (5, 7)), masked=(True, True), call=CAUSAL),
    _case("attention_given_mask", **GIVEN),
    _case("attention_given_mask_masked", **GIVEN, masked=(True, True)),
    _case("attention_given_mask_causal", **{**GIVEN, "call": {**GIVEN["call"], **CAUSAL}}),
    _case("attention_scores", SQUARE, call=SCORES),
    _case("attention_scores_masked", SQUARE, masked=(True, True), use_gate=True, call=SCORES),
    _case("attention_scores_window_causal", SQUARE, sliding_window=2, call={**SCORES, **CAUSAL}),
    _case("attention_scores_dropout", SQUARE, certified=True, dropout=0.3, call=SCORES),
    _case("attention_dropout", certified=True, dropout=0.3),
    _case("attention_dropout_causal", ((5, 6), (5, 7)), certified=True, dropout=0.3, call=CAUSAL),
    _case("attention_dropout_masked", TRIPLE, certified=True, dropout=0.3, masked=(True, True, True)),
    _case("attention_dropout_given_mask", certified=True, dropout=0.3, **GIVEN),
]
