"""The index of a large store: as the records say, rebuilt where it is stale, never believed where they changed."""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import time

import pytest

from harness.records import index
from harness.records.blocks import block_path, read_blocks, write_block
from harness.records.index import DAMAGED
from harness.records.record import read_record
from harness.records.standing import block_standings
from harness.records.store import Store, tabulate
from tests.report.synthetic import block, fail, payload


def put(store: Store, data: dict) -> str:
    """A record without series or weights, as old as if it had been written a minute ago."""
    folder = store.folder(data["id"])
    folder.mkdir(parents=True, exist_ok=True)
    for window in (window for phase in data["phases"] for window in phase["windows"]):
        window["examples"] = 32
    (folder / "run.json").write_text(json.dumps({"schema": 1, **data}))
    aged(folder / "run.json")
    return data["id"]


def aged(path) -> None:
    long_ago = time.time() - 60
    os.utime(path, (long_ago, long_ago))


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Four records and two blocks: with an index, however few they are."""
    monkeypatch.setattr(index, "WORTH_IT", 1)
    store = Store(tmp_path)
    for seed in range(3):
        put(store, payload(seed=seed))
    put(store, fail(payload(seed=3), message="the <script> is NaN"))
    for number in range(2):
        aged(write_block(tmp_path, block(payload(), number)))
    return store


@pytest.fixture
def reads(monkeypatch):
    """The ids of the records whose files are read."""
    found = []
    whole = Store._whole
    monkeypatch.setattr(Store, "_whole", lambda self, id: (found.append(id), whole(self, id))[1])
    return found


def test_a_second_look_reads_no_file_and_sees_the_same(store, reads):
    first = store.entries()
    assert sorted(reads) == store.ids()
    reads.clear()
    assert store.entries() == first
    assert {record.id: record.data for record in store.records()} == {
        id: read_record(store.folder(id)).data for id in store.ids()}
    frame = store.cells()
    assert reads == []
    assert frame.equals(tabulate([read_record(store.folder(id)) for id in store.ids()]))


def test_what_records_share_is_one_object_and_keeps_its_keys(store):
    store.entries()
    records = store.records()
    assert len({id(record.cell["model"]) for record in records}) == 1
    for record in records:
        alone = read_record(store.folder(record.id))
        assert (record.setting, record.certificate) == (alone.setting, alone.certificate)


@pytest.mark.parametrize("change", ["replaced", "damaged", "removed", "added"])
def test_only_what_changed_is_read_again(store, reads, change):
    before = store.entries()
    reads.clear()
    id = store.ids()[0]
    if change == "replaced":
        put(store, {**payload(seed=0, accuracy=0.123456), "id": id})
    elif change == "damaged":
        (store.folder(id) / "run.json").write_text("{")
    elif change == "removed":
        shutil.rmtree(store.folder(id))
    else:
        id = put(store, payload(seed=9))
    after = store.entries()
    assert reads == ([] if change == "removed" else [id])
    assert set(after) == set(store.ids())
    assert {key: entry for key, entry in after.items() if key != id} == {
        key: entry for key, entry in before.items() if key != id}
    if change == "replaced":
        assert {record.id: record for record in store.records()}[id].metrics["test_accuracy"] == 0.123456
    if change == "damaged":
        assert after[id].status == DAMAGED
        assert id not in store.finished()
        assert any(id in note for note in Store(store.path).entries() and store.notes)


def test_a_young_record_is_not_trusted(store, reads):
    id = put(store, payload(seed=9))
    os.utime(store.folder(id) / "run.json")
    store.entries()
    reads.clear()
    store.entries()
    assert reads == [id]


@pytest.mark.parametrize("broken", [b"no database", b"", "another version", "half a table"])
def test_an_index_that_cannot_be_used_is_made_anew(store, broken, reads):
    expected = store.entries()
    path = store.path / index.FILE
    if isinstance(broken, bytes):
        path.write_bytes(broken)
    else:
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99" if broken == "another version" else "DROP TABLE cells")
    assert store.entries() == expected
    reads.clear()
    assert store.entries() == expected
    assert reads == []


def test_a_folder_that_is_only_read_needs_none(store, monkeypatch):
    def refuse(*arguments, **options):
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(index.sqlite3, "connect", refuse)
    assert len(store.entries()) == 4
    assert not (store.path / index.FILE).exists()


def test_files_beside_a_record_are_looked_at_where_a_run_is_resumed(store):
    id = store.ids()[0]
    (store.folder(id) / "series.parquet").write_bytes(b"12345")
    put(store, {**payload(seed=0), "id": id, "files": {"series.parquet": 5}})
    assert id in store.finished()
    (store.folder(id) / "series.parquet").write_bytes(b"123")
    assert id not in store.finished()
    assert id in store.entries()


def test_numbers_that_are_not_finite_and_names_that_look_so(store):
    data = payload("NaN", seed=5, labels={"model": "NaN"})
    data["test"] = {"loss": "NaN", "accuracy": 0.5}
    id = put(store, data)
    for _ in range(2):
        found = {record.id: record for record in store.records()}[id]
        assert math.isnan(found.metrics["test_loss"])
        assert (found.cell["model"]["name"], found.cell["labels"]["model"]) == ("NaN", "NaN")


def test_blocks_are_kept_and_read_again_where_they_changed(store):
    (setting,) = block_standings(store.path)
    assert (setting.counts["done"], setting.last, setting.labels["model"]) == (2, None, "mlp")
    first = read_blocks(store.path)
    assert {key: [b.data for b in blocks] for key, blocks in read_blocks(store.path).items()} == {
        key: [b.data for b in blocks] for key, blocks in first.items()}
    path = block_path(store.path, setting.setting, 1)
    path.write_text("{")
    notes: list[str] = []
    (setting,) = block_standings(store.path, notes)
    assert setting.counts["done"] == 1
    assert str(path) in notes[0]


def test_a_small_store_has_no_index(tmp_path):
    store = Store(tmp_path)
    put(store, payload())
    assert len(store.entries()) == len(store.records()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["cells"]
