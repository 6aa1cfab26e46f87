"""The matrix products of the cells of recurrent layers, and which gradients they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from harness.spec.products import Product, Source, make_product

if TYPE_CHECKING:
    from harness.spec.layers.cells import Gates


def cell_products(
    cells: Sequence[Gates], features: int, numbered: bool, states: Iterable[int], steps: int
) -> tuple[Product, ...]:
    """The products of one example's steps. states: the tensors that the first step's state comes from, none for zeros,
    whose gradient nobody needs."""
    found: list[Product] = []
    sources: set[Source] = {0}
    first = frozenset(states)
    for place, cell in enumerate(cells):
        prefix = f"{place}/" if numbered else ""
        kernel, recurrent = f"{prefix}kernel", f"{prefix}recurrent_kernel"
        width = 2 * cell.gates * cell.units
        found.append(make_product(width * features * steps, sources, [kernel]))
        sources |= {kernel, recurrent, f"{prefix}bias", *first}
        # A GRU that resets before it multiplies has a gate in front of its third product, even of a state of zeros.
        gated = 0 if getattr(cell, "reset_after", True) else width // cell.gates
        found.append(make_product((width - gated) * cell.units, first, [recurrent]))
        found.append(make_product((width * (steps - 1) + gated) * cell.units, sources, [recurrent]))
        features = cell.units
    return tuple(found)
