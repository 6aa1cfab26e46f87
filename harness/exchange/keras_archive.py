"""Opens what Keras writes to disk without running any of it: .keras archives, .h5 files, config JSON.

What a file is, is told by its first bytes. Of an archive only the config, the weights and vocabularies are ever
read, and nothing is unpacked to disk; names that leave the folder, links, doubles, encrypted members and compression
bombs are refused first.
"""

from __future__ import annotations

import io
import json
import mmap
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from harness.errors import SpecError, did_you_mean

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
LARGEST_CONFIG = 64 * 2**20
MOST_MEMBERS = 10_000
# A member that unpacks to more than this and to more than that many times its packed size is a bomb (Keras has
# the same rule, saving_lib.py: _reject_zip_bomb).
LARGE, MOST_EXPANSION = 16 * 2**20, 100
HEADER = 30  # bytes of a local file header before its name
KINDS = (
    (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"\x89HDF\r\n\x1a\n", "hdf5"), (b"\x80", "pickle"),
    (b"\x93NUMPY", "npy"),
)


def kind_of(path: Path) -> str:
    """"zip", "hdf5", "json", "pickle", ... by the first bytes. Raises SpecError for a folder, nothing, no file."""
    if path.is_dir():
        raise SpecError("expected a file, found a folder.", where=str(path),
                        hint="A SavedModel holds TensorFlow code: save the Keras model as .keras instead.")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SpecError("this is no regular file.", where=str(path))
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        names = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise SpecError(f"cannot open the file: {error.strerror}.", where=str(path),
                        hint=did_you_mean(path.name, names)) from None
    if not head:
        raise SpecError("the file is empty.", where=str(path))
    for magic, kind in KINDS:
        if head.startswith(magic):
            return kind
    return "json" if head.lstrip()[:1] in (b"{", b"[") else "unknown"


def parse_json(data: bytes, where: str) -> Any:
    """Plain data. Raises SpecError for what is no JSON, nests too deep or holds NaN."""
    def refuse(text: str) -> float:
        if text == "NaN":
            raise ValueError("it holds a number that is none (NaN)")
        return float(text)

    try:
        return json.loads(data.decode("utf-8"), parse_constant=refuse)
    except RecursionError:
        raise SpecError("the JSON nests too deep.", where=where) from None
    except ValueError as error:
        raise SpecError(f"this is no valid JSON: {error}.", where=where) from None


@dataclass(frozen=True)
class Archive:
    """A checked .keras archive: its config, and where the weights lie. assets: the members below assets/."""

    path: Path
    config: Any
    weights: zipfile.ZipInfo | None
    assets: Mapping[str, zipfile.ZipInfo] = field(default_factory=dict)

    def read_asset(self, name: str, most: int) -> bytes:
        """The bytes of one of the assets, `most` at most. Raises SpecError for more, and for damaged ones."""
        with _readable(str(self.path)), zipfile.ZipFile(self.path) as archive:
            return read_member(archive, self.assets[name], most, str(self.path))

    def open_weights(self) -> BinaryIO:
        """The weights' HDF5 file, read in place where it is stored as it is. Raises SpecError for damaged bytes."""
        assert self.weights is not None
        with zipfile.ZipFile(self.path) as archive:
            if self.weights.compress_type != zipfile.ZIP_STORED:
                return io.BytesIO(read_member(archive, self.weights, self.weights.file_size, str(self.path)))
        part = Slice(self.path, self.weights)
        if part.checksum() != self.weights.CRC:
            part.close()
            raise SpecError(f"{WEIGHTS} is damaged: its checksum is wrong.", where=str(self.path))
        return part  # type: ignore[return-value]


def open_archive(path: Path) -> Archive:
    """Reads and checks a .keras file. Raises SpecError for whatever is wrong with it."""
    where = str(path)
    with _readable(where), zipfile.ZipFile(path) as archive:
        members = _checked(archive, path.stat().st_size, where)
        if CONFIG not in members:
            raise SpecError(f"there is no {CONFIG} in the archive.", where=where,
                            hint="A .keras file is written by model.save('model.keras').")
        config = parse_json(read_member(archive, members[CONFIG], LARGEST_CONFIG, where), f"{where}: {CONFIG}")
    assets = {name: member for name, member in members.items() if name.startswith("assets/")}
    return Archive(path, config, members.get(WEIGHTS), assets)


@contextmanager
def _readable(where: str) -> Iterator[None]:
    """Raises SpecError for an archive that zipfile cannot read."""
    try:
        yield
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, OSError, EOFError, RuntimeError) as error:
        raise SpecError(f"this is no readable .keras archive ({error}).", where=where,
                        hint="It may be truncated.") from None


def _checked(archive: zipfile.ZipFile, size: int, where: str) -> dict[str, zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise SpecError(f"the archive has {len(members):,} members.", where=where)
    for name, count in Counter(member.filename for member in members).items():
        if count > 1:
            raise SpecError(f"the archive holds {name!r} {count} times.", where=where)
    for member in members:
        problem = _problem(member, size)
        if problem:
            raise SpecError(f"the archive's member {member.filename[:200]!r} {problem}.", where=where,
                            hint="Keras writes no such archive; it was made or changed by something else.")
    return {member.filename: member for member in members}


def _problem(member: zipfile.ZipInfo, size: int) -> str | None:
    """What is wrong with a member, before a byte of it is read."""
    name = member.filename
    parts = PurePosixPath(name).parts
    if not name or "\\" in name or "\0" in member.orig_filename or ":" in (parts[0] if parts else ""):
        return "has a name that is none"
    if name.startswith("/") or ".." in parts:
        return "leaves the folder"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way that Keras does not use"
    if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
        return "has two sizes"
    if member.compress_size > size:
        return "says that it is larger than the archive"
    if member.file_size > max(LARGE, MOST_EXPANSION * member.compress_size):
        return f"unpacks to {member.file_size:,} bytes from {member.compress_size:,}: a decompression bomb"
    return None


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int, where: str) -> bytes:
    """A member's bytes, `most` at most, whatever size it says it has."""
    if member.file_size > most:
        raise SpecError(f"{member.filename} has {member.file_size:,} bytes, more than {most:,}.", where=where)
    try:
        with archive.open(member) as file:
            data = file.read(most + 1)
    except zlib.error as error:
        raise SpecError(f"{member.filename} is damaged ({error}).", where=where) from None
    if len(data) > most:
        raise SpecError(f"{member.filename} unpacks to more than {most:,} bytes.", where=where)
    return data


class Slice(io.RawIOBase):
    """A stored member of an archive as a file of its own: nothing is copied, the file is mapped into memory."""

    def __init__(self, path: Path, member: zipfile.ZipInfo) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        place = member.header_offset
        header = self._map[place:place + HEADER]
        # The name and the extra field of the local header; the central directory may have others.
        start = place + HEADER + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        if header[:4] != b"PK\x03\x04" or start + member.file_size > len(self._map):
            self._map.close()
            raise SpecError(f"{member.filename} is not where the archive says.", where=str(path))
        self._data = memoryview(self._map)[start:start + member.file_size]
        self._place = 0

    def checksum(self) -> int:
        return zlib.crc32(self._data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._data)}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        part = self._data[self._place:self._place + len(view)]
        view[:len(part)] = part
        self._place += len(part)
        return len(part)

    def close(self) -> None:
        if not self.closed:
            self._data.release()
            self._map.close()
        super().close()
