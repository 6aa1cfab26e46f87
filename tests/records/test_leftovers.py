"""gc and rm: what nothing needs goes, and no record with it."""

from __future__ import annotations

import json
import os
import time

import pytest

from harness.records.leftovers import leftovers, remove, remove_records
from harness.records.planned import read_planned, write_planned
from harness.records.running import SILENT_SECONDS, read_running, running_path, write_running
from harness.records.store import Store
from tests.records.test_store import dead_owner
from tests.report.synthetic import add, payload


@pytest.fixture(scope="module")
def gone():
    """host-pid of a process that has ended."""
    return dead_owner()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    add(store, payload(seed=0))
    return store


def names(store):
    return [str(item.path.relative_to(store.path)) for item in leftovers(store)]


def long_ago(path, seconds=2 * 24 * 3600.0):
    os.utime(path, (time.time() - seconds, time.time() - seconds))


def test_a_sound_store_has_none(store):
    (store.path / "logs").mkdir()
    (store.path / "logs" / f"{store.ids()[0]}.log").write_text("said")
    (store.path / "notes.txt").write_text("mine")
    assert names(store) == []


def test_what_killed_runs_left_is_found_and_nothing_else(store, gone):
    (id,) = store.ids()
    write_planned(store.path, [id, "waits"])
    logs, blocks = store.path / "logs", store.path / "blocks" / "0123456789ab"
    logs.mkdir()
    blocks.mkdir(parents=True)
    for name in (id, "waits", "nobody"):
        (logs / f"{name}.log").write_text("said")
    (store.cells_path / f".tmp-{id}-{gone}-00aa").mkdir()
    (store.cells_path / "orphan").mkdir()
    (store.cells_path / "orphan" / "series.parquet").write_bytes(b"series")
    (blocks / f".tmp-0000-{gone}-00aa").write_text("{")
    write_running(store.path / "running" / f"{gone}.json", {"started_at": "then", "cells": [{"id": "lost"}]})
    write_running(running_path(store.path), {"started_at": "now"})
    (store.path / ".experiment.json-12-00aa").write_text("{")
    long_ago(store.path / ".experiment.json-12-00aa")
    (store.path / ".experiment.json-13-00aa").write_text("{")
    assert sorted(names(store)) == sorted([
        ".experiment.json-12-00aa", f"blocks/0123456789ab/.tmp-0000-{gone}-00aa", f"cells/.tmp-{id}-{gone}-00aa",
        "cells/orphan", "logs/nobody.log", f"running/{gone}.json"])
    for item in leftovers(store):
        remove(item.path)
    assert names(store) == []
    assert store.has(id)
    assert sorted(path.name for path in logs.iterdir()) == sorted([f"{id}.log", "waits.log"])


def test_a_link_is_removed_and_not_what_it_leads_to(store, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "kept.txt").write_text("mine")
    (store.cells_path / "linked").symlink_to(elsewhere)
    assert names(store) == ["cells/linked"]
    remove(leftovers(store)[0].path)
    (store.cells_path / "linked").symlink_to(elsewhere)
    remove_records(store, ["linked"])
    assert not (store.cells_path / "linked").is_symlink()
    assert (elsewhere / "kept.txt").read_text() == "mine"


def test_records_are_removed_with_their_logs(store):
    other = add(store, payload(seed=1))
    (store.path / "logs").mkdir()
    (store.path / "logs" / f"{other}.log").write_text("said")
    remove_records(store, [other])
    assert not store.has(other)
    assert len(store.records()) == 1
    assert [path.name for path in store.cells_path.iterdir()] == store.ids()
    assert list((store.path / "logs").iterdir()) == []


def test_who_is_at_work_is_told_from_who_is_gone(store, gone):
    write_running(store.path / "running" / f"{gone}.json", {"started_at": "then"})
    mine = running_path(store.path)
    write_running(mine, {"started_at": "now", "of": 5, "cells": [{"id": "x", "title": "t"}], "seconds_left": 3})
    elsewhere = store.path / "running" / "otherhost-1.json"
    write_running(elsewhere, {"started_at": "now"})
    broken = store.path / "running" / "otherhost-2.json"
    broken.write_text(json.dumps({"cells": 5}))
    assert {run.path.name: run.alive for run in read_running(store.path)} == {
        f"{gone}.json": False, mine.name: True, elsewhere.name: True, broken.name: False}
    for path in (mine, elsewhere):
        long_ago(path, SILENT_SECONDS + 1)
    assert not any(run.alive for run in read_running(store.path))
    long_ago(mine, -3600)  # a clock that went backwards is no proof
    assert sum(run.alive for run in read_running(store.path)) == 1


def test_the_plan_is_read_back(tmp_path):
    assert read_planned(tmp_path) is None
    write_planned(tmp_path, ["b", "a"])
    assert read_planned(tmp_path) == ["b", "a"]
    (tmp_path / "planned.txt").write_bytes(b"\xff")
    assert read_planned(tmp_path) is None
