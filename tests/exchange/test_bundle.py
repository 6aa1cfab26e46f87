"""A bundle comes back as it was written, or not at all."""

from __future__ import annotations

import json
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.errors import SpecError
from harness.exchange import bundle
from harness.exchange.bundle import MANIFEST, BundleError, digest_of, read_bundle, write_bundle

CELL = "cells/0123456789abcdef.json"
FILES = {"README.txt": b"what to do\n", CELL: b'{"id": 1}', f"data/{'a' * 64}.npz": bytes(range(256)) * 40}
ABOUT = {"name": "heart", "cells": ["0123456789abcdef"]}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "c.zip", ABOUT, FILES)
    return tmp_path / "c.zip"


def rewritten(path: Path, change: Callable[..., object], entries: Callable[..., None] | None = None) -> Path:
    """The archive with other members; their checksums are right, as whoever tampers would have them."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if entries is not None:
            entries(archive)
    return path


def restated(members: dict[str, bytes], **changes: object) -> None:
    """challenge.json with other contents and a digest that fits them."""
    manifest = {**json.loads(members[MANIFEST]), **changes}
    members[MANIFEST] = json.dumps({**manifest, "digest": digest_of(manifest)}).encode()


def refused(path: Path, folder: Path, message: str) -> None:
    with pytest.raises(BundleError, match=message) as error:
        read_bundle(path, folder)
    assert error.value.exit_code == 4
    assert path.name in str(error.value)


def test_it_comes_back_and_the_same_content_gives_the_same_bytes(written: Path, tmp_path: Path):
    found = read_bundle(written, tmp_path / "out")
    assert {name: (found.folder / name).read_bytes() for name in found.names} == FILES
    assert found.about["name"] == "heart"
    assert found.json(CELL) == {"id": 1}
    assert found.below("cells") == [CELL]
    digest = write_bundle(tmp_path / "again.zip", ABOUT, dict(reversed(FILES.items())))
    assert digest == found.digest
    assert (tmp_path / "again.zip").read_bytes() == written.read_bytes()
    assert write_bundle(tmp_path / "other.zip", {**ABOUT, "name": "liver"}, FILES) != digest


@pytest.mark.parametrize(("change", "message"), [
    (lambda m: m.update({CELL: b'{"id": 2}'}), "is not what was written"),
    (lambda m: m.update({CELL: b'{"id": 1} '}), "has not the size"),
    (lambda m: m.pop(CELL), "is missing"),
    (lambda m: m.update({"cells/ffff.json": b"{}"}), "is not of it"),
    (lambda m: m.update({MANIFEST: m[MANIFEST].replace(b"heart", b"liver")}), "does not have the digest"),
    (lambda m: m.pop(MANIFEST), "no challenge bundle"),
    (lambda m: m.update({MANIFEST: b"[]"}), "does not say"),
    (lambda m: m.update({MANIFEST: b"[" * 100_000}), "not readable"),
    (lambda m: m.update({MANIFEST: b'{"format": NaN}'}), "not readable"),
    (lambda m: restated(m, schema=99), "Update the harness"),
    (lambda m: restated(m, format="harness results"), "does not say"),
    (lambda m: restated(m, files={CELL: 3}), "does not list"),
])
def test_what_was_changed_is_refused(written: Path, tmp_path: Path, change: Callable[..., None], message: str):
    refused(rewritten(written, change), tmp_path / "out", message)


@pytest.mark.parametrize("name", [
    "../evil.json", "/etc/cron.d/evil", "cells/../../evil.json", "cells\\..\\evil.json", "C:/evil.json", "cells/",
    "cells/0123.json/../../../evil", "cells/a\x00.json", "evil.py", "README.txt/x", "cells/\u202e.json",
    "cells/A B.json",
])
def test_a_name_that_no_bundle_has_is_refused_before_anything_is_unpacked(written: Path, tmp_path: Path, name: str):
    refused(rewritten(written, lambda members: members.update({name: b"evil"})), tmp_path / "out", "holds no")
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.zip"]


def test_links_devices_doubles_and_ciphers_are_refused(written: Path, tmp_path: Path):
    def special(kind: int) -> Callable[[zipfile.ZipFile], None]:
        def add(archive: zipfile.ZipFile) -> None:
            entry = zipfile.ZipInfo("cells/aa.json")
            entry.external_attr = (kind | 0o777) << 16
            archive.writestr(entry, "/etc/passwd")
        return add

    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFDIR):
        refused(rewritten(written, lambda members: members.pop("cells/aa.json", None), special(kind)), tmp_path / "out",
                "no plain file")
    write_bundle(written, ABOUT, FILES)
    with pytest.warns(UserWarning, match="Duplicate"):
        rewritten(written, lambda members: None, lambda archive: archive.writestr(CELL, "{}"))
    refused(written, tmp_path / "out", "twice")
    write_bundle(written, ABOUT, FILES)
    content = bytearray(written.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    written.write_bytes(content)
    refused(written, tmp_path / "out", "encrypted")


def test_a_bomb_is_refused_by_what_it_states_and_by_what_it_holds(written: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(bundle, "MOST_UNPACKED", 2**20)
    bomb = f"tapes/{'b' * 64}.safetensors"
    out, two = tmp_path / "out", {bomb: bytes(2**19), bomb.replace("b", "c"): bytes(2**19)}
    refused(rewritten(written, lambda members: members.update({bomb: bytes(2**20 + 1)})), out, "MiB unpacked")
    write_bundle(written, ABOUT, FILES)
    refused(rewritten(written, lambda members: members.update(two)), out, "larger than")
    # A member whose headers state less than the stream holds: no more than the stated size is ever written.
    write_bundle(written, ABOUT, {**FILES, bomb: b"small"})

    def inflate(members: dict[str, bytes]) -> None:
        members[bomb] = bytes(2**19)

    rewritten(written, inflate)
    content = bytearray(written.read_bytes())
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(bomb.encode()) - (30 if signature == b"PK\x03\x04" else 46)
        if signature == b"PK\x01\x02":
            at = content.rindex(bomb.encode()) - 46
        assert content[at:at + 4] == signature
        content[at + place:at + place + 4] = struct.pack("<L", 5)
    written.write_bytes(content)
    with pytest.raises(BundleError):
        read_bundle(written, tmp_path / "deep")
    assert (tmp_path / "deep" / bomb).stat().st_size <= 5


def test_too_many_files_are_refused_before_the_list_is_read(written: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(bundle, "MOST_FILES", 2)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the archive was opened"))
    refused(written, tmp_path / "out", "4 files")


@pytest.mark.parametrize("change", [
    lambda content: content[:-1], lambda content: content[:40], lambda content: b"", lambda content: content + b"x",
    lambda content: b"name: experiment\n", lambda content: content[:900] + content[909:],
])
def test_what_is_no_whole_archive_is_refused(written: Path, tmp_path: Path, change: Callable[[bytes], bytes]):
    written.write_bytes(change(written.read_bytes()))
    refused(written, tmp_path / "out", "zip archive|it has no end|behind its end")


def test_no_flipped_byte_passes_or_raises_anything_else(written: Path, tmp_path: Path):
    content, chance = written.read_bytes(), np.random.default_rng(0)
    passed = 0
    for number, place in enumerate(chance.integers(0, len(content), 250)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(chance.integers(8))
        written.write_bytes(flipped)
        try:
            found = read_bundle(written, tmp_path / str(number))
        except BundleError:
            continue
        # Dates and versions of the headers are nobody's content.
        assert {name: (found.folder / name).read_bytes() for name in found.names} == FILES
        passed += 1
    assert passed < 60


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path):
    refused(tmp_path / "none.zip", tmp_path / "out", "no such file")
    (tmp_path / "folder.zip").mkdir()
    refused(tmp_path / "folder.zip", tmp_path / "out", "directory")


def test_what_nobody_could_read_is_not_written(tmp_path: Path, monkeypatch):
    with pytest.raises(SpecError, match="holds no"):
        write_bundle(tmp_path / "c.zip", ABOUT, {"../x": b""})
    monkeypatch.setattr(bundle, "MOST_UNPACKED", 100)
    with pytest.raises(SpecError, match="Choose cells"):
        write_bundle(tmp_path / "c.zip", ABOUT, FILES)
    assert not list(tmp_path.iterdir())
