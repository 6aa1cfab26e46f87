"""A run says that it is at work: what it says, when, and that it stops."""

from __future__ import annotations

import json
import time

import pytest

from harness.records.running import read_running, running_path
from harness.runner.heartbeat import heartbeat
from harness.runner.progress import Progress

PLAN = {"event": "plan", "cells": 4, "skipped": 1, "out": "results"}


def started(id, title="mlp"):
    return {"event": "cell_started", "id": id, "title": title, "index": 1, "of": 4, "backend": "pytorch", "labels": {}}


def step(id, share=0.5):
    return {"event": "step", "id": id, "phase": "pretrain", "epoch": 1, "epochs": 2, "step": int(share * 10),
            "steps": 10, "loss": 0.5, "samples_per_second": 10.0}


def finished(id, status="done", seconds=10.0, title="mlp"):
    reason = None if status == "done" else {"kind": "killed", "message": "by signal 9"}
    return {"event": "cell_finished", "id": id, "title": title, "status": status, "reason": reason, "seconds": seconds}


def test_a_run_is_seen_while_it_goes_on_and_not_after(tmp_path):
    told = []
    with heartbeat(tmp_path, told.append, seconds=0.05) as tell:
        tell({"event": "waiting", "message": "not begun"})
        assert read_running(tmp_path) == []
        for event in (PLAN, started("a"), started("b"), finished("a"), step("b")):
            tell(event)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:  # what the beat says of the step
            (run,) = read_running(tmp_path)
            if run.cells and run.cells[0]["phase"]:
                break
            time.sleep(0.01)
        assert run.alive
        assert (run.of, run.done, run.failed) == (4, 2, 0)
        (cell,) = run.cells
        assert (cell["id"], cell["title"], cell["phase"], cell["share"]) == ("b", "mlp", "pretrain", 0.5)
        assert run.seconds_left is not None
    assert len(told) == 6
    assert read_running(tmp_path) == []
    assert not (tmp_path / "running").exists()


def test_it_is_gone_after_an_error_too(tmp_path):
    def interrupted():
        with heartbeat(tmp_path, None, seconds=60) as tell:
            tell(PLAN)
            assert running_path(tmp_path).is_file()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not running_path(tmp_path).exists()


def test_a_full_disk_does_not_end_the_run(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.runner.heartbeat.write_running", full)
    with heartbeat(tmp_path, None) as tell:
        tell(PLAN)


def test_cells_side_by_side():
    now = [0.0]
    progress = Progress(clock=lambda: now[0])
    for event in (PLAN, started("a", "first"), started("b", "second"), step("b")):
        progress.update(event)
    assert list(progress.cells) == ["a", "b"]
    assert progress.share == 0.5
    assert (progress.current, progress.seconds_left, progress.cells_per_minute) == ("second", None, None)
    now[0] = 10.0
    progress.update(finished("a"))
    # Two are left, one of them for 10 s already: both fit beside each other.
    assert progress.seconds_left == pytest.approx((10 * 2 - 10) / 2)
    assert progress.cells_per_minute == pytest.approx(6)
    progress.update(started("c"))
    for number in range(4):
        progress.update(finished("c", "failed", title=f"cell {number}"))
    assert [title for title, _ in progress.errors] == ["cell 1", "cell 2", "cell 3"]
    assert progress.errors[0][1] == "killed: by signal 9"
    assert json.dumps(progress.to_data())
