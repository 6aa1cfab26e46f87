"""What is said of a winner that is not proven better by the margin is said in the same words everywhere."""

from __future__ import annotations

import math

import pytest

from harness.analysis.verdict import which
from harness.records.blocks import write_block
from harness.records.store import Store
from harness.report.content import _badges
from harness.report.tables import answers
from tests.report.synthetic import block, pairs, payload

# Log ratios of six blocks: beyond the margin beyond doubt; in the shown interval alone; not even there.
MODELS = {"cnn": (0.30, 0.005), "mlp": (0.06, 0.014), "rnn": (0.030, 0.01)}
WAVE = (-1.0, 1.0, -1.0, 1.0, -1.0, 1.0)
PROVEN, OPEN, SMALL = "PyTorch faster", "PyTorch faster, at least 3% not proven yet", "PyTorch faster, may not matter"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    store = pairs(tmp_path_factory.mktemp("words") / "store", models=tuple(MODELS), seeds=5, blocks=0)
    for model, (mean, spread) in MODELS.items():
        for number, wave in enumerate(WAVE):
            # `block` lets PyTorch's speed go up and down by a quarter of a percent.
            log = mean + spread * wave - 0.0025 * (-1) ** number
            speeds = {"tensorflow": 1000.0, "pytorch": 1000.0 * math.exp(log)}
            write_block(store.path, block(payload(model), number, speeds))
    return store


def test_each_comparison(store):
    found = {c.setting.model: c.primary for c in which(store).comparisons}
    assert {model: (first.outcome, first.doubt) for model, first in found.items()} == {
        "cnn": ("better", ""), "mlp": ("may not matter", "at least 3% not proven yet"),
        "rnn": ("may not matter", "may not matter")}
    for model, first in found.items():
        assert first.doubt in first.sentence, model
    assert "may not matter" not in found["mlp"].sentence
    assert found["mlp"].to_data()["doubt"] == "at least 3% not proven yet"
    assert found["cnn"].to_data()["doubt"] is None


def test_the_counts_over_all_settings(store):
    verdict = which(store)
    assert verdict.sentence.startswith(
        "Of 3 comparisons on x86_64-test-2c: PyTorch faster in 1 (1.35 times), PyTorch faster, at least 3% not proven "
        "yet, in 1 (1.06 times), PyTorch faster, may not matter, in 1 (1.03 times); tuned, of 3 comparisons: ")
    (summary,) = verdict.summaries
    assert summary.matrix.sentence.startswith(
        "of 3 comparisons: PyTorch faster in 1, PyTorch faster, at least 3% not proven yet, in 1, PyTorch faster, may "
        "not matter, in 1 (after Holm); geometric mean")
    assert [place.to_data()["doubt"] for place in summary.matrix.places] == [
        None, "at least 3% not proven yet", "may not matter"]


def test_badges_and_tables(store):
    verdict = which(store)
    assert dict(_badges(verdict))["Speed?"] == "; ".join((PROVEN, OPEN, SMALL))
    assert [row[3] for row in answers(verdict).rows] == [PROVEN, OPEN, SMALL]
    (said,) = (line for line in str(verdict).splitlines() if line.startswith("- mlp"))
    assert "at least 3% not proven yet" in said
    assert "may not matter" not in said
