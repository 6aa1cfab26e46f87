"""status beside a run, rm, gc and merge from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.records.planned import write_planned
from harness.records.running import running_path, write_running
from harness.records.store import Store
from tests.records.test_store import dead_owner
from tests.report.synthetic import add, fail, payload

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two cells that are done, one that failed."""
    store = Store(tmp_path / "results")
    for seed in (0, 1):
        add(store, payload(seed=seed))
    add(store, fail(payload("cnn", seed=2), message="the loss\x1b[31m is NaN"))
    return store


def answer(capsys: Capture) -> dict:
    return json.loads(capsys.readouterr().out)


def at_work(store: Store, path: Path | None = None, **changes: object) -> None:
    cell = {"id": "cafe", "title": "mlp, pytorch, tuned, seed 3", "phase": "pretrain", "share": 0.25, "seconds": 12.0}
    write_running(path or running_path(store.path), {
        "started_at": "2026-01-01T00:00:00+00:00", "of": 6, "done": 3, "failed": 1, "workers": 1,
        "seconds_left": 90.0, "current": None, "cells": [cell], **changes})


def test_status_beside_a_run(store: Store, capsys: Capture):
    write_planned(store.path, [*store.ids(), "cafe", "waits1", "waits2"])
    at_work(store)
    assert main(["status", str(store.path), "--json"]) == 0
    data = answer(capsys)
    assert (data["done"], data["failed"], data["running"], data["waiting"]) == (2, 1, 1, 2)
    assert data["seconds_left"] == 90
    assert data["runs"][0]["cells"][0]["id"] == "cafe"
    assert main(["status", str(store.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "2 done, 1 failed, 1 running, 2 waiting" in lines[0]
    assert "a run is at work on " in lines[1]
    assert "about 90 s left" in lines[1]
    assert lines[2] == "running: mlp, pytorch, tuned, seed 3 (cafe), pretrain 25%, for 12 s"


def test_status_without_a_run_estimates_from_what_is_done(store: Store, capsys: Capture):
    write_planned(store.path, [*store.ids(), "waits1", "waits2"])
    at_work(store, store.path / "running" / f"{dead_owner()}.json")
    assert main(["status", str(store.path), "--json"]) == 0
    data = answer(capsys)
    assert (data["running"], data["waiting"], data["runs"]) == (0, 2, [])
    assert data["seconds_left"] == pytest.approx(60)
    assert main(["status", str(store.path)]) == 0
    assert "no run is at work; what waits would take about 60 s" in capsys.readouterr().out


def test_control_characters_do_not_reach_the_terminal(store: Store, capsys: Capture):
    for verb in ("status", "ls"):
        assert main([verb, str(store.path)]) == 0
        out = capsys.readouterr().out
        assert "is NaN" in out
        assert "\x1b" not in out


def test_rm_names_and_removes_only_when_told(store: Store, capsys: Capture):
    before = store.ids()
    assert main(["rm", str(store.path), "--failed"]) == 0
    out = capsys.readouterr().out
    failed = payload("cnn", seed=2)["id"]
    assert f"would remove: {failed}: cnn" in out
    assert "nothing was removed" in out
    assert store.ids() == before
    assert main(["rm", str(store.path), "--failed", "--yes", "--json"]) == 0
    assert answer(capsys)["removed"] == [failed]
    assert store.ids() == sorted(set(before) - {failed})
    assert main(["rm", str(store.path), "seed=1", "backend=tensorflow", "-y"]) == 0
    assert [record.seed for record in store.records()] == [0]


def test_rm_of_damaged_records(store: Store, capsys: Capture):
    assert main(["rm", str(store.path), "--damaged"]) == 5
    id = store.ids()[0]
    (store.folder(id) / "run.json").write_text("{")
    assert main(["rm", str(store.path), "--damaged", "--yes"]) == 0
    assert id not in store.ids()
    assert len(store.ids()) == 2


@pytest.mark.parametrize(("arguments", "code", "message"), [
    ([], 4, "nothing is said of what to remove"),
    (["--damaged", "seed=1"], 4, "Give it alone"),
    (["sead=1"], 4, "Did you mean 'seed'"),
    (["seed=9", "--yes"], 5, "no cell matches seed=9"),
])
def test_rm_refuses(store: Store, arguments: list[str], code: int, message: str, capsys: Capture):
    assert main(["rm", str(store.path), *arguments]) == code
    assert message in capsys.readouterr().err
    assert len(store.ids()) == 3


def test_gc_clears_up(store: Store, capsys: Capture):
    (store.cells_path / "orphan").mkdir()
    assert main(["gc", str(store.path), "--dry-run", "--json"]) == 0
    assert [item["path"] for item in answer(capsys)["leftovers"]] == ["cells/orphan"]
    assert (store.cells_path / "orphan").is_dir()
    assert main(["gc", str(store.path)]) == 0
    assert "removed: cells/orphan: series or weights without a run.json" in capsys.readouterr().out
    assert main(["gc", str(store.path)]) == 0
    assert "nothing was left over" in capsys.readouterr().out
    assert len(store.records()) == 3


def test_merge_says_what_it_made_and_refuses_what_differs(store: Store, tmp_path: Path, capsys: Capture):
    other = Store(tmp_path / "other")
    add(other, payload(seed=5))
    assert main(["merge", str(store.path), str(other.path), "-o", str(tmp_path / "both"), "--json"]) == 0
    assert answer(capsys)["records"] == 4
    id = add(other, payload(seed=1, accuracy=0.1))
    assert main(["merge", str(store.path), str(other.path), "-o", str(tmp_path / "again")]) == 4
    assert id in capsys.readouterr().err
    assert not (tmp_path / "again").exists()
