"""Which cell needs which: a phase that starts from the other framework's checkpoint waits for its twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.backends import BACKENDS
from harness.errors import SpecError
from harness.runner.matrix import Cell, content_hash
from harness.spec.explicit import explicit


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
    found = []
    phases = cell.recipe.resolved_phases()
    for index, phase in enumerate(phases):
        if phase.start_from not in BACKENDS or phase.start_from == cell.backend:
            continue
        before = _until(cell, index)
        twins = [
            other for other in cells
            if other.backend == phase.start_from and other.content == cell.content and _until(other, index) == before
        ]
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
    wanted = {cell.id: needs(cell, cells) for cell in cells}
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


def _until(cell: Cell, index: int) -> str:
    """What was trained before the phase of that index."""
    return content_hash([explicit(phase) for phase in cell.recipe.resolved_phases()[:index]])
