"""Layers with adapters. (That B is not zero here, as it is at the beginning of a training, is the engine's doing: it
draws every weight.)"""

from __future__ import annotations

from typing import Any

from tests.conformance.engine import Case, Fed


def _dense(name: str, shape: tuple[int, ...] = (6,), *, certified: bool = False, **config: Any) -> Case:
    given: dict[str, Any] = {"units": 5, "lora_rank": 2, **config}
    return Case(f"dense {name}", lambda layers: layers.LoRADense(**given), (shape,), certified=certified)


def _einsum(
    name: str, shape: tuple[int, ...] = (4, 6), equation: str = "abc,cd->abd", output: Any = (4, 5), *,
    certified: bool = False, **config: Any,
) -> Case:
    given = {"lora_rank": 2, **config}
    return Case(f"einsum {name}", lambda layers: layers.LoRAEinsumDense(equation, output, **given), (shape,),
                certified=certified)


def _embedding(name: str, **config: Any) -> Case:
    given: dict[str, Any] = {"input_dim": 5, "output_dim": 4, "lora_rank": 2, **config}
    return Case(f"embedding {name}", lambda layers: layers.LoRAEmbedding(**given), ((6,),), kinds=("ids",))


def _attention(
    name: str, inputs: tuple[tuple[int, ...], ...] = ((4, 6), (5, 7)), *, certified: bool = False,
    call: dict[str, Any] | None = None, **config: Any,
) -> Case:
    given: dict[str, Any] = {"num_heads": 2, "key_dim": 3, "lora_rank": 2, **config}
    kinds = ("normal", "normal", "mask") if len(inputs) == 3 else ()
    return Case(f"attention {name}", lambda layers: layers.LoRAMultiHeadAttention(**given), inputs, kinds=kinds,
                arguments=call or {}, certified=certified)


ALL = ["query", "key", "value", "attention_output"]
CASES = (
    _dense("plain"),
    _dense("alpha", lora_alpha=7.0),
    _dense("of steps", (3, 6), lora_rank=3, activation="relu"),
    _dense("softmax", activation="softmax", units=4),
    _dense("no bias", use_bias=False),
    _dense("regularized", kernel_regularizer="l2", bias_regularizer="l1"),
    _dense("dropout", certified=True, lora_dropout=0.4, lora_alpha=4.0),
    _dense("rank above both sizes", (3,), lora_rank=8, units=2),
    _einsum("plain"),
    _einsum("bias", bias_axes="d"),
    _einsum("alpha", lora_alpha=5.0, bias_axes="d"),
    _einsum("heads", (4, 6), "abc,cde->abde", (4, 2, 3), lora_rank=3, bias_axes="de"),
    _einsum("two axes summed", (4, 2, 3), "abcd,cde->abe", (4, 5), bias_axes="e"),
    _einsum("activation", activation="tanh", bias_axes="d"),
    _einsum("regularized", kernel_regularizer="l2", bias_axes="d", bias_regularizer="l2"),
    _einsum("dropout", certified=True, lora_dropout=0.3, lora_alpha=4.0),
    _embedding("plain"),
    _embedding("alpha", lora_alpha=6.0),
    _embedding("masks", mask_zero=True),
    _embedding("rank 1", lora_rank=1),
    _embedding("regularized", embeddings_regularizer="l2"),
    _embedding("wider", output_dim=7, lora_rank=3),
    _embedding("more ids", input_dim=9),
    _embedding("masks and alpha", mask_zero=True, lora_alpha=1.0),
    _attention("plain", flash_attention=False),
    _attention("alpha", lora_alpha=8.0, lora_projections=["query"]),
    _attention("all projections", lora_projections=ALL, lora_rank=3),
    _attention("gate", use_gate=True, lora_projections=[*ALL, "gate"]),
    _attention("output alone", lora_projections="attention_output", value_dim=5),
    _attention("sizes", num_heads=3, key_dim=2, value_dim=4, output_shape=(2, 5), lora_projections=ALL),
    _attention("no bias, causal", ((4, 6),) * 2, use_bias=False, call={"use_causal_mask": True}),
    _attention("window", ((5, 6), (5, 6)), sliding_window=2),
    _attention("given mask", ((4, 6), (2, 7), (4, 2)), call={"attention_mask": Fed(2)}),
    _attention("regularized", kernel_regularizer="l2", bias_regularizer="l2"),
    _attention("axes", ((3, 4, 6), (3, 5, 6)), attention_axes=(2,)),
    _attention("dropouts", certified=True, dropout=0.3, lora_dropout=0.4, lora_projections=ALL),
    _attention("dropout of adapters", certified=True, lora_dropout=0.5),
    _attention("dropout of scores", certified=True, dropout=0.5),
)
