"""The floating-point operations of a model, forward and of a training step, counted once for both frameworks.

Counted are matrix products and convolutions, 2 per multiply-add: what a device's peak is stated for. Not counted:
elementwise work, reductions, factorizations (inv, solve), gathers (Embedding), the optimizer, and what is done to a
weight once per step (the power iteration of SpectralNormalization).

A mask saves nothing (both frameworks compute what they then hide), and a causal mask does not halve the scores.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.spec.layers.base import Shape
from harness.spec.model import ModelSpec, Node
from harness.spec.operations import is_operation
from harness.spec.products import Product, Source


@dataclass(frozen=True)
class Work:
    """FLOPs of one batch: of the forward pass and of the gradients; step: of both."""

    forward: int
    backward: int

    @property
    def step(self) -> int:
        return self.forward + self.backward


def at_batch(spec: ModelSpec, batch: int, sizes: Mapping[str, Shape] | None = None) -> ModelSpec:
    """The model on batches of that size. sizes: by input, the rest of its shape, where the data settles what the spec
    leaves open (the steps of texts)."""
    sizes = sizes or {}
    return replace(spec, inputs=tuple(
        replace(item, shape=(batch, *sizes.get(item.name, item.shape[1:]))) for item in spec.inputs))


def training_work(
    spec: ModelSpec, batch: int = 1, *, sizes: Mapping[str, Shape] | None = None, differentiated: Collection[str] = ()
) -> Work | None:
    """The FLOPs of a batch, None where a size is not known or a product's order is the framework's own.

    The gradients are those of everything trainable: twice the forward of a product whose both operands have one, none
    for a frozen kernel, none for the input of a first layer. Frozen are the layers with trainable=False (in a phase of
    fine-tuning: those of its plan's spec). sizes: see `at_batch`. differentiated: inputs of the model whose gradient is
    wanted as well.
    """
    spec = at_batch(spec, batch, sizes)
    learning = _Learning(spec, differentiated)
    forward = backward = 0
    for node in spec.nodes:
        products = spec.layers[node.layer].call_products(spec.input_shapes(node), node.arguments)
        if products is None:
            return None
        forward += sum(product.flops for product in products)
        if node.name in learning.reached:
            backward += learning.of_call(node, products)
    return Work(forward, backward)


class _Learning:
    """Which tensors a gradient flows to. reached: the calls that the outputs depend on, by differentiable values."""

    def __init__(self, spec: ModelSpec, differentiated: Collection[str]) -> None:
        self.trained: dict[str, frozenset[str]] = {}
        for weight in spec.weights:
            if weight.trainable:
                self.trained[weight.layer] = self.trained.get(weight.layer, frozenset()) | {weight.role}
        cut = _without_gradient(spec)
        self.needing = set(differentiated)
        for node in spec.nodes:
            if self.trained.get(node.layer) or any(name in self.needing for name in node.references):
                self.needing |= {name for name in _outputs(spec, node) if name not in cut}
        self.reached: set[str] = set()
        wanted = {name for name in spec.outputs if name not in cut}
        for node in reversed(spec.nodes):
            if wanted.intersection(_outputs(spec, node)):
                self.reached.add(node.name)
                wanted |= {name for name in node.references if name not in cut}

    def of_call(self, node: Node, products: tuple[Product, ...]) -> int:
        sources: set[Source] = {number for number, name in enumerate(node.references) if name in self.needing}
        sources |= self.trained.get(node.layer, frozenset())
        return sum(product.backward(sources) for product in products)


def _outputs(spec: ModelSpec, node: Node) -> list[str]:
    """The references of what a call gives."""
    names = [node.name]
    while (name := f"{node.name}:{len(names)}") in spec.tensors:
        names.append(name)
    return names


def _without_gradient(spec: ModelSpec) -> set[str]:
    """The tensors through which no gradient flows: whole numbers and truths, and behind stop_gradient."""
    operations = {name for name, layer in spec.layers.items() if is_operation(_name_of(layer))}
    if not operations:
        return set()
    from harness.spec.operations.inference import tensor_dtypes

    dtypes = tensor_dtypes(spec)
    stopped = {name for node in spec.nodes for name in _outputs(spec, node)
               if node.layer in operations and _name_of(spec.layers[node.layer]) == "ops.stop_gradient"}
    return stopped | {name for name, dtype in dtypes.items() if not dtype.startswith("float")}


def _name_of(layer: Any) -> str:
    return str(type(layer).canonical_name())
