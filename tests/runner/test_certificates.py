"""What a run certifies before it times, with a stand-in that certifies without a framework."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest

from harness.certify.certificate import DIFFERENT, SAME_TO_ROUNDING
from harness.cli.progress import PlainLines, cell_line
from harness.errors import SpecError
from harness.records.certificates import certificate_key, read_certificates
from harness.report.results import Results
from harness.runner.check import check
from harness.runner.driver import Settings, execute
from harness.spec.experiment import Experiment
from tests.certify.made_up import certificate

DROPOUT = {"name": "d", "inputs": [{"shape": [8]}],
           "layers": [{"Dense": {"units": 4}}, {"Dropout": {"rate": 0.5}}, {"Dense": {"units": 10}}]}


class StandIn:
    """Counts what it is asked for; answers with a certificate or raises."""

    def __init__(self, answer=SAME_TO_ROUNDING):
        self.answer, self.asked, self.opened = answer, [], 0

    @contextlib.contextmanager
    def open(self):
        self.opened += 1
        yield self

    def __call__(self, cell, tell):
        self.asked.append(cell)
        tell({"event": "certified_rung", "phase": "pretrain", "rung": "R0", "status": "passed"})
        if isinstance(self.answer, Exception):
            raise self.answer
        return certificate(self.answer, cell.model.name)


@pytest.fixture(autouse=True)
def _data(tmp_path):
    chance = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=chance.normal(size=(120, 8)).astype("float32"), y=np.arange(120) % 10)


def go(tmp_path, stand_in, retry_failed=False, **given):
    """Runs an experiment with fake cells; returns its events."""
    model = {} if "model" in given.get("matrix", {}) else {"model": "mlp_64_64"}
    experiment = Experiment.parse({**model, "data": "data.npz", **given}, folder=tmp_path)
    settings = Settings(function="tests.runner.jobs:fake_cell", backend_of=lambda cell: "none", lock=tmp_path / "lock",
                        retry_failed=retry_failed, certifier=None if stand_in is None else stand_in.open)
    events = []
    execute(experiment, check(experiment), tmp_path / "store", events.append, settings)
    return events


def proofs(tmp_path):
    """The sentence of each comparison's certification."""
    return [found.certification.sentence for found in Results.open(tmp_path / "store").which().comparisons]


def test_each_distinct_training_is_certified_once_and_before_any_cell(tmp_path):
    stand_in = StandIn()
    matrix = {"model": ["mlp_64_64", "mlp_128_64"], "batch_size": [8, 16], "seed": [1, 0]}
    events = go(tmp_path, stand_in, matrix=matrix)
    names = [event["event"] for event in events]
    assert names.count("certifying") == names.count("certified") == len(stand_in.asked) == 4
    assert max(i for i, name in enumerate(names) if name == "certified") < names.index("cell_started")
    assert {(cell.model.name, cell.recipe.batch_size, cell.seed) for cell in stand_in.asked} == {
        (model, size, 0) for model in ("mlp_64_64", "mlp_128_64") for size in (8, 16)}
    assert "tensorflow" not in next(event for event in events if event["event"] == "certifying")["title"]
    found = read_certificates(tmp_path / "store")
    records = Results.open(tmp_path / "store").records()
    assert len(records) == 16
    assert {certificate_key(record.cell) for record in records} == set(found)
    assert all(data["made_at"] for data in found.values())
    assert proofs(tmp_path) == ["same to rounding"] * 4

    again = StandIn()
    assert [event["event"] for event in go(tmp_path, again, matrix=matrix)] == ["plan"]
    assert again.opened == 0
    # More seeds need no further certificate, another recipe does.
    go(tmp_path, again, matrix={"model": ["mlp_64_64"], "batch_size": [8, 32], "seed": [0, 1, 2]})
    assert [cell.recipe.batch_size for cell in again.asked] == [32]


@pytest.mark.parametrize(("error", "reason"), [
    (SpecError("no backend can do this.", where="layer 'x'"), "not certified: layer 'x': no backend can do this."),
    (ZeroDivisionError("division\nby zero"), "not certified: certifying broke: ZeroDivisionError: division by zero"),
])
def test_a_failure_of_certifying_is_a_result(tmp_path, error, reason):
    events = go(tmp_path, StandIn(error))
    assert [event["sentence"] for event in events if event["event"] == "certified"] == [reason]
    assert [event["status"] for event in events if event["event"] == "cell_finished"] == ["done"] * 2
    assert proofs(tmp_path) == [reason]
    # It is not tried again, unless what failed is to be tried again.
    later = StandIn()
    assert [event["event"] for event in go(tmp_path, later)] == ["plan"]
    go(tmp_path, later, retry_failed=True)
    assert len(later.asked) == 1
    assert proofs(tmp_path) == ["same to rounding"]


def test_a_difference_is_kept_and_not_tried_again(tmp_path):
    go(tmp_path, StandIn(DIFFERENT))
    later = StandIn()
    go(tmp_path, later, retry_failed=True)
    assert later.asked == []
    assert proofs(tmp_path)[0].startswith("different: step 1")


def test_what_has_no_partner_or_is_switched_off_is_left(tmp_path):
    alone = StandIn()
    go(tmp_path, alone, backend=["pytorch"])
    assert alone.opened == 0
    assert not any(event["event"] == "certifying" for event in go(tmp_path, None, seed=[1]))
    assert proofs(tmp_path) == ["not certified: there is no certificate beside these runs"]
    # A run that is finished is certified when it is asked for later.
    later = StandIn()
    events = go(tmp_path, later, seed=[1])
    assert [event["event"] for event in events] == ["plan", "certifying", "certified_rung", "certified"]
    assert proofs(tmp_path) == ["same to rounding"]


def test_own_random_numbers_cannot_be_certified(tmp_path):
    stand_in = StandIn()
    go(tmp_path, stand_in, matrix={"model": [DROPOUT, "mlp_64_64"], "tier": ["tuned", "idiomatic"]})
    assert len(stand_in.asked) == 4
    found = [data for data in read_certificates(tmp_path / "store").values() if data["label"] == "not certified"]
    assert [data["subject"]["model"] for data in found] == ["d"]
    assert found[0]["reason"] == "the idiomatic tier draws its own random numbers"
    assert found[0]["phases"][0]["rungs"][3]["status"] == "passed"  # R3 plays the tape in both


def test_certify_is_a_key_of_the_experiment():
    given = {"model": "mlp_64_64", "data": "digits"}
    assert Experiment.parse(given).certify
    off = Experiment.parse({**given, "certify": False})
    assert not off.certify
    assert not Experiment.parse(off.to_data()).certify
    with pytest.raises(SpecError, match="'certify' is true or false"):
        Experiment.parse({**given, "certify": "no"})


def test_progress_shows_it(capsys):
    import io

    lines = PlainLines(io.StringIO())
    lines({"event": "certifying", "key": "k", "title": "mlp, tuned", "index": 1, "of": 2})
    lines({"event": "certified_rung", "phase": "pretrain", "rung": "R2", "status": "passed"})
    assert cell_line(lines.state) == "certifying 1/2: mlp, tuned: phase pretrain, R2 passed"
    lines({"event": "certified", "key": "k", "title": "mlp, tuned", "index": 1, "of": 2, "label": "same to rounding",
           "sentence": "same to rounding", "seconds": 14.2})
    assert lines.stream.getvalue() == "[certificate 1/2] mlp, tuned: same to rounding (14 s)\n"
    assert replace(lines.state).current is None
