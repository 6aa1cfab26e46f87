"""What the attentions with projections share: calls on (query, value, key), their options, the projections.

Shape letters: B batch, T query steps, S key and value steps, N heads, K key size, V value size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import field_validator

from harness.errors import SpecError, did_you_mean
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, check_bias_place, known, product, require_rank
from harness.spec.products import Products, Source, make_product

CALL_OPTIONS = ("attention_mask", "use_causal_mask", "return_attention_scores")


class Projected(Layer):
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

    def query_value_key(self, shapes: tuple[Shape, ...]) -> tuple[Shape, Shape, Shape]:
        if len(shapes) not in (2, 3):
            raise SpecError(f"{type(self).__name__} is called on query, value and perhaps key, got {len(shapes)} "
                            "tensor(s).", hint="Self-attention is written layer(x, x).")
        query, value, key = shapes[0], shapes[1], shapes[-1]
        for shape in (query, value, key):
            require_rank(self, shape, self.rank(query), "(batch, steps, features)")
            known(shape[-1], self, "the last dimension")
        for there, here in zip(value[1:-1], key[1:-1], strict=True):
            if None not in (there, here) and there != here:
                raise SpecError(f"{type(self).__name__} needs as many keys as values, got {here} and {there} steps.")
        return query, value, key

    @property
    def query_heads(self) -> int:
        """The number of heads of the queries."""
        raise NotImplementedError

    def rank(self, query: Shape) -> int:
        """How many dimensions a tensor has, for that of a query."""
        return 3

    def projection(
        self, role: str, steps: Shape, inputs: tuple[int, ...], outputs: tuple[int, ...]
    ) -> list[Weight]:
        # EinsumDense gives its initializer the axes that are summed and those that are made (einsum_dense.py).
        a: Any = self
        fans = (float(math.prod(inputs)), float(math.prod(outputs)))
        weights = [Weight(f"{role}/kernel", (*inputs, *outputs), a.kernel_initializer,
                          regularizer=a.kernel_regularizer, constraint=a.kernel_constraint, fans=fans)]
        if a.use_bias:
            check_bias_place(self, (None, *steps, *outputs), outputs)
            weights.append(Weight(f"{role}/bias", outputs, a.bias_initializer, regularizer=a.bias_regularizer,
                                  constraint=a.bias_constraint))
        return weights

    def attention_products(self, shapes: tuple[Shape, ...], heads: int, key_size: int, value_size: int) -> Products:
        """Projections, scores and their products with the values; sizes: of one head."""
        query, value, key = self.query_value_key(shapes)
        steps, keys = product(query[1:-1]), product(value[1:-1])
        keys = product(key[1:-1]) if keys is None else keys
        apart = product(self.apart(query))  # what does not attend to one another counts once
        if steps is None or keys is None or apart is None:
            return None
        # The projections' sources: the tensor that each reads, its kernel, its bias.
        read = {"query": 0, "value": 1, "key": len(shapes) - 1, "gate": 0}
        sources: dict[str, set[Source]] = {
            role: {tensor, f"{role}/kernel", f"{role}/bias"} for role, tensor in read.items()}
        scores = sources["query"] | sources["key"]
        heads_out = scores | sources["value"] | sources["gate"]
        found = []
        for weight in self.weights(*shapes):
            role, _, kind = weight.role.rpartition("/")
            if kind == "kernel":
                left = heads_out if role == "attention_output" else {read[role]}
                found.append(make_product(2 * weight.size * (keys if role in ("key", "value") else steps), left,
                                          [weight.role]))
        pairs = 2 * (steps * keys // apart) * heads
        return (*found, make_product(pairs * key_size, sources["query"], sources["key"]),
                make_product(pairs * value_size, scores, sources["value"]))

    def apart(self, query: Shape) -> Shape:
        """The sizes between batch and features over which there is no attention."""
        return ()

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError for an argument of the call that the layer does not have, or not here."""
        check_options(self, arguments, CALL_OPTIONS)

    def call_shape(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Shape | tuple[Shape, ...]:
        """With return_attention_scores=True the scores (B, N, T, S) as well."""
        output: Any = self.compute_output_shape(*shapes)
        scores = (shapes[0][0], self.query_heads, shapes[0][1], shapes[-1][1])
        found: Shape | tuple[Shape, ...] = (output, scores) if arguments.get("return_attention_scores") else output
        return found

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        given = {name: value for name, value in arguments.items() if value is not None and value is not False}
        self.check_call({name: value for name, value in given.items() if name not in self.call_arguments})
        return super().__call__(*inputs, **given)


def check_options(layer: Layer, arguments: Mapping[str, Any], known_options: tuple[str, ...]) -> None:
    """Raises SpecError for an argument of the call that the layer does not have, or not here."""
    kind = type(layer).__name__
    for name, value in arguments.items():
        if name not in known_options:
            raise SpecError(f"a call of {kind} has no argument {name!r}.", hint=did_you_mean(name, known_options))
        if name in ("use_causal_mask", "return_attention_scores") and not isinstance(value, bool):
            raise SpecError(f"{name} is True or False, got {value!r}.")
