"""Layers with low-rank adapters in Keras: x @ W + scale * dropout(x) @ A @ B, W frozen.

Keras's own `enable_lora` computes W + scale * A @ B first, which is the same; it has no dropout, makes A and B float32
in float64 models too, and Dense and Embedding lose the `lora_alpha` of their constructor (keras/src/layers/core).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from harness.backends.tensorflow.layers.attention import KeyedMultiHeadAttention
from harness.backends.tensorflow.layers.stock import arguments
from harness.backends.tensorflow.randomness import Keys, keep_mask
from harness.spec.layers import lora as spec
from harness.spec.layers.base import Layer
from harness.spec.lora import ARGUMENTS

# Projections of an attention -> Keras's attributes.
PARTS = {"query": "_query_dense", "key": "_key_dense", "value": "_value_dense", "gate": "_gate_dense",
         "attention_output": "_output_dense"}


class Adapter(NamedTuple):
    """rank: of A @ B; scale: what it is multiplied by; rate: of the dropout of what A reads."""

    rank: int
    scale: float
    rate: float = 0.0


class CallKeys(Keys):
    """The tape's keys inside one call, which draws several masks: they share the call's key."""

    def __init__(self, keys: Keys, name: str) -> None:
        super().__init__()
        self.keys, self.name = keys, name

    def begin(self) -> None:
        """A call begins."""
        self.start(self.keys.take(self.name))

    def take(self, layer: str) -> tf.Tensor:
        """The key of the call."""
        return self.current


def add_pair(
    layer: Any, role: str, first: tuple[int, ...], second: tuple[int, ...], regularizer: Any, keys: Any = None,
) -> None:
    """Freezes what the layer has and adds A and B, as `lora_a` and `lora_b`. Their first values are the plan's."""
    for variable in layer.weights:
        variable.trainable = False
    layer._tracker.unlock()
    layer.lora_a = layer.add_weight(name=f"{role}_a", shape=first, initializer="zeros", regularizer=regularizer)
    layer.lora_b = layer.add_weight(name=f"{role}_b", shape=second, initializer="zeros", regularizer=regularizer)
    layer.keys = keys
    # What Keras draws from where there is no tape.
    layer.seeds = keras.random.SeedGenerator() if layer.adapter.rate and keys is None else None
    layer._tracker.lock()
    for variable in (layer.lora_a, layer.lora_b):
        variable.trainable = layer.trainable


def dropped(layer: Any, x: tf.Tensor, rate: float, training: bool, stream: int = 0) -> tf.Tensor:
    """x through the adapter's dropout. layer.keys: the tape's; without them Keras's own generator draws."""
    if not training or rate == 0:
        return x
    if layer.keys is None:
        return keras.random.dropout(x, rate, seed=layer.seeds)
    keep = keep_mask(layer.keys.take(layer.name), tf.shape(x), rate, stream)
    return tf.where(keep, x * tf.constant(1.0 / (1.0 - rate), x.dtype), tf.zeros((), x.dtype))


class LoRADense(keras.layers.Dense):
    """keras.layers.Dense with an adapter beside its kernel."""

    def __init__(self, *args: Any, adapter: Adapter, keys: Keys | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.adapter, self.keys = adapter, keys

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        rank = self.adapter.rank
        add_pair(self, "lora_kernel", (input_shape[-1], rank), (rank, self.units), self.kernel_regularizer, self.keys)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        a, b = self.lora_a, self.lora_b
        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        read = dropped(self, inputs, self.adapter.rate, bool(training))
        x = x + ops.matmul(ops.matmul(read, a), b) * self.adapter.scale
        return x if self.activation is None else self.activation(x)


class LoRAEinsumDense(keras.layers.EinsumDense):
    """keras.layers.EinsumDense with an adapter beside its kernel."""

    def __init__(self, *args: Any, adapter: Adapter, keys: Keys | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.adapter, self.keys = adapter, keys

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        *others, outputs = self._kernel.shape
        rank = self.adapter.rank
        add_pair(self, "lora_kernel", (*others, rank), (rank, outputs), self.kernel_regularizer, self.keys)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        a, b = self.lora_a, self.lora_b
        added = ops.matmul(a, b) * self.adapter.scale
        if training and self.adapter.rate:
            read = dropped(self, inputs, self.adapter.rate, True)
            x = ops.einsum(self.equation, inputs, self.kernel) + ops.einsum(self.equation, read, added)
        else:
            x = ops.einsum(self.equation, inputs, self.kernel + added)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)


class LoRAEmbedding(keras.layers.Embedding):
    """keras.layers.Embedding with an adapter: the rows of A for the ids, times B."""

    def __init__(self, *args: Any, adapter: Adapter, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.adapter = adapter

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        rank = self.adapter.rank
        add_pair(self, "lora_embeddings", (self.input_dim, rank), (rank, self.output_dim), self.embeddings_regularizer)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        a, b = self.lora_a, self.lora_b
        ids = ops.cast(inputs, "int32") if inputs.dtype not in ("int32", "int64") else inputs
        return super().call(ids) + ops.matmul(ops.take(a, ids, axis=0), b) * self.adapter.scale


class LoRAProjection(keras.layers.EinsumDense):
    """A projection of an attention with an adapter; made from the one that Keras built, by `adapt`."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        a, b = self.lora_a, self.lora_b
        x = ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        read = dropped(self, inputs, self.adapter.rate, bool(training), self.stream)
        x = x + ops.tensordot(ops.tensordot(read, a, axes=len(a.shape) - 1), b, axes=1) * self.adapter.scale
        return x if self.activation is None else self.activation(x)


class LoRAMultiHeadAttention(KeyedMultiHeadAttention):
    """keras.layers.MultiHeadAttention, some of whose projections have adapters."""

    keys: Any

    def __init__(
        self, *args: Any, adapter: Adapter, projections: tuple[str, ...], keys: Any = None, **kwargs: Any,
    ) -> None:
        super().__init__(*args, keys=keys, **kwargs)
        self.adapter, self.projections = adapter, projections
        # One key for the mask of the scores and those of the adapters.
        self.keys = None if keys is None else CallKeys(keys, self.name)

    def _build_attention(self, rank: int) -> None:
        if self.keys is not None:
            super()._build_attention(rank)
        else:
            keras.layers.MultiHeadAttention._build_attention(self, rank)

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        super().build(query_shape, value_shape, key_shape)
        for variable in self.weights:
            variable.trainable = False
        for projection in self.projections:
            self._adapt(getattr(self, PARTS[projection]), projection)

    def _adapt(self, part: Any, projection: str) -> None:
        # Keras makes its projections itself and leaves no place to put others: they change their class when built.
        part.__class__ = LoRAProjection
        part.adapter, part.stream = self.adapter, 1 + spec.PROJECTIONS.index(projection)
        shape, rank = tuple(part._kernel.shape), self.adapter.rank
        inputs = 2 if projection == "attention_output" else 1
        part.trainable = self.trainable
        add_pair(part, "lora_kernel", (*shape[:inputs], rank), (rank, *shape[inputs:]), part.kernel_regularizer,
                 self.keys)

    # Keras finds out from the signature which masks a call takes.
    def call(
        self, query: Any, value: Any, key: Any = None, query_mask: Any = None, value_mask: Any = None,
        key_mask: Any = None, attention_mask: Any = None, return_attention_scores: bool = False,
        training: bool | None = None, use_causal_mask: bool = False,
    ) -> Any:
        if self.keys is not None and training:
            self.keys.begin()
        return super().call(
            query, value, key, query_mask, value_mask, key_mask, attention_mask, return_attention_scores, training,
            use_causal_mask)


def _own(layer: Layer) -> dict[str, Any]:
    """The arguments of the Keras class that the layer with adapters is made from."""
    return {key: value for key, value in arguments(layer).items() if key not in ARGUMENTS}


def _adapter(layer: spec.LowRank) -> Adapter:
    return Adapter(layer.lora_rank, layer.lora_scale, layer.lora_dropout)


def _builder(keras_class: Callable[..., keras.layers.Layer]) -> Callable[..., keras.layers.Layer]:
    def build(layer: spec.LowRank, *keyed: bool, **common: Any) -> keras.layers.Layer:
        trainable = common.pop("trainable", True)
        built = keras_class(**_own(layer), adapter=_adapter(layer), **common)
        built.trainable = trainable
        return built

    return build


def _attention(layer: spec.LoRAMultiHeadAttention, *keyed: bool, **common: Any) -> keras.layers.Layer:
    trainable = common.pop("trainable", True)
    built = LoRAMultiHeadAttention(
        **_own(layer), adapter=_adapter(layer), projections=layer.lora_projections, **common)
    built.trainable = trainable
    return built


# Layers that Keras does not have: with the tape's random numbers (common holds its keys) and without them.
KEYED = {
    spec.LoRADense: _builder(LoRADense),
    spec.LoRAEinsumDense: _builder(LoRAEinsumDense),
    spec.LoRAMultiHeadAttention: _attention,
}
REPLACED = {**KEYED, spec.LoRAEmbedding: _builder(LoRAEmbedding)}
