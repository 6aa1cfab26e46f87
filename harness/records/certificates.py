"""The certificates of a store: <store>/certificates/<key>.json, one for all cells that it covers.

A certificate comes and goes as plain data (what it means: harness/certify/certificate.py). Its key is the hash of what
decides a training apart from seed and backend: every cell finds its certificate by what it was to run, and a record
by its own "cell".
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.records import strict_json

FOLDER = "certificates"
SCHEMA = 1
SAME_TO_ROUNDING, SAME_IN_DISTRIBUTION = "same to rounding", "same in distribution"
DIFFERENT, NOT_CERTIFIED = "different", "not certified"
LABELS = (SAME_TO_ROUNDING, SAME_IN_DISTRIBUTION, DIFFERENT, NOT_CERTIFIED)
KEY = re.compile(r"[0-9a-f]{16}")
# Parts of a cell that decide what is trained and by which program; "identity" is what its data's files were.
DECIDING = ("data", "identity", "recipe", "execution", "checkpoints")


def certificate_key(cell: Mapping[str, Any]) -> str | None:
    """16 hexadecimal characters for the "cell" of a record; None for a cell written before there were certificates.

    Those did not keep what their data's files were, so nothing ties a certificate to them.
    """
    model = cell.get("model")
    if "identity" not in cell or not isinstance(model, Mapping) or not model.get("digest"):
        return None
    content = {"model": model["digest"], **{name: cell.get(name) for name in DECIDING}}
    return hashlib.sha256(strict_json.canonical(content).encode(errors="backslashreplace")).hexdigest()[:16]


def certificate_path(store: Path | str, key: str) -> Path:
    return Path(store) / FOLDER / f"{key}.json"


def write_certificate(store: Path | str, key: str, data: Mapping[str, Any]) -> Path:
    """Writes a certificate, whole or not at all; one that is there is replaced. Raises HarnessError for no key."""
    if not KEY.fullmatch(key):
        raise HarnessError(f"{key!r} is no key of a certificate.")
    path = certificate_path(store, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{key}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(strict_json.dumps({**data, "key": key}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read_certificates(store: Path | str, notes: list[str] | None = None) -> dict[str, dict[str, Any]]:
    """key -> certificate, of all whole ones. What is damaged is passed over with a sentence added to `notes`.

    Numbers that are not finite stand as the strings of strict_json.
    """
    folder = Path(store) / FOLDER
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        if not KEY.fullmatch(path.stem):
            continue
        problem, data = _read(path)
        if problem is None:
            found[path.stem] = data
        elif notes is not None and (note := f"passed over: {path}: {problem}.") not in notes:
            notes.append(note)
    return found


def _read(path: Path) -> tuple[str | None, dict[str, Any]]:
    """(what is wrong with it, the certificate)."""
    try:
        data = strict_json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return f"no readable certificate ({error})", {}
    if not isinstance(data, dict):
        return f"expected an object, found {type(data).__name__}", {}
    schema = data.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        return f"the certificate has schema {schema}, this version reads up to {SCHEMA}", {}
    if schema != SCHEMA or isinstance(schema, bool):
        return f"schema is {schema!r}, expected {SCHEMA}", {}
    if data.get("key") != path.stem:
        return f"it is the certificate {data.get('key')!r}", {}
    if data.get("label") not in LABELS:
        return f"label is {data.get('label')!r}", {}
    if not _is_ladder(data.get("phases")):
        return "'phases' is no list of ladders", {}
    return None, data


def _is_ladder(phases: Any) -> bool:
    return isinstance(phases, list) and all(
        isinstance(phase, dict) and isinstance(phase.get("rungs"), list)
        and all(isinstance(rung, dict) and "name" in rung and "status" in rung for rung in phase["rungs"])
        for phase in phases)
