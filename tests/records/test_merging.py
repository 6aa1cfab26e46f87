"""Stores of several machines become one: nothing twice, nothing silently chosen."""

from __future__ import annotations

import json
import shutil

import pytest

from harness.errors import SpecError
from harness.records.blocks import read_blocks, write_block
from harness.records.certificates import read_certificates
from harness.records.merging import merge
from harness.records.planned import read_planned, write_planned
from harness.records.running import running_path, write_running
from harness.records.store import Store
from tests.report.synthetic import add, block, certify, payload


@pytest.fixture
def a(tmp_path):
    """Seeds 0 and 1, two blocks, a certificate."""
    store = Store(tmp_path / "a")
    for seed in (0, 1):
        add(store, payload(seed=seed))
    certify(store, payload())
    for number in range(2):
        write_block(store.path, block(payload(), number))
    write_planned(store.path, [payload(seed=seed)["id"] for seed in (0, 1)])
    (store.path / "experiment.json").write_text('{"name": "x"}')
    return store


@pytest.fixture
def b(tmp_path, a):
    """Seed 2, and seed 1 as a copy; two blocks of its own and one as a copy; the certificate made a second time."""
    store = Store(tmp_path / "b")
    twin = add(store, payload(seed=2))
    assert twin not in a.ids()
    shutil.copytree(a.folder(payload(seed=1)["id"]), store.folder(payload(seed=1)["id"]))
    certify(store, payload(), notes=("Made elsewhere.",))
    write_block(store.path, block(payload(), 0))
    for number in (1, 2):
        write_block(store.path, {**block(payload(), number), "machine": {"machine": "another"}})
    write_planned(store.path, [payload(seed=seed)["id"] for seed in (1, 2)])
    (store.path / "logs").mkdir()
    (store.path / "logs" / f"{twin}.log").write_text("said")
    return store


def test_a_merge_holds_all_and_each_once(a, b, tmp_path):
    out = tmp_path / "c"
    merged = merge([a.path, b.path], out)
    ids = [payload(seed=seed)["id"] for seed in (0, 1, 2)]
    assert Store(out).ids() == sorted(ids)
    assert {record.id: record.data for record in Store(out).records()} == {
        record.id: record.data for record in (*a.records(), *b.records())}
    assert all(record.losses.size and record.weights for record in Store(out).records())
    assert (merged.records, merged.twice, merged.blocks, merged.certificates) == (3, 1, 4, 1)
    ((_, blocks),) = read_blocks(out).items()
    assert [(item.number, item.machine["machine"]) for item in blocks] == [
        (0, "x86_64-test-2c"), (1, "x86_64-test-2c"), (2, "another"), (3, "another")]
    assert read_certificates(out) == read_certificates(a.path)
    assert any("made twice" in note for note in merged.notes)
    assert read_planned(out) == ids
    assert json.loads((out / "experiment.json").read_text())["name"] == "x"
    assert (out / "logs" / f"{ids[2]}.log").is_file()
    again = merge([out, b.path], tmp_path / "d")
    assert (again.records, again.blocks) == (3, 4)


def test_a_cell_with_another_content_is_refused_and_named(a, b, tmp_path):
    id = add(b, payload(seed=0, accuracy=0.5))
    with pytest.raises(SpecError, match="1 cell was run in both, with another content") as refused:
        merge([a.path, b.path], tmp_path / "c")
    assert id in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_certificate_that_says_something_else_is_refused(a, b, tmp_path):
    key = certify(b, payload(), "different")
    with pytest.raises(SpecError, match=f"certificate {key} is 'same to rounding'"):
        merge([a.path, b.path], tmp_path / "c")


@pytest.mark.parametrize("case", ["full", "alone", "twice", "at work", "nothing"])
def test_what_cannot_be_merged_is_said_before_anything_is_written(a, b, tmp_path, case):
    out, sources = tmp_path / "c", [a.path, b.path]
    if case == "full":
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    elif case == "alone":
        sources = [a.path]
    elif case == "twice":
        sources = [a.path, tmp_path / "b" / ".." / "a"]
    elif case == "at work":
        write_running(running_path(b.path), {"started_at": "now"})
    else:
        sources = [a.path, tmp_path / "nothing"]
    with pytest.raises(SpecError):
        merge(sources, out)
    assert not (out / "cells").exists()


def test_a_damaged_record_and_a_link_are_passed_over_and_said(a, b, tmp_path):
    (b.folder(payload(seed=2)["id"]) / "run.json").write_text("{")
    secret = tmp_path / "secret"
    secret.write_text("12345")
    series = a.folder(payload(seed=0)["id"]) / "series.parquet"
    series.rename(tmp_path / "elsewhere")
    series.symlink_to(tmp_path / "elsewhere")
    merged = merge([a.path, b.path], tmp_path / "c")
    assert merged.records == 1
    assert sum("passed over" in note for note in merged.notes) == 2
