"""The store finds whole records only, survives kills, and tabulates."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time

import pytest

from harness.errors import SpecError
from harness.records import folder as folders
from harness.records.store import Store
from tests.report.synthetic import add, fail, payload


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def dead_owner():
    """host-pid of a process that has just ended."""
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    return f"{folders.owner().split('-')[0]}-{process.pid}"


def test_an_empty_store(store):
    assert store.ids() == []
    assert store.records() == []
    assert not store.has("abc")
    assert store.clean() == []
    assert len(store.cells()) == 0
    assert {"id", "model", "backend", "samples_per_second", "status"} <= set(store.cells().columns)


def test_finished_means_done_or_failed(store):
    done, failed = add(store, payload(seed=0)), add(store, fail(payload(seed=1)))
    assert store.has(done)
    assert store.has(failed)
    assert store.ids() == sorted([done, failed])


@pytest.mark.parametrize("id", ["..", "../x", "a/b", "", ".tmp-x", "x" * 65])
def test_an_id_cannot_leave_the_store(store, id):
    with pytest.raises(SpecError, match="no record id"):
        store.folder(id)


def test_a_folder_renamed_by_hand_is_passed_over(store):
    id = add(store, payload())
    shutil.copytree(store.folder(id), store.folder("copy"))
    assert [record.id for record in store.records()] == [id]
    assert "copy" in store.notes[0]


def test_a_leftover_of_a_killed_writer_is_ignored_and_cleaned(store):
    id = add(store, payload())
    leftover = store.cells_path / f".tmp-{id}-{dead_owner()}-00aa"
    shutil.copytree(store.folder(id), leftover)
    assert store.ids() == [id]
    assert len(store.clean()) == 1
    assert not leftover.exists()
    assert store.has(id)


def test_a_living_writer_is_left_alone(store):
    id = add(store, payload())
    working = store.cells_path / f".tmp-{id}-{folders.owner()}-00aa"
    working.mkdir()
    elsewhere = store.cells_path / f".tmp-{id}-otherhost-1-00aa"
    elsewhere.mkdir()
    assert store.clean() == []
    assert working.exists()
    assert elsewhere.exists()
    long_ago = time.time() - 2 * folders.STALE_SECONDS
    os.utime(elsewhere, (long_ago, long_ago))
    assert len(store.clean()) == 1
    assert not elsewhere.exists()


def test_a_replaced_record_is_put_back_if_its_successor_never_came(store):
    id = add(store, payload())
    os.rename(store.folder(id), store.cells_path / f".old-{id}-{dead_owner()}-00aa")
    assert not store.has(id)
    assert "put back" in store.clean()[0]
    assert store.has(id)


def test_writing_again_replaces(store):
    id = add(store, payload(accuracy=0.5))
    add(store, payload(accuracy=0.7))
    assert store.get(id).metrics["test_accuracy"] == 0.7
    assert [path.name for path in store.cells_path.iterdir()] == [id]


def write_for_ever(path):
    store = Store(path)
    while True:
        add(store, payload())


@pytest.mark.parametrize("delay", [0.0, 0.013, 0.031])
def test_kill_at_any_moment_leaves_a_whole_record(store, delay):
    id = add(store, payload())
    process = multiprocessing.get_context("spawn").Process(target=write_for_ever, args=(store.path,))
    process.start()
    stamp = (store.folder(id) / "run.json").stat().st_ino
    deadline = time.time() + 60
    while time.time() < deadline:
        try:
            if (store.folder(id) / "run.json").stat().st_ino != stamp:
                break
        except FileNotFoundError:
            pass
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    store.clean()
    assert store.has(id), store.notes
    assert [path.name for path in store.cells_path.iterdir()] == [id]
    assert len(store.get(id).losses) == 16
    assert store.get(id).weights


def test_cells(store):
    add(store, payload("mlp", "tensorflow", 1, labels={"optimizer": "Adam", "loss": "mse"}))
    add(
        store,
        fail(payload("mlp", "pytorch", 0, labels={"optimizer": "Adam", "loss": "mse"}), "killed", "signal 9"),
    )
    frame = store.cells()
    assert list(frame["backend"]) == ["pytorch", "tensorflow"]
    done = frame.iloc[1]
    assert (done["model"], done["data"], done["tier"], done["threads"]) == ("mlp", "digits", "tuned", 1)
    assert (done["batch_size"], done["parameters"], done["flops"]) == (8, 1234, 5678)
    assert done["samples_per_second"] == pytest.approx(1002.0)
    assert done["first_step_seconds"] == 0.5
    assert done["process_peak_bytes"] == 2**28
    assert done["test_accuracy"] == 0.9
    assert done["optimizer"] == "Adam"
    # An axis of the matrix called like a metric does not take its column.
    assert done["label_loss"] == "mse"
    assert done["loss"] == pytest.approx(1 / 13)
    assert frame.iloc[0]["reason"] == "killed: signal 9"
    assert frame.isna().iloc[0]["samples_per_second"]
    assert len(set(frame.columns)) == len(frame.columns)
