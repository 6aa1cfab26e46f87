"""One store of several: those of machines that shared an experiment."""

from __future__ import annotations

import filecmp
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import SpecError
from harness.records import blocks, certificates, strict_json
from harness.records.experiment_file import EXPERIMENT_FILE, require_store
from harness.records.folder import RUN_FILE, TEMPORARY, owner
from harness.records.leftovers import LOGS
from harness.records.planned import read_planned, write_planned
from harness.records.running import read_running
from harness.records.store import Store

# What of a certificate says when and how long, not what.
WHEN = ("made_at", "seconds")


@dataclass
class Merged:
    """What a merge made. records, blocks, certificates: how many are in it; twice: records that several stores had."""

    path: Path
    records: int = 0
    twice: int = 0
    blocks: int = 0
    certificates: int = 0
    notes: list[str] = field(default_factory=list)


def merge(sources: Sequence[Path], out: Path) -> Merged:
    """Copies the records, blocks and certificates of all sources into a new store. Raises SpecError, and leaves
    nothing, where two stores hold the same cell, or the same certificate, with another content."""
    stores = [Store(require_store(path)) for path in sources]
    _check_places(stores, out)
    merged = Merged(out)
    where = _cells(stores, merged)
    proofs = _certificates(stores, merged)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.parent / f"{TEMPORARY}{out.name}-{owner()}-{secrets.token_hex(4)}"
    try:
        (temporary / "cells").mkdir(parents=True)
        for id, store in where.items():
            _copy_record(store, id, temporary)
        for key, path in proofs.items():
            target = certificates.certificate_path(temporary, key)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
        _merge_blocks(stores, temporary, merged)
        _describe(stores, temporary, merged)
        if out.is_dir():
            out.rmdir()  # it is empty
        os.rename(temporary, out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    merged.notes[:0] = [note for store in stores for note in store.notes]
    return merged


def _check_places(stores: Sequence[Store], out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SpecError("there is something already.", where=str(out), hint="Name a folder that does not exist.")
    if len({store.path.resolve() for store in stores}) < len(stores) or len(stores) < 2:
        raise SpecError("a merge is of two stores or more, each named once.",
                        where=" ".join(str(store.path) for store in stores))
    for store in stores:
        if any(run.alive for run in read_running(store.path)):
            raise SpecError("a run is at work there.", where=str(store.path),
                            hint="Merge it when the run has ended; `harness status` says when that is.")


def _cells(stores: Sequence[Store], merged: Merged) -> dict[str, Store]:
    """id -> the first store that holds its record whole. Raises SpecError naming every cell that differs."""
    found: dict[str, Store] = {}
    differing = []
    for store in stores:
        for id in store.finished():
            if not _is_plain(store.folder(id)):
                merged.notes.append(f"passed over: {store.folder(id)}: a link in it, or itself, leads elsewhere.")
            elif id not in found:
                found[id] = store
            else:
                merged.twice += 1
                if not _equal(found[id].folder(id), store.folder(id)):
                    differing.append(f"{id} in {found[id].path} and {store.path}")
    if differing:
        raise SpecError(
            f"{len(differing)} cell{'s were' if len(differing) > 1 else ' was'} run in both, with another content: "
            f"{'; '.join(differing[:10])}{'; ...' if len(differing) > 10 else ''}.", where="merge",
            hint="Keep one of each: harness rm STORE id=... --yes.")
    merged.records = len(found)
    return found


def _is_plain(folder: Path) -> bool:
    """Whether it is a folder of files, and no link leads out of it."""
    return not folder.is_symlink() and not any(path.is_symlink() for path in folder.iterdir())


def _equal(a: Path, b: Path) -> bool:
    """Whether two records have the same files with the same bytes."""
    names = sorted(path.name for path in a.iterdir())
    if names != sorted(path.name for path in b.iterdir()):
        return False
    # run.json first: it differs where anything does.
    return all(filecmp.cmp(a / name, b / name, shallow=False) for name in sorted(names, key=lambda n: n != RUN_FILE))


def _copy_record(store: Store, id: str, out: Path) -> None:
    target = out / "cells" / id
    target.mkdir()
    for path in store.folder(id).iterdir():
        if path.is_file():
            shutil.copyfile(path, target / path.name)
    log = store.path / LOGS / f"{id}.log"
    if log.is_file() and not log.is_symlink():
        (out / LOGS).mkdir(exist_ok=True)
        shutil.copyfile(log, out / LOGS / log.name)


def _certificates(stores: Sequence[Store], merged: Merged) -> dict[str, Path]:
    """key -> the file that is kept: the first of several that say the same. Raises SpecError where they do not."""
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for store in stores:
        for key, data in certificates.read_certificates(store.path, store.notes).items():
            path = certificates.certificate_path(store.path, key)
            known = found.setdefault(key, (path, data))
            if known[1]["label"] != data["label"]:
                raise SpecError(
                    f"the certificate {key} is {known[1]['label']!r} in {known[0]} and {data['label']!r} in {path}.",
                    where="merge", hint="Certify it anew, and remove the other one's file.")
            if known[0] != path and _without(known[1]) != _without(data):
                merged.notes.append(f"certificate {key}: made twice, with the same label; that of {known[0]} is kept.")
    merged.certificates = len(found)
    return {key: path for key, (path, _) in found.items()}


def _without(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in WHEN}


def _merge_blocks(stores: Sequence[Store], out: Path, merged: Merged) -> None:
    """All blocks, each once. Two machines count from 0 both: what differs under one number gets the next free one."""
    kept: dict[str, dict[int, str]] = {}
    for store in stores:
        for setting, found in blocks.read_blocks(store.path, store.notes).items():
            numbers = kept.setdefault(setting, {})
            for block in found:
                text = strict_json.canonical({key: value for key, value in block.data.items() if key != "number"})
                if text in numbers.values():
                    continue
                number = block.number if block.number not in numbers else max(numbers) + 1
                numbers[number] = text
                blocks.write_block(out, {**block.data, "number": number})
    merged.blocks = sum(len(numbers) for numbers in kept.values())


def _describe(stores: Sequence[Store], out: Path, merged: Merged) -> None:
    """experiment.json of the first that has one, and what all of them planned."""
    files = [store.path / EXPERIMENT_FILE for store in stores]
    texts = [file.read_bytes() for file in files if file.is_file()]
    if texts:
        (out / EXPERIMENT_FILE).write_bytes(texts[0])
    if len(set(texts)) > 1:
        merged.notes.append(f"the stores say different things of the experiment; {EXPERIMENT_FILE} is the first one's.")
    lists = [ids for store in stores if (ids := read_planned(store.path)) is not None]
    if lists:
        write_planned(out, dict.fromkeys(id for ids in lists for id in ids))
