"""What a store's records say, kept in one file beside them: <store>/index.sqlite.

A store of 100,000 records takes minutes to read file by file, and seconds from here. The records stay the truth: an
entry counts only while its file is the very one that was read (place, size, time), every other one is read anew, and
the index may be deleted at any time. A small store has none. Settings and seeds share most of what a record says
(model, recipe, environment): such parts are kept once, and are one object for all records that are read together.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from harness.records import strict_json

FILE = "index.sqlite"
# Raised when an entry holds something else than before.
VERSION = 1
# Records below which reading them all takes less than a second.
WORTH_IT = 1000
DAMAGED = "damaged"
# A file this young may change without its size or time showing it.
YOUNG_SECONDS = 2.0
WAIT_SECONDS = 2.0
# Records that are read before they are put into the index: few enough to be held.
BATCH = 2000
TABLES = ("cells", "blocks")
COLUMNS = ("id", "inode", "size", "time", "status", "kind", "message", "seconds", "bytes", "files")
# Where in a record something stands: ("cell", "model").
Place = tuple[str, ...]


class Entry(NamedTuple):
    """What is known of one record. status: done, failed or damaged (then `message` says what is wrong).

    kind, message: why it failed. seconds: of the whole run, 0 where it was not measured. bytes: of its files together.
    files: name -> size of those that have to lie beside it.
    """

    id: str
    status: str
    kind: str | None = None
    message: str | None = None
    seconds: float = 0.0
    bytes: int = 0
    files: Mapping[str, int] = MappingProxyType({})

    @property
    def reason(self) -> dict[str, str | None] | None:
        """As `Record.reason`."""
        return None if self.kind is None and self.message is None else {"kind": self.kind, "message": self.message}


@dataclass(frozen=True)
class Content:
    """What a whole record says. parts: place of a shared part -> its key; equal keys, equal (and the same) part."""

    data: dict[str, Any]
    parts: Mapping[Place, str] = field(default_factory=dict)


# id -> (entry, what the record says; None of a damaged one).
Read = Callable[[str], tuple[Entry, dict[str, Any] | None]]
Stamp = tuple[int, int, int]
Seen = tuple[Stamp, Entry, dict[str, Any] | None]


class Index:
    """The entries of a store, up to date when they are asked for.

    table: of the database, "cells" or "blocks". place: id -> the file that says everything. read: id -> what that says
    now. shared: where in it the parts stand that many have in common; numbers: which of its sections hold numbers, that
    may not be finite.
    """

    def __init__(
        self, store: Path, table: str, place: Callable[[str], str], read: Read, shared: Sequence[Place],
        numbers: Sequence[str],
    ) -> None:
        self.path, self.table, self.place, self.read = store / FILE, table, place, read
        self.shared, self.numbers = shared, numbers

    def entries(self, ids: Sequence[str], *, files: bool = False) -> dict[str, Entry]:
        """id -> entry, whole and damaged ones. files: also makes sure that the files beside are there in the size that
        it says."""
        return self._fresh(ids, files)[0]

    def contents(
        self, ids: Sequence[str], wanted: Callable[[dict[str, Entry]], Iterable[str]] | None = None,
    ) -> tuple[dict[str, Entry], dict[str, Content]]:
        """(the entries, id -> content of the whole ones), both in the order of `ids`, which are all that the store
        has. wanted: which of them, all where None."""
        entries, held = self._fresh(ids, False)
        chosen = entries if wanted is None else {id: entries[id] for id in wanted(entries)}
        whole = [id for id, entry in chosen.items() if entry.status != DAMAGED]
        found = {id: Content(data) for id, data in held.items()}
        if missing := {id for id in whole if id not in found}:
            with self._open() as database:
                found.update(self._kept(database, missing))
        for id in whole:  # those that the index has lost meanwhile
            if id not in found and (data := self.read(id)[1]) is not None:
                found[id] = Content(data)
        return entries, {id: found[id] for id in whole if id in found}

    def _kept(self, database: sqlite3.Connection | None, wanted: set[str]) -> Iterator[tuple[str, Content]]:
        if database is None:
            return
        try:
            parts = {key: json.loads(value) for key, value in database.execute("SELECT key, value FROM parts")}
            for id, value in database.execute(f"SELECT id, value FROM {self.table}_values"):
                if id in wanted:
                    text = zlib.decompress(value)
                    data, keys = json.loads(text)
                    if b'"NaN"' in text or b'Infinity"' in text:
                        data.update({name: strict_json.to_numbers(data[name]) for name in self.numbers if name in data})
                    places = dict(zip(self.shared, keys, strict=True))
                    yield id, Content(_joined(data, places, parts), places)
        except (sqlite3.Error, ValueError, KeyError, zlib.error):
            return

    def _fresh(self, ids: Sequence[str], files: bool) -> tuple[dict[str, Entry], dict[str, dict[str, Any]]]:
        """(all entries, the contents of those that were read and that the index does not hold)."""
        with self._open() as database:
            known = {} if database is None else _known(database, self.table)
        entries: dict[str, Entry] = {}
        held: dict[str, dict[str, Any]] = {}
        batch: list[Seen] = []
        for id in ids:
            stamp = _stamp(self.place(id))
            before = known.get(id)
            if before is not None and before[0] == stamp and not (files and self._damaged(before[1])):
                entries[id] = before[1]
                continue
            entry, data = self.read(id)
            entries[id] = entry
            batch.append((stamp or (0, 0, 0), entry, data))
            if len(batch) == BATCH:
                held.update(self._keep(batch, (), len(ids)))
                batch = []
        held.update(self._keep(batch, [id for id in known if id not in entries], len(ids)))
        return entries, held

    def _damaged(self, entry: Entry) -> bool:
        """Whether a file of a record that was whole is gone, or has another size."""
        folder = os.path.dirname(self.place(entry.id))
        for name, size in entry.files.items():
            try:
                if os.stat(os.path.join(folder, name)).st_size != size:
                    return True
            except OSError:
                return True
        return False

    def _keep(self, seen: Sequence[Seen], gone: Sequence[str], size: int) -> dict[str, dict[str, Any]]:
        """Puts what was read into the index of a store of that size; id -> content of what is not in it then."""
        newest = (time.time() - YOUNG_SECONDS) * 1e9
        old = [item for item in seen if 0 < item[0][2] < newest] if size >= WORTH_IT else []
        kept: set[str] = set()
        if (old or gone) and size >= WORTH_IT and self._write(old, gone):
            kept = {entry.id for _, entry, _ in old}
        return {entry.id: data for _, entry, data in seen if data is not None and entry.id not in kept}

    def _write(self, seen: Sequence[Seen], gone: Sequence[str]) -> bool:
        """Whether it was written. An index that is broken is made anew; one that is busy, or only read, is left."""
        for _ in range(2):
            try:
                with self._open(create=True) as database:
                    if database is None:
                        return False
                    with database:
                        self._put(database, seen, gone)
                    return True
            except sqlite3.Error as error:
                if any(word in str(error) for word in ("locked", "busy", "readonly")):
                    return False
                with contextlib.suppress(OSError):
                    self.path.unlink()
        return False

    def _put(self, database: sqlite3.Connection, seen: Sequence[Seen], gone: Sequence[str]) -> None:
        for table in (self.table, f"{self.table}_values"):
            database.executemany(f"DELETE FROM {table} WHERE id = ?", [(id,) for id in gone])
        database.executemany(
            f"INSERT OR REPLACE INTO {self.table} VALUES ({','.join('?' * len(COLUMNS))})",
            ((entry.id, *stamp, entry.status, entry.kind, entry.message, entry.seconds, entry.bytes,
              json.dumps(dict(entry.files))) for stamp, entry, _ in seen))
        parts: dict[str, bytes] = {}
        database.executemany(
            f"INSERT OR REPLACE INTO {self.table}_values VALUES (?, ?)",
            [(entry.id, _packed(_parted(data, self.shared, parts))) for _, entry, data in seen if data is not None])
        database.executemany("INSERT OR IGNORE INTO parts VALUES (?, ?)", parts.items())

    @contextlib.contextmanager
    def _open(self, *, create: bool = False) -> Iterator[sqlite3.Connection | None]:
        """The index; None where there is none that this version can use. create: makes one then, where it can."""
        database = self._opened()
        if database is None and create:
            database = self._created()
        try:
            yield database
        finally:
            if database is not None:
                database.close()

    def _opened(self) -> sqlite3.Connection | None:
        if not self.path.is_file():
            return None
        try:
            opened = sqlite3.connect(self.path, timeout=WAIT_SECONDS)
        except sqlite3.Error:
            return None
        with contextlib.suppress(sqlite3.Error):
            (version,) = opened.execute("PRAGMA user_version").fetchone()
            if version == VERSION:
                return opened
        opened.close()
        return None

    def _created(self) -> sqlite3.Connection | None:
        try:
            self.path.unlink(missing_ok=True)
            made = sqlite3.connect(self.path, timeout=WAIT_SECONDS)
        except (OSError, sqlite3.Error):
            return None
        try:
            with made:
                for table in TABLES:
                    made.execute(f"CREATE TABLE {table} ({', '.join(COLUMNS)}, PRIMARY KEY (id))")
                    made.execute(f"CREATE TABLE {table}_values (id PRIMARY KEY, value)")
                made.execute("CREATE TABLE parts (key PRIMARY KEY, value)")
                made.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.Error:
            made.close()
            return None
        return made


def _stamp(path: str) -> Stamp | None:
    """What tells a file from every other one that was ever at its place; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _known(database: sqlite3.Connection, table: str) -> dict[str, tuple[Stamp, Entry]]:
    """All entries with their stamps; nothing of an index that cannot be read."""
    found: dict[str, tuple[Stamp, Entry]] = {}
    names: dict[str, dict[str, int]] = {}
    try:
        for id, inode, size, time_ns, status, kind, message, seconds, count, files in database.execute(
                f"SELECT {', '.join(COLUMNS)} FROM {table}"):
            if files not in names:
                names[files] = json.loads(files)
            found[id] = (inode, size, time_ns), Entry(id, status, kind, message, seconds, count, names[files])
    except (sqlite3.Error, ValueError, TypeError):
        return {}
    return found


def _parted(data: Mapping[str, Any], shared: Sequence[Place], parts: dict[str, bytes]) -> list[Any]:
    """[the data without its shared parts, their keys in order]; the parts themselves go to `parts`."""
    rest, keys = dict(data), []
    for path in shared:
        inside = rest
        for name in path[:-1]:
            inside[name] = inside = dict(inside.get(name) or {})
        text = _packed(inside.pop(path[-1], None), compress=False)
        key = hashlib.sha256(text).hexdigest()[:16]
        parts.setdefault(key, text)
        keys.append(key)
    return [rest, keys]


def _joined(data: dict[str, Any], keys: Mapping[Place, str], parts: Mapping[str, Any]) -> dict[str, Any]:
    """What `_parted` took apart; a part that was not there stays away."""
    for path, key in keys.items():
        if (part := parts[key]) is not None:
            inside = data
            for name in path[:-1]:
                inside = inside[name]
            inside[path[-1]] = part
    return data


def _packed(value: Any, *, compress: bool = True) -> bytes:
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(strict_json.to_plain(value), separators=(",", ":"))
    return zlib.compress(text.encode(), 1) if compress else text.encode()

