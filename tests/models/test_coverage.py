"""docs/coverage.md is up to date, and every experiment on it works in both frameworks, at smoke size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from harness.cli.checking import check_file
from harness.records.record import Record
from harness.runner.workers import Worker
from tests.models.coverage import EXPERIMENTS, PAGE, ROWS, page
from tests.models.coverage_smoke import SMOKES, run_smoke, smoke_experiment
from tests.models.coverage_sources import speaker

FILES = sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "python -m tests.models.coverage writes it"


def test_every_experiment_is_on_the_page_and_is_run() -> None:
    # smoke.yaml is the smallest run itself: tests/runner/test_smoke.py.
    assert {row.experiment for row in ROWS} == set(FILES) - {"smoke"}
    assert {row.experiment for row in ROWS} == {smoke.experiment for smoke in SMOKES.values()}


@pytest.mark.parametrize("name", FILES)
def test_an_experiment_says_its_question_and_has_no_mistake(name: str) -> None:
    path = EXPERIMENTS / f"{name}.yaml"
    assert path.read_text().startswith("# ")
    found = check_file(str(path))
    assert found["kind"] == "experiment"
    assert found["warnings"] == []


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Worker]]:
    with pytest.MonkeyPatch.context() as patch, Worker("tensorflow") as first, Worker("pytorch") as second:
        patch.setenv("PATH", speaker(tmp_path_factory.mktemp("speaker")))
        yield {"tensorflow": first, "pytorch": second}


@pytest.mark.frameworks
@pytest.mark.sweep
@pytest.mark.parametrize("name", SMOKES)
def test_it_works_in_both_frameworks(name: str, workers: Mapping[str, Worker], tmp_path: Path) -> None:
    records = run_smoke(smoke_experiment(SMOKES[name], tmp_path), workers, tmp_path / "results")
    assert {record.status for record in records} == {"done"}
    twins: dict[str, dict[str, Record]] = {}
    for record in records:
        labels = {axis: text for axis, text in record.cell["labels"].items() if axis != "backend"}
        twins.setdefault(str(sorted(labels.items())), {})[record.backend] = record
    for label, pair in twins.items():
        ours, theirs = pair["tensorflow"], pair["pytorch"]
        steps = min(len(ours.losses), len(theirs.losses))
        assert steps >= 2, label
        assert np.isfinite(ours.losses).all(), label
        # Where both begin with one framework's weights, the other's record has that phase alone.
        np.testing.assert_allclose(ours.losses[-steps:], theirs.losses[-steps:], rtol=2e-3, err_msg=label)
        assert set(ours.metrics) == set(theirs.metrics), label
