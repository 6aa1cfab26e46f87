"""Certificates in a store: whole or not at all, found by every cell they cover, tolerant of damage."""

from __future__ import annotations

import copy

import pytest

from harness.errors import HarnessError
from harness.records.certificates import certificate_key, certificate_path, read_certificates, write_certificate
from tests.certify.made_up import certificate
from tests.report.synthetic import payload

KEY = "0123456789abcdef"


def test_written_and_read_back(tmp_path):
    path = write_certificate(tmp_path, KEY, certificate().to_data())
    assert path == certificate_path(tmp_path, KEY)
    notes: list[str] = []
    found = read_certificates(tmp_path, notes)
    assert list(found) == [KEY]
    assert (found[KEY]["label"], found[KEY]["key"], notes) == ("same to rounding", KEY, [])
    write_certificate(tmp_path, KEY, certificate("different").to_data())
    assert read_certificates(tmp_path)[KEY]["label"] == "different"
    assert [item.name for item in path.parent.iterdir()] == [f"{KEY}.json"]


def test_no_half_of_one_is_left(tmp_path):
    with pytest.raises(TypeError):
        write_certificate(tmp_path, KEY, {**certificate().to_data(), "notes": object()})
    assert list((tmp_path / "certificates").iterdir()) == []
    with pytest.raises(HarnessError):
        write_certificate(tmp_path, "../escape", certificate().to_data())


@pytest.mark.parametrize(("damage", "words"), [
    (lambda text: text[:200], "no readable certificate"),
    (lambda text: "[]", "expected an object"),
    (lambda text: text.replace('"schema": 1', '"schema": 2'), "reads up to 1"),
    (lambda text: text.replace('"schema": 1', '"schema": true'), "schema is True"),
    (lambda text: text.replace(f'"key": "{KEY}"', '"key": "another"'), "it is the certificate 'another'"),
    (lambda text: text.replace('"label": "same to rounding"', '"label": "fine"'), "label is 'fine'"),
    (lambda text: text.replace('"rungs"', '"rings"'), "no list of ladders"),
    (lambda text: text.replace("12.5", "NaN"), "not JSON"),
])
def test_damage_is_passed_over_with_a_note(tmp_path, damage, words):
    path = write_certificate(tmp_path, KEY, certificate().to_data())
    changed = damage(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    notes: list[str] = []
    assert read_certificates(tmp_path, notes) == read_certificates(tmp_path, notes) == {}
    assert len(notes) == 1
    assert words in notes[0]


def test_a_key_covers_seeds_and_backends_and_nothing_else():
    cell = payload("mlp", "tensorflow", 0)["cell"]
    key = certificate_key(cell)
    assert key == certificate_key(payload("mlp", "pytorch", 7)["cell"])
    assert key == certificate_key({**cell, "experiment": "another", "labels": {"model": "my name"}})
    others = [{**cell, "model": {**cell["model"], "digest": "another"}}]
    for name, value in (("data", {"source": "iris"}), ("identity", {"file": "abc"}), ("checkpoints", {"tune": "abc"}),
                        ("recipe", {"loss": "mse", "batch_size": 9})):
        others.append({**cell, name: value})
    for name, value in (("precision", "float64"), ("tier", "idiomatic"), ("compile", "none"), ("threads", 2)):
        other = copy.deepcopy(cell)
        other["execution"][name] = value
        others.append(other)
    keys = {certificate_key(other) for other in others}
    assert key not in keys
    assert len(keys) == len(others)


def test_a_cell_from_before_certificates_has_no_key():
    cell = payload()["cell"]
    assert certificate_key({name: value for name, value in cell.items() if name != "identity"}) is None
