"""A fit's certificate, made before the fit where HARNESS_CERTIFY=1 asks for it: without one its verdict is withheld."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from harness.keras.weights import canonical, half_of, halves
from harness.records.store import Store
from harness.runner.certificates import certify_cells, due
from harness.runner.workers import worker

if TYPE_CHECKING:
    from harness.certify.certificate import Certificate
    from harness.keras.fitting import Fit
    from harness.runner.certificates import OnEvent
    from harness.runner.matrix import Cell

CERTIFY = "HARNESS_CERTIFY"


def certify_fit(job: Fit) -> None:
    """Certifies the training that a fit is about to play, in the fit's own workers, if it is asked for and its store
    has no certificate yet. The first weights are the model's; an optimizer that was used before begins anew."""
    if os.environ.get(CERTIFY) != "1" or set(halves()) != {"tensorflow", "pytorch"}:
        return

    def certifier(cell: Cell, tell: OnEvent) -> Certificate:
        from harness.runner.certify import certify

        return certify(job.spec, job.recipe, job.dataset, execution=job.execution, seed=job.seed,
                       weights=canonical(job.model, half_of(None)), workers={half: worker(half) for half in halves()})

    store = Store(job.folder)
    certify_cells(due([job.cell(half) for half in halves()], store), store, certifier, _silent)


def _silent(event: dict[str, Any]) -> None:
    """A fit's own progress is Keras's."""
