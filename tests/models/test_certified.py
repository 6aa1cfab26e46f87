"""Both frameworks train every model of the library in the same way: the certificate's rungs up to the trajectories.

In float64 (harness/certify). R4, the float32 program that is timed, is left to `harness certify`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from harness import load_model
from harness.certify.certificate import NOT_CERTIFIED
from harness.runner.certify import both_workers, certify
from harness.runner.workers import Worker
from tests.models.small import SMALL, Small

RUNGS = ("R0", "R1", "R2", "R3")
STEPS = 12
pytestmark = [pytest.mark.frameworks, pytest.mark.sweep]


@pytest.fixture(scope="module")
def workers() -> Iterator[Mapping[str, Worker]]:
    with both_workers() as made:
        yield made


def found(case: Small, workers: Mapping[str, Worker]) -> str:
    model = load_model(case.model, **case.parameters)
    certificate = certify(model, case.recipe, case.data(np.random.default_rng(0)), steps=STEPS, workers=workers,
                          rungs=RUNGS)
    (phase,) = certificate.phases
    assert [(rung.name, rung.status) for rung in phase.rungs] == [(name, "passed") for name in RUNGS], \
        certificate.sentence
    assert all(rung.checked for rung in phase.rungs)
    assert certificate.finding is None
    return certificate.label


@pytest.mark.parametrize("name", SMALL)
def test_both_frameworks_train_it_alike(name: str, workers: Mapping[str, Worker]) -> None:
    assert found(SMALL[name], workers) == NOT_CERTIFIED  # R4 was not run
