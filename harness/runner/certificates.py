"""Before a matrix is timed: a certificate for every distinct model, recipe, data and program that both backends run.

    <out>/certificates/<key>.json   harness/records/certificates.py

Certifying never ends a run: what goes wrong becomes a certificate "not certified: why".
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.certify.certificate import DIFFERENT, NOT_CERTIFIED, Certificate
from harness.errors import HarnessError
from harness.plan.finetune import model_of_phase
from harness.records.certificates import read_certificates, write_certificate
from harness.records.store import Store
from harness.runner.cell import now
from harness.runner.identity import certificate_of
from harness.runner.matrix import Cell

OnEvent = Callable[[dict[str, Any]], None]
# A cell and where events go -> its certificate.
Certifier = Callable[[Cell, OnEvent], Certificate]
BACKENDS = ("tensorflow", "pytorch")
OWN_RANDOMNESS = "the idiomatic tier draws its own random numbers"


@dataclass(frozen=True)
class Due:
    """A certificate that is missing: its key, one of the cells that it covers, and how many it covers."""

    key: str
    cell: Cell
    cells: int

    @property
    def title(self) -> str:
        """The cell's without backend and seed."""
        return self.cell.title.replace(f", {self.cell.backend}", "").removesuffix(f", seed {self.cell.seed}")


def due(cells: Sequence[Cell], store: Store, again: bool = False) -> list[Due]:
    """What is to be certified, in the order of the cells. again: also what could not be certified before."""
    known = read_certificates(store.path)
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        key = certificate_of(cell)
        if key is not None:
            groups.setdefault(key, []).append(cell)
    return [
        Due(key, min(group, key=lambda cell: cell.seed), len(group)) for key, group in groups.items()
        if set(BACKENDS) <= {cell.backend for cell in group}
        and (key not in known or (again and known[key]["label"] == NOT_CERTIFIED))
    ]


def certify_cells(missing: Sequence[Due], store: Store, certifier: Certifier, tell: OnEvent) -> None:
    """Makes and writes the certificates, one after the other."""
    for index, item in enumerate(missing):
        began = time.monotonic()
        place = {"key": item.key, "title": item.title, "index": index + 1, "of": len(missing)}
        tell({"event": "certifying", **place})
        made = replace(certificate_of_cell(item.cell, certifier, tell), key=item.key)
        write_certificate(store.path, item.key, {**made.to_data(), "made_at": now()})
        tell({"event": "certified", **place, "label": made.label, "sentence": made.sentence,
              "seconds": time.monotonic() - began})


def certificate_of_cell(cell: Cell, certifier: Certifier, tell: OnEvent) -> Certificate:
    """What the certifier makes of a cell; what goes wrong becomes a certificate too."""
    try:
        made = certifier(cell, tell)
    except HarnessError as error:
        return not_certified(cell, str(error))
    except Exception as error:  # whatever breaks here, the cells can still be run
        return not_certified(cell, f"certifying broke: {type(error).__name__}: {error}")
    if made.label != DIFFERENT and _draws_its_own(cell):
        # The rungs up to R3 were played from the tape; the program that is timed does not use it.
        return replace(made, label=NOT_CERTIFIED, reason=OWN_RANDOMNESS)
    return made


def not_certified(cell: Cell, reason: str) -> Certificate:
    """The certificate of what could not be certified."""
    execution = cell.execution
    subject = {"model": cell.model.name, "digest": cell.model.digest, "parameters": cell.model.parameters,
               "data": cell.data.name, "seed": cell.seed,
               "execution": {"precision": execution.precision, "tier": execution.tier, "compile": execution.compile}}
    return Certificate(NOT_CERTIFIED, (BACKENDS[0], BACKENDS[1]), subject, (), reason=" ".join(reason.split()))


def _draws_its_own(cell: Cell) -> bool:
    """Whether masks and noise of this cell come from each framework's own generator."""
    if cell.execution.uses_tape:
        return False
    spec = cell.model
    for phase in cell.recipe.resolved_phases():
        spec = model_of_phase(spec, phase)
        if any(layer.stochastic for layer in spec.layers.values()):
            return True
    return False


@contextlib.contextmanager
def real_certifier(steps: int | None = None) -> Any:
    """The ladder R0 to R4 of harness.runner.certify, its workers shared by all certificates of a run."""
    from harness.runner.certify import STEPS, both_workers, certify

    with both_workers() as workers:
        def certifier(cell: Cell, tell: OnEvent) -> Certificate:
            return certify(cell.model, cell.recipe, cell.data, execution=cell.execution, seed=cell.seed,
                           steps=steps or STEPS, on_event=tell, workers=workers, folder=cell.folder)

        yield certifier
