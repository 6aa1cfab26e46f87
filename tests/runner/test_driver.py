"""The driver: resume, failures, two at once, kill -9 at any moment. Cells are fake; the processes are real."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from harness.records.store import Store
from harness.report.results import Results
from harness.runner.check import check
from harness.runner.driver import Settings, execute
from harness.runner.progress import Progress
from harness.spec.experiment import Experiment

ROOT = Path(__file__).resolve().parents[2]
DRIVE = Path(__file__).with_name("drive.py")


def settings(tmp_path, **changes):
    return Settings(function="tests.runner.jobs:fake_cell", backend_of=lambda cell: "none",
                    lock=tmp_path / "lock", **changes)


@pytest.fixture(autouse=True)
def _data(tmp_path):
    """A few examples in a file: nothing has to be imported to read them."""
    chance = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=chance.normal(size=(120, 8)).astype("float32"), y=np.arange(120) % 10)


def go(tmp_path, seeds, store="store", **changes):
    """Runs an experiment over these seeds in this process; returns its events."""
    given = {"model": "mlp_64_64", "data": "data.npz", "seed": seeds, **changes.pop("given", {})}
    experiment, events = Experiment.parse(given, folder=tmp_path), []
    execute(experiment, check(experiment), tmp_path / store, events.append, settings(tmp_path, **changes))
    return events


def drive(tmp_path, seeds, store="store") -> subprocess.Popen[str]:
    """The same in a process of its own, which can be killed."""
    return subprocess.Popen(
        [sys.executable, str(DRIVE), str(tmp_path / store), str(tmp_path / "lock"), json.dumps(seeds)], cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def starts(tmp_path, store="store") -> Counter[str]:
    path = tmp_path / store / "starts.txt"
    return Counter(path.read_text().splitlines() if path.is_file() else [])


def table(tmp_path, store="store"):
    """The results, timings aside."""
    frame = Results.open(tmp_path / store).cells()
    return frame.drop(columns=["samples_per_second", "train_seconds", "first_step_seconds"]).to_dict("list")


def finished(events):
    return [event for event in events if event["event"] == "cell_finished"]


def test_layout_and_resume(tmp_path):
    events = go(tmp_path, [0, 1])
    assert [event["status"] for event in finished(events)] == ["done"] * 4
    folder = tmp_path / "store"
    written = json.loads((folder / "experiment.json").read_text())
    assert written["recipe"]["batch_size"] == 32
    assert written["matrix"]["seed"] == [0, 1]
    assert written["verdict"] == {"primary": "samples_per_second", "margin": 0.03, "accuracy_margin": 0.005,
                                  "target": None, "tier": None}
    ids = Store(folder).ids()
    assert sorted(path.name for path in folder.iterdir()) == [
        "cells", "experiment.json", "logs", "planned.txt", "starts.txt"]
    assert sorted(path.name for path in (folder / "cells" / ids[0]).iterdir()) == [
        "pretrain.safetensors", "run.json", "series.parquet"
    ]

    again = go(tmp_path, [0, 1])
    assert [event["event"] for event in again] == ["plan"]
    assert again[0]["skipped"] == again[0]["cells"] == 4

    more = go(tmp_path, [0, 1, 2])
    assert len(finished(more)) == 2
    assert all(count == 1 for count in starts(tmp_path).values())
    assert len(starts(tmp_path)) == 6


def test_what_experiment_json_says_reads_back_to_the_same_cells(tmp_path):
    go(tmp_path, [0, 1])
    written = json.loads((tmp_path / "store" / "experiment.json").read_text())
    keys = {key: value for key, value in written.items() if key not in ("source", "command")}
    again = check(Experiment.parse(keys, folder=tmp_path))
    assert sorted(cell.id for cell in again) == Store(tmp_path / "store").ids()


def test_a_damaged_record_is_run_again(tmp_path):
    go(tmp_path, [0])
    run_json = next((tmp_path / "store" / "cells").glob("*/run.json"))
    run_json.write_text(run_json.read_text()[:100])
    assert len(finished(go(tmp_path, [0]))) == 1
    assert len(Store(tmp_path / "store").records()) == 2


def test_failures_are_recorded_and_the_others_go_on(tmp_path):
    """Seed 13 loses its loss, seed 14 kills its process."""
    events = go(tmp_path, [0, 13, 14, 1])
    assert Counter(event["status"] for event in finished(events)) == {"done": 4, "failed": 4}
    reasons = {(record.seed, record.reason["kind"]) for record in Store(tmp_path / "store").records() if record.reason}
    assert reasons == {(13, "nan_loss"), (14, "killed")}
    assert go(tmp_path, [0, 13, 14, 1])[0]["skipped"] == 8
    retried = finished(go(tmp_path, [0, 13, 14, 1], retry_failed=True))
    assert [event["status"] for event in retried] == ["failed"] * 4
    assert len(Results.open(tmp_path / "store").cells()) == 8


def test_a_cell_starts_from_its_twins_checkpoint(tmp_path):
    phases = [{"name": "pretrain"}, {"name": "finetune", "start_from": "pytorch"}]
    go(tmp_path, [0], given={"recipe": {"phases": phases}})
    used = {record.backend: record.data["used"] for record in Store(tmp_path / "store").records()}
    assert used == {"pytorch": {}, "tensorflow": {"pytorch/pretrain": True}}


def test_a_twin_that_failed_fails_who_needs_it(tmp_path):
    phases = [{"name": "pretrain"}, {"name": "finetune", "start_from": "pytorch"}]
    go(tmp_path, [13], given={"recipe": {"phases": phases}})
    reasons = {record.backend: record.reason for record in Store(tmp_path / "store").records()}
    assert reasons["pytorch"]["kind"] == "nan_loss"
    assert "that cell failed" in reasons["tensorflow"]["message"]


def test_two_drivers_at_once_share_the_work(tmp_path):
    seeds = list(range(6))
    drivers = [drive(tmp_path, seeds) for _ in range(2)]
    outputs = [driver.communicate(timeout=120) for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], outputs
    assert len(Store(tmp_path / "store").records()) == 12
    assert len(starts(tmp_path)) == 12
    assert set(starts(tmp_path).values()) == {1}
    assert all(line.endswith("first") for line in starts(tmp_path))


@pytest.mark.slow
def test_kill_minus_nine_ten_times_loses_and_repeats_nothing(tmp_path):
    chance = random.Random(2026)
    seeds = list(range(8))
    for _ in range(10):
        driver = drive(tmp_path, seeds)
        # Anywhere from before the first cell to the middle of the fourth.
        for _ in range(chance.randrange(1, 12)):
            if not driver.stdout.readline():
                break
        time.sleep(chance.random() * 0.1)
        driver.kill()
        driver.communicate()
    driver = drive(tmp_path, seeds)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 0, errors
    assert not [line for line in starts(tmp_path) if line.endswith("again")]
    assert len(Store(tmp_path / "store").records()) == 16
    assert not list((tmp_path / "store" / "cells").glob(".*"))
    go(tmp_path, seeds, store="undisturbed")
    assert table(tmp_path) == table(tmp_path, "undisturbed")


def test_interrupt_ends_with_2_and_says_how_to_go_on(tmp_path):
    driver = drive(tmp_path, list(range(20)))
    while '"cell_started"' not in driver.stdout.readline():
        pass
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 2
    assert "run the same command again" in errors
    assert "Traceback" not in errors
    assert all(record.status == "done" for record in Store(tmp_path / "store").records())
    assert not list((tmp_path / "store" / "cells").glob(".*"))


def test_progress_follows_the_events(tmp_path):
    now = iter(range(10_000))
    progress = Progress(clock=lambda: next(now))
    for event in go(tmp_path, [0, 13]):
        progress.update(event)
        assert 0 <= progress.share <= 1
    assert (progress.total, progress.done, progress.failed, progress.skipped) == (4, 4, 2, 0)
    assert progress.current is None
    assert progress.seconds_left == pytest.approx(0)
