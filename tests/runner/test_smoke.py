"""The smallest real experiment, with both frameworks: trained alike, killed and resumed, broken and recorded."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from harness.records.certificates import certificate_key
from harness.records.store import Store
from harness.runner.driver import run

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ROOT / "experiments" / "smoke.yaml"
pytestmark = pytest.mark.frameworks
TIMES = ["samples_per_second", "train_seconds", "first_step_seconds", "process_peak_bytes"]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return run(SMOKE, out=tmp_path_factory.mktemp("smoke") / "results", certify=True)


def test_both_frameworks_learn_the_same(smoke):
    records = {record.backend: record for record in smoke.records()}
    assert {backend: record.status for backend, record in records.items()} == {"tensorflow": "done", "pytorch": "done"}
    ours, theirs = records["tensorflow"], records["pytorch"]
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=2e-3)
    assert ours.data["plan"] == theirs.data["plan"]
    assert ours.losses[-1] < ours.losses[0]


def test_the_trainings_were_certified_before_they_were_timed(smoke):
    (key, found), = smoke.certificates().items()
    assert found["sentence"] == "same to rounding"
    assert {certificate_key(record.cell) for record in smoke.records()} == {key}
    climbed = [[rung["name"] for rung in phase["rungs"]] for phase in found["phases"]]
    assert climbed == [["R0", "R1", "R2", "R3", "R4"]] * 2
    assert found["made_at"] < min(record.data["started_at"] for record in smoke.records())
    comparison, = smoke.which().comparisons
    assert comparison.certification.certified


def test_the_record_holds_what_was_really_run(smoke):
    for record in smoke.records():
        columns, phases = record.columns, record.phases
        assert [phase["name"] for phase in phases] == ["pretrain", "finetune"]
        assert [len(phase["epochs"]) for phase in phases] == [2, 1]
        steps = len(columns["loss"])
        assert list(columns["step"]) == list(range(steps))
        # 1,797 digits, 70% of them trained on, three epochs.
        assert columns["batch_size"].sum() == 3 * record.data["data"]["examples"]["train"]
        assert sum(phase["samples"] for phase in phases) == columns["batch_size"].sum()
        windows = [window for phase in phases for window in phase["windows"]]
        assert windows[0]["start"] == 0
        assert windows[-1]["stop"] == steps
        assert all(before["stop"] == after["start"] for before, after in pairwise(windows))
        assert sum(window["seconds"] for window in windows) == pytest.approx(columns["step_seconds"].sum())
        assert record.samples_per_second > 0
        assert record.environment["threads"]["intra_op"] == 1
        first, last = record.checkpoint("pretrain"), record.checkpoint("finetune")
        np.testing.assert_array_equal(first["hidden_1/kernel"], last["hidden_1/kernel"])  # it was frozen
        assert not np.array_equal(first["hidden_2/kernel"], last["hidden_2/kernel"])


def test_a_killed_run_goes_on_to_the_same_table(smoke, tmp_path):
    out = tmp_path / "results"
    program = (
        "import sys; from harness.runner.driver import run\n"
        "run(sys.argv[1], out=sys.argv[2], certify=False, on_event=lambda event: print(event['event'], flush=True))"
    )
    driver = subprocess.Popen([sys.executable, "-c", program, str(SMOKE), str(out)], cwd=ROOT, text=True,
                              stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    seen = []
    while seen.count("cell_started") < 2:  # in the middle of the second cell
        seen.append(driver.stdout.readline().strip())
        assert seen[-1], "the driver ended early"
    driver.kill()
    driver.communicate()
    assert len(Store(out).records()) == 1
    before = Store(out).records()[0].data["finished_at"]
    again = run(SMOKE, out=out, certify=False)
    assert before in [record.data["finished_at"] for record in again.records()]
    assert again.cells().drop(columns=TIMES).to_dict("list") == smoke.cells().drop(columns=TIMES).to_dict("list")


def test_a_loss_that_becomes_nan_is_a_result(tmp_path):
    results = run({
        "model": "mlp_64_64", "data": {"source": "digits", "prepare": ["one_hot"]}, "backend": ["pytorch"],
        "execution": {"device": "cpu"},
        "matrix": {"recipe.optimizer.learning_rate": [1e38, 0.001]},
        "recipe": {"optimizer": "sgd", "loss": "mean_squared_error", "phases": [{"name": "pretrain", "epochs": 2}]},
    }, out=tmp_path / "results", certify=False)
    reasons = {record.cell["labels"]["recipe.optimizer.learning_rate"]: record.reason for record in results.records()}
    assert reasons["0.001"] is None
    assert reasons["1e+38"]["kind"] == "nan_loss"


def test_finetuning_from_the_other_frameworks_checkpoint(tmp_path):
    results = run({
        "model": "mlp_64_64", "data": "digits", "execution": {"device": "cpu"},
        "matrix": {"recipe.phases.finetune.start_from": ["previous", "tensorflow"]},
        "recipe": {"phases": [{"name": "pretrain", "epochs": 1}, {"name": "finetune", "epochs": 1}]},
    }, out=tmp_path / "results", certify=False)
    assert [record.reason for record in results.records()] == [None] * 4
    final = {
        (record.backend, record.cell["labels"]["recipe.phases.finetune.start_from"]): record.metrics["loss"]
        for record in results.records()
    }
    np.testing.assert_allclose(list(final.values()), final["pytorch", "previous"], rtol=1e-3)
