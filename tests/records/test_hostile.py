"""Records from elsewhere: paths that lead out, numbers without end, markup in names, other versions."""

from __future__ import annotations

import json

import pytest

from harness.errors import SpecError
from harness.records import record as records
from harness.records.record import CorruptRecordError, read_record
from harness.records.store import Store
from harness.report import large
from harness.report.results import Results
from tests.report.synthetic import add, fail, pairs, payload

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def put(store: Store, **changes) -> str:
    """A record with some of its keys exchanged, unchecked."""
    data = {"schema": 1, **payload(), **changes}
    folder = store.folder(payload()["id"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(data) if "text" not in changes else changes["text"])
    return folder.name


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret", "..", "sub/series.parquet"])
def test_a_file_outside_the_record_makes_it_damaged(store, name):
    id = put(store, files={name: 5})
    (store.cells_path / "secret").write_text("12345")
    assert store.get(id) is None
    assert id in store.notes[0]
    assert id not in store.finished()


@pytest.mark.parametrize("changes", [
    {"test": {"loss": 10**400}},
    {"phases": [{"name": "p", "epochs": [{"loss": 2**64}]}]},
    {"timing": {"total_seconds": 10**30}},
    {"text": '{"schema": 1, "id": "x", "test": {"loss": 1e999}}'},
    {"text": '{"schema": 1, "id": "x", "test": {"loss": ' + "9" * 5000 + "}}"},
    {"text": "[" * 100_000},
    {"phases": [{"name": "p", "windows": [{"seconds": "long"}]}]},
    {"phases": [{"name": "p", "windows": [{"start": 0, "stop": 1}]}]},
    {"phases": [{"name": "p", "epochs": {"loss": 1}}]},
    {"test": [1, 2]},
    {"timing": {"total_seconds": "a day"}},
    {"cell": {**payload()["cell"], "labels": ["model"]}},
    {"cell": {**payload()["cell"], "model": "mlp"}},
    {"cell": {**payload()["cell"], "seed": "zero"}},
    {"cell": {**payload()["cell"], "seed": -1}},
    {"files": ["run.json"]},
    {"files": {"run.json": "large"}},
    {"reason": "because"},
])
def test_what_no_reader_could_take_is_damaged_and_the_others_are_read(store, changes):
    id = put(store, **changes)
    other = add(store, payload(seed=7))
    assert [found.id for found in store.records()] == [other]
    assert id in store.notes[0]
    assert len(store.cells()) == 1
    assert set(store.finished()) == {other}


def test_digits_inside_a_text_are_no_number(store):
    id = put(store, reason=None, plan={"digest": "1234567890" * 6 + "e999"})
    assert store.get(id).data["plan"]["digest"].startswith("1234567890")


def test_a_newer_record_is_refused_by_name(store):
    id = put(store, schema=2)
    for look in (store.entries, store.records, store.finished, store.cells):
        with pytest.raises(SpecError, match="has schema 2, this version reads up to 1") as refused:
            look()
        assert id in str(refused.value)
        assert "Update the harness" in str(refused.value)


def test_an_older_record_is_read(store, monkeypatch):
    id = put(store)
    monkeypatch.setattr(records, "SCHEMA", 2)
    assert read_record(store.folder(id)).metrics["test_accuracy"] == 0.9
    put(store, schema=0)
    with pytest.raises(CorruptRecordError, match="schema is 0"):
        read_record(store.folder(id))


def test_markup_in_names_is_text_in_a_report(tmp_path, monkeypatch):
    monkeypatch.setattr(large, "MOST_PICTURES", 0)
    store = pairs(tmp_path / "store", models=(SCRIPT,))
    add(store, fail(payload(SCRIPT, seed=9), kind=SCRIPT, message=SCRIPT))
    experiment = {"name": SCRIPT, "question": SCRIPT, "command": SCRIPT}
    (store.path / "experiment.json").write_text(json.dumps(experiment))
    results = Results.open(store.path)
    page = results.report()
    for name in ("report.html", "report.md"):
        # What is indented by four is code in Markdown: printed as it stands.
        text = "\n".join(line for line in (page.parent / name).read_text().splitlines() if line[:4] != " " * 4)
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
