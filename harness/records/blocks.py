"""The timed blocks of a store: <store>/blocks/<setting>/<NNNN>.json, one file per block.

A block is one comparison of a setting's two backends, each half of it timed in a process of its own. What stands in a
half is written by the room that measures (docs/record-format.md); here is what all readers rely on.
"""

from __future__ import annotations

import math
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, SpecError
from harness.records import strict_json
from harness.records.folder import TEMPORARY, owner, stale
from harness.records.index import DAMAGED, Entry, Index
from harness.records.settings_key import KEY

FOLDER = "blocks"
SCHEMA = 1
DONE, FAILED, DROPPED = "done", "failed", "dropped"
STATUSES = (DONE, FAILED, DROPPED)
FILE = re.compile(r"\d{4,8}")


class DamagedBlockError(HarnessError):
    """A file that is no whole block. It counts as not there."""


@dataclass(frozen=True, eq=False)
class Block:
    """One block, as it stands in its file."""

    data: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Block({self.setting}, {self.number}, {self.status})"

    @property
    def setting(self) -> str:
        """The setting's id: 12 hexadecimal characters (records/settings_key.py)."""
        return str(self.data["setting"])

    @property
    def number(self) -> int:
        """Counted from 0 within the setting, those that failed or were dropped included."""
        return int(self.data["number"])

    @property
    def order(self) -> tuple[str, str]:
        """The two backends, the one that was timed first in front."""
        first, second = self.data["order"]
        return str(first), str(second)

    @property
    def status(self) -> str:
        """ "done"; "failed" (a half ended without a result); "dropped" (for a recorded cause, never its value)."""
        return str(self.data["status"])

    @property
    def reason(self) -> dict[str, Any] | None:
        """None of a block that is done, else {"kind", "message"}."""
        return self.data.get("reason")

    @property
    def cell(self) -> dict[str, Any]:
        """What was timed: a record's "cell" without backend and seed."""
        return self.data["cell"]  # type: ignore[no-any-return]

    @property
    def halves(self) -> dict[str, dict[str, Any]]:
        """backend -> what was measured there; of a block that is not done, those halves that came to an end."""
        return self.data["halves"]  # type: ignore[no-any-return]

    @property
    def machine(self) -> dict[str, Any]:
        return self.data.get("machine") or {}

    def samples_per_second(self, backend: str) -> float | None:
        """Examples of the timed window over its seconds; None where that half has none."""
        window = (self.halves.get(backend) or {}).get("window") or {}
        samples, seconds = window.get("samples"), window.get("seconds")
        if not _is_positive(samples) or not _is_positive(seconds):
            return None
        assert samples is not None
        assert seconds is not None
        return float(samples) / float(seconds)


def block_path(store: Path | str, setting: str, number: int) -> Path:
    """Where a block lies or will lie. Raises HarnessError for what is no id of a setting."""
    if not KEY.fullmatch(setting) or number < 0:
        raise HarnessError(f"{setting!r}, {number!r} is no block.")
    return Path(store) / FOLDER / setting / f"{number:04d}.json"


def write_block(store: Path | str, data: Mapping[str, Any]) -> Path:
    """Writes a block, whole or not at all; one that is there is replaced. data: without "schema".

    Raises HarnessError for what `read_block` would not take.
    """
    data = {"schema": SCHEMA, **data}
    problem = _problem(data)
    if problem is not None:
        raise HarnessError(f"a block that cannot be written: {problem}.")
    path = block_path(store, data["setting"], data["number"])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{path.stem}-{owner()}-{secrets.token_hex(4)}")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(strict_json.dumps(data) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read_block(path: Path) -> Block:
    """Raises DamagedBlockError for what is no whole block, SpecError for one of a newer version."""
    try:
        data = strict_json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedBlockError(f"{path}: no readable block ({error}).") from None
    if not isinstance(data, dict):
        raise DamagedBlockError(f"{path}: expected an object, found {type(data).__name__}.")
    schema = data.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise SpecError(f"the block has schema {schema}, this version reads up to {SCHEMA}.", where=str(path),
                        hint="Update the harness, or point it at another store.")
    data["halves"] = strict_json.to_numbers(data.get("halves"))
    problem = _problem(data)
    if problem is None and (data["setting"], data["number"]) != (path.parent.name, int(path.stem)):
        problem = f"it is block {data['number']} of {data['setting']}"
    if problem is not None:
        raise DamagedBlockError(f"{path}: {problem}.")
    return Block(data)


def read_blocks(store: Path | str, notes: list[str] | None = None) -> dict[str, list[Block]]:
    """Setting -> its blocks by number. What is damaged is passed over with a sentence added to `notes`.

    Raises SpecError for a block of a newer version.
    """
    entries, contents = block_index(store).contents(block_ids(store))
    note_damaged(entries, notes)
    found: dict[str, list[Block]] = {}
    for id, content in contents.items():
        found.setdefault(id.partition("/")[0], []).append(Block(content.data))
    return found


def block_ids(store: Path | str) -> list[str]:
    """ "setting/number" of every file that may be a block, by setting and number."""
    folder = Path(store) / FOLDER
    settings = sorted(name for name in os.listdir(folder) if KEY.fullmatch(name)) if folder.is_dir() else []
    found = []
    for setting in settings:
        names = os.listdir(folder / setting) if (folder / setting).is_dir() else []
        stems = [name.removesuffix(".json") for name in names if name.endswith(".json")]
        found += [f"{setting}/{stem}" for stem in sorted(filter(FILE.fullmatch, stems), key=int)]
    return found


def block_index(store: Path | str) -> Index:
    """What the blocks say, kept beside them where there are many."""
    folder = Path(store) / FOLDER

    def read(id: str) -> tuple[Entry, dict[str, Any] | None]:
        path = folder / f"{id}.json"
        try:
            block = read_block(path)
        except DamagedBlockError as error:
            return Entry(id, DAMAGED, message=f"passed over: {error}"), None
        seconds = block.data.get("seconds")
        own = Entry(id, block.status, seconds=float(seconds) if isinstance(seconds, (int, float)) else 0.0,
                    bytes=path.stat().st_size)
        return own, dict(block.data)

    return Index(Path(store), "blocks", lambda id: f"{folder}/{id}.json", read, (("cell",), ("machine",)), ("halves",))


def note_damaged(entries: Mapping[str, Entry], notes: list[str] | None) -> None:
    """Adds what is wrong with the damaged ones to `notes`, each once."""
    for entry in entries.values():
        if notes is not None and entry.status == DAMAGED and entry.message and entry.message not in notes:
            notes.append(entry.message)


def blocks_of(store: Path | str, setting: str, notes: list[str] | None = None) -> list[Block]:
    """The whole blocks of one setting, by number."""
    blocks = []
    for path in block_path(store, setting, 0).parent.glob("*.json"):
        if not FILE.fullmatch(path.stem):
            continue
        try:
            blocks.append(read_block(path))
        except DamagedBlockError as error:
            note = f"passed over: {error}"
            if notes is not None and note not in notes:
                notes.append(note)
    return sorted(blocks, key=lambda block: block.number)


def clean_blocks(store: Path | str) -> list[str]:
    """Removes what killed writers left among the blocks; returns a note for each. Call it before a run."""
    notes = []
    for path in sorted((Path(store) / FOLDER).glob(f"*/{TEMPORARY}*")):
        if stale(path):
            path.unlink(missing_ok=True)
            notes.append(f"{path.name}: removed, its writer did not finish.")
    return notes


def _problem(data: Mapping[str, Any]) -> str | None:
    """What is wrong with a block, None if nothing is."""
    schema, number, order = data.get("schema"), data.get("number"), data.get("order")
    if schema != SCHEMA or isinstance(schema, bool):
        return f"schema is {schema!r}, expected {SCHEMA}"
    if not KEY.fullmatch(str(data.get("setting"))):
        return f"setting is {data.get('setting')!r}"
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        return f"number is {number!r}"
    if not (isinstance(order, (list, tuple)) and len(order) == 2 and len({str(name) for name in order}) == 2):
        return f"order is {order!r}, expected two backends"
    if data.get("status") not in STATUSES:
        return f"status is {data.get('status')!r}, expected one of {STATUSES}"
    if not isinstance(data.get("cell"), Mapping):
        return "'cell' is missing or no object"
    halves = data.get("halves")
    if not (isinstance(halves, Mapping) and set(halves) <= set(order)
            and all(isinstance(half, Mapping) for half in halves.values())):
        return "'halves' is no object with a half per backend"
    return _end_problem(data, order)


def _end_problem(data: Mapping[str, Any], order: Any) -> str | None:
    """What is wrong with how the block says it ended."""
    if data["status"] != DONE:
        reason = data.get("reason")
        return None if isinstance(reason, Mapping) and reason.get("kind") else "it does not say why it is not done"
    if data.get("reason") is not None:
        return "it is done and gives a reason why it is not"
    missing = [backend for backend in order if Block(data).samples_per_second(str(backend)) is None]
    return f"it is done without a timed window of {' and '.join(map(str, missing))}" if missing else None


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0
