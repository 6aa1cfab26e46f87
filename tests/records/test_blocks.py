"""Blocks in a store: whole or not at all, found by their setting, tolerant of damage."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from harness.analysis.settings import settings
from harness.errors import HarnessError, SpecError
from harness.records import folder as folders
from harness.records.blocks import block_path, blocks_of, clean_blocks, read_blocks, write_block
from harness.records.record import Record
from harness.records.settings_key import setting_cell, setting_key
from tests.report.synthetic import payload

CELL = setting_cell(payload()["cell"])
SETTING = setting_key(CELL)


def half(rate: float) -> dict:
    return {"window": {"steps": 10, "samples": int(rate * 4), "seconds": 4.0}, "loss": 0.5}


def block(number=0, **changes):
    return {"setting": SETTING, "number": number, "order": ["tensorflow", "pytorch"], "status": "done", "reason": None,
            "cell": CELL, "machine": {"machine": "here"}, "halves": {"tensorflow": half(100), "pytorch": half(50)},
            **changes}


FAILED = {"status": "failed", "reason": {"kind": "out_of_memory", "message": "too large"}}


def test_written_and_read_back(tmp_path):
    path = write_block(tmp_path, block(3))
    assert path == block_path(tmp_path, SETTING, 3)
    assert path.name == "0003.json"
    write_block(tmp_path, block(1, **FAILED, halves={"pytorch": half(50)}))
    first, second = read_blocks(tmp_path)[SETTING]
    assert (first.number, first.status, first.reason["kind"]) == (1, "failed", "out_of_memory")
    assert (first.samples_per_second("tensorflow"), first.samples_per_second("pytorch")) == (None, 50.0)
    assert (second.number, second.order, second.status, second.reason) == (3, ("tensorflow", "pytorch"), "done", None)
    assert second.samples_per_second("tensorflow") == 100.0
    assert second.cell == json.loads(json.dumps(CELL))
    assert second.machine == {"machine": "here"}
    assert [item.name for item in sorted(path.parent.iterdir())] == ["0001.json", "0003.json"]
    write_block(tmp_path, block(3, halves={"tensorflow": half(80), "pytorch": half(50)}))
    assert blocks_of(tmp_path, SETTING)[1].samples_per_second("tensorflow") == 80.0


def test_no_half_of_one_is_left(tmp_path):
    with pytest.raises(TypeError):
        write_block(tmp_path, block(machine=object()))
    assert list((tmp_path / "blocks" / SETTING).iterdir()) == []


@pytest.mark.parametrize("changes", [
    {"setting": "../escape"}, {"number": -1}, {"number": True}, {"order": ["pytorch", "pytorch"]}, {"status": "fine"},
    {"halves": {"jax": half(1)}}, {"halves": {"pytorch": half(1)}}, {"status": "failed"}, {"cell": None},
    {"reason": {"kind": "error"}}, {"halves": {"tensorflow": half(100), "pytorch": {"window": {"samples": 3}}}},
    {"halves": None},
])
def test_what_is_no_block_is_not_written(tmp_path, changes):
    with pytest.raises(HarnessError):
        write_block(tmp_path, block(**changes))
    assert read_blocks(tmp_path) == {}


@pytest.mark.parametrize(("damage", "words"), [
    (lambda text: text[:100], "no readable block"),
    (lambda text: "[]", "expected an object"),
    (lambda text: text.replace('"schema": 1', '"schema": true'), "schema is True"),
    (lambda text: text.replace(SETTING, "0" * 12), f"block 0 of {'0' * 12}"),
    (lambda text: text.replace('"status": "done"', '"status": "great"'), "status is 'great'"),
    (lambda text: text.replace('"window"', '"pane"'), "without a timed window of tensorflow and pytorch"),
    (lambda text: text.replace('"seconds": 4.0', '"seconds": "NaN"'), "without a timed window"),
    (lambda text: text.replace('"seconds": 4.0', '"seconds": NaN'), "not JSON"),
    (lambda text: text.replace('"number": 0', '"number": 7'), "it is block 7"),
])
def test_damage_is_passed_over_with_a_note(tmp_path, damage, words):
    write_block(tmp_path, block(1))
    path = write_block(tmp_path, block())
    changed = damage(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    notes: list[str] = []
    for _ in range(2):
        assert [item.number for item in read_blocks(tmp_path, notes)[SETTING]] == [1]
    assert len(notes) == 1
    assert words in notes[0]


def test_a_block_of_a_newer_version_is_refused(tmp_path):
    path = write_block(tmp_path, block())
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(SpecError, match="Update the harness"):
        read_blocks(tmp_path)


def test_what_killed_writers_left_is_removed_and_living_ones_are_left_alone(tmp_path):
    home = write_block(tmp_path, block()).parent
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    host = folders.owner().split("-")[0]
    dead, living = home / f".tmp-0001-{host}-{process.pid}-00aa", home / f".tmp-0002-{host}-{os.getpid()}-00aa"
    dead.write_text("{")
    living.write_text("{")
    assert len(clean_blocks(tmp_path)) == 1
    assert (dead.exists(), living.exists()) == (False, True)
    assert [item.number for item in read_blocks(tmp_path)[SETTING]] == [0]
    assert clean_blocks(tmp_path / "nowhere") == []


def test_a_setting_is_what_the_analysis_groups_by():
    records = [Record(payload("mlp", backend, seed)) for backend in ("tensorflow", "pytorch") for seed in (0, 1)]
    (found,) = settings(records)
    assert {found.id} == {setting_key(record.cell) for record in records}
    cell = records[0].cell
    assert setting_key(setting_cell(cell)) == setting_key(cell)
    assert not {"backend", "seed"} & set(setting_cell(cell))
    others = [{**cell, "data": "another"}, {**cell, "recipe": {}}, {**cell, "labels": {"model": "x", "width": "9"}}]
    assert len({setting_key(other) for other in [cell, *others]}) == 4
