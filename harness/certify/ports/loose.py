"""Modules of a user's own class, whose tensors carry no meaning but their shape."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from harness.certify.ports.assignment import Item, Option
from harness.certify.ports.rules import Fit, TorchUnit
from harness.certify.ports.transforms import Transform
from harness.errors import SpecError

Shape = tuple[int, ...]
# More tensors than this in one module are the user's to name.
MOST_TENSORS = 6
MOST_OPTIONS = 8


def loose_options(
    layer: str, roles: Mapping[str, Shape], unit: TorchUnit, taken: set[str]
) -> list[Option]:
    """The ways in which the module's free tensors hold these weights, each under a declared transform; [] if none.

    A square matrix may stand as it is or transposed: both are options, the rule of nn.Linear first.
    """
    prefix = f"{unit.path}." if unit.path else ""
    free = [name for name in unit.tensors if prefix + name not in taken]
    if not roles or len(free) < len(roles) or len(free) > MOST_TENSORS:
        return []
    layer_options: list[Fit] = []
    for order in itertools.permutations(free, len(roles)):
        ways = [_ways(shape, unit.tensors[name])
                for (_, shape), name in zip(roles.items(), order, strict=True)]
        for chosen in itertools.product(*ways):
            layer_options.append(Fit({role: ((name,), text) for role, name, text in
                                      zip(roles, order, chosen, strict=True)}))
    return [[_Named(layer, layer, unit, fit)] for fit in layer_options[:MOST_OPTIONS]]


class _Named(Item):
    """An option of one module: its text tells the tensors."""

    @property
    def text(self) -> str:
        return "; ".join(f"{role}: {pieces[0]} ({how})" for role, (pieces, how) in self.fit.roles.items())


def _ways(shape: Shape, held: Shape) -> list[str]:
    """The declared transforms under which a weight of this shape is a tensor of that one."""
    texts: Sequence[str] = ("transpose", "same")
    if len(shape) > 2:
        rank = len(shape) - 2
        texts = ("permute " + " ".join(map(str, (rank + 1, rank, *range(rank)))), "same", "heads_in", "heads_out",
                 "ravel")
    found = []
    for text in texts:
        try:
            fits = Transform.parse(text, shape).torch_shapes == (held,)
        except SpecError:
            continue
        if fits and not (text == "transpose" and len(shape) != 2):
            found.append(text)
    return found
