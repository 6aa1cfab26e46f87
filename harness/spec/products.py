"""What costs time in a call: its matrix products and convolutions, and which gradients each of them needs.

A product of two operands takes its own number of operations forward. Backward it takes as many again for the gradient
of each operand that something trainable stands behind: of both as a rule, which is "twice the forward", of one in a
first layer (nothing trains in front of it) and in a frozen one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

# What an operand comes from: the number of a tensor that the call reads (`Node.references`), or the role of a weight.
Source = int | str


@dataclass(frozen=True)
class Product:
    """One matrix product or convolution.

    flops: its floating-point operations, 2 per multiply-add. left, right: what its operands come from.
    """

    flops: int
    left: frozenset[Source]
    right: frozenset[Source]

    def times(self, count: int) -> Product:
        """As many of them."""
        return replace(self, flops=self.flops * count)

    def backward(self, trained: Iterable[Source]) -> int:
        """The operations of the gradients; trained: the sources that need a gradient."""
        trained = frozenset(trained)
        return self.flops * (bool(self.left & trained) + bool(self.right & trained))


# None: some size is not known before training.
Products = tuple[Product, ...] | None


def make_product(flops: int, left: Iterable[Source], right: Iterable[Source]) -> Product:
    """A product from any collections of sources."""
    return Product(flops, frozenset(left), frozenset(right))


def total(products: Products) -> int | None:
    """The operations of all of them, forward."""
    return None if products is None else sum(item.flops for item in products)


def repeated(products: Products, count: int | None) -> Products:
    """Each of them `count` times."""
    if products == ():
        return ()
    return None if products is None or count is None else tuple(item.times(count) for item in products)


def of_part(products: Products, prefix: str) -> Products:
    """The products of a layer inside another, under the roles that its weights have there."""
    def renamed(sources: frozenset[Source]) -> frozenset[Source]:
        return frozenset(prefix + item if isinstance(item, str) else item for item in sources)

    return None if products is None else tuple(
        Product(item.flops, renamed(item.left), renamed(item.right)) for item in products)
