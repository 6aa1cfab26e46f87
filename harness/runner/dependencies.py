"""Which cell needs which: a phase that starts from the other framework's checkpoint waits for its twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.backends import BACKENDS
from harness.errors import SpecError
from harness.runner.identity import shared
from harness.runner.matrix import Cell


@dataclass(frozen=True)
class Need:
    """The checkpoint that `twin` left after the phase `after`, for one of a cell's phases."""

    backend: str
    after: str
    twin: Cell


def needs(cell: Cell, cells: Sequence[Cell]) -> list[Need]:
    """The checkpoints of other cells that this one starts phases from.

    The twin is the cell of the other backend that is the same up to that phase; of several the one with the
    same recipe throughout. Raises SpecError if the matrix has none.
    """
    return _needs(cell, _Twins(cells))


class _Twins:
    """Cells by what a twin is found by; sorted through once for each index of a phase that starts from a twin."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = cells
        self._known: dict[int, dict[tuple[Any, ...], list[Cell]]] = {}

    def of(self, cell: Cell, index: int, backend: str) -> list[Cell]:
        """The cells of that backend that are the same up to the phase of that index, in their order."""
        if index not in self._known:
            known = self._known[index] = {}
            for other in self.cells:
                known.setdefault(self._key(other, index, other.backend), []).append(other)
        return list(self._known[index].get(self._key(cell, index, backend), ()))

    @staticmethod
    def _key(cell: Cell, index: int, backend: str) -> tuple[Any, ...]:
        common = shared(cell)
        return backend, cell.seed, common.digest, common.until(index)


def _needs(cell: Cell, known: _Twins) -> list[Need]:
    found = []
    phases = shared(cell).phases
    for index, phase in enumerate(phases):
        if phase.start_from not in BACKENDS or phase.start_from == cell.backend:
            continue
        twins = known.of(cell, index, phase.start_from)
        if not twins:
            raise SpecError(
                f"start_from: {phase.start_from} needs the {phase.start_from} run of {cell.title!r}, which is not part "
                "of the matrix.", where=f"phase {phase.name!r}", hint=f"Add {phase.start_from} to matrix.backend.",
            )
        twins.sort(key=lambda other: other.recipe != cell.recipe)
        found.append(Need(phase.start_from, phases[index - 1].name, twins[0]))
    return found


def ordered(cells: Sequence[Cell]) -> list[tuple[Cell, list[Need]]]:
    """The cells in their order, but each after those that it needs. Raises SpecError for a circle."""
    twins = _Twins(cells)
    wanted = {cell.id: _needs(cell, twins) for cell in cells}
    done: dict[str, Cell] = {}

    def visit(cell: Cell, path: tuple[str, ...]) -> None:
        if cell.id in path:
            raise SpecError(f"{cell.title!r} and its twin each wait for the other's checkpoint.", where="recipe.phases",
                            hint="Let only one backend start from the other.")
        if cell.id not in done:
            for need in wanted[cell.id]:
                visit(need.twin, (*path, cell.id))
            done[cell.id] = cell

    for cell in cells:
        visit(cell, ())
    return [(cell, wanted[cell.id]) for cell in done.values()]
