"""The challenge bundle as a file: a zip whose every member is known by name, size and sha256.

    challenge.json               what it is, and {"files": {name: {"size", "sha256"}}} of all others
    README.txt                   what to do with it, for people
    cells/<id>.json              a run: what is to be run, and what came of it
    losses/<id>.safetensors      the loss of every step
    tapes/<digest>.safetensors   the steps: batches, learning rates, random keys
    data/<fingerprint>.npz       the data, where it was to be included
    weights/<digest>.safetensors first weights that no seed gives
    certificates/<key>.json, blocks/<setting>/<NNNN>.json, experiment.json   as in a folder of results

A bundle comes from somebody else. So it is checked before anything of it is written or parsed: names are of the forms
above and no others (nothing leaves the folder, no symbolic link, no folder, no device), no name twice, sizes are
declared and bounded, and every member is read in pieces and no further than its declared size. The digest is sha256
over all that challenge.json says: whoever knows it knows that he has the bundle that was meant.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from harness.errors import SpecError
from harness.records import strict_json

FORMAT, SCHEMA = "harness challenge", 1
MANIFEST, README, EXPERIMENT = "challenge.json", "README.txt", "experiment.json"
NAMES = re.compile(
    r"README\.txt|experiment\.json|cells/[0-9a-z]{1,64}\.json|losses/[0-9a-z]{1,64}\.safetensors"
    r"|tapes/[0-9a-f]{64}\.safetensors|data/[0-9a-f]{64}\.npz|weights/[0-9a-f]{64}\.safetensors"
    r"|certificates/[0-9a-f]{16}\.json|blocks/[0-9a-f]{12}/[0-9]{4,8}\.json"
)
# What a bundle may be, packed and unpacked, in bytes; and how many files.
MOST_PACKED, MOST_UNPACKED, MOST_FILES = 512 * 2**20, 1024 * 2**20, 20_000
MOST_MANIFEST, MOST_JSON = 8 * 2**20, 32 * 2**20
PIECE = 2**20
# The end of a zip's central directory: signature, ..., entries, bytes of the directory, its place, comment's length.
END, END_SIGNATURE, ZIP64_SIGNATURE = struct.Struct("<4s4H2LH"), b"PK\x05\x06", b"PK\x06\x07"
LONGEST_COMMENT = 2**16
# Every member gets this time: the same content gives the same bytes.
NO_TIME = (1980, 1, 1, 0, 0, 0)
HINT = "Ask for the bundle again; `harness bundle` prints the digest of what it writes."


class BundleError(SpecError):
    """A file that is no challenge bundle, or no longer the one that was written. Nothing of it was used."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that was checked and unpacked into `folder`. about: challenge.json without its list of files."""

    folder: Path
    about: dict[str, Any]
    names: tuple[str, ...]
    digest: str

    def json(self, name: str) -> Any:
        """A member as data. Raises BundleError for one that is missing or no JSON."""
        if name not in self.names:
            raise BundleError(f"the bundle has no {name}.", hint=HINT)
        return read_json((self.folder / name).read_bytes(), name)

    def below(self, folder: str) -> list[str]:
        """The names of the members in a folder, sorted."""
        return [name for name in self.names if name.startswith(f"{folder}/")]

    def path(self, name: str) -> Path | None:
        """Where a member lies; None where there is none of that name."""
        return self.folder / name if name in self.names else None


def digest_of(manifest: Mapping[str, Any]) -> str:
    """sha256 over what challenge.json says, names, sizes and hashes of all other members among it."""
    said = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(strict_json.canonical(said).encode(errors="backslashreplace")).hexdigest()


def write_bundle(path: Path | str, about: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """Writes a bundle, whole or not at all; returns its digest. The same content gives the same bytes.

    about: what challenge.json says besides. Raises SpecError for a bundle that nobody could read.
    """
    path = Path(path)
    for name in files:
        if not NAMES.fullmatch(name):
            raise BundleError(f"a bundle holds no {name!r}.", where=str(path))
    total = sum(map(len, files.values()))
    if total > MOST_UNPACKED or len(files) > MOST_FILES:
        raise SpecError(f"the bundle would hold {len(files)} files and {total / 2**20:,.0f} MiB; at most {MOST_FILES} "
                        f"and {MOST_UNPACKED // 2**20} MiB are read.", where=str(path),
                        hint="Choose cells: harness bundle RESULTS seed=0. Or leave out --with-data.")
    listed = {name: {"size": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
              for name in sorted(files)}
    manifest = {"format": FORMAT, "schema": SCHEMA, **about, "files": listed}
    digest = digest_of(manifest)
    text = strict_json.dumps({**manifest, "digest": digest})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with zipfile.ZipFile(temporary, "w") as archive:
            for name, content in ((MANIFEST, to_bytes(text)), *((name, files[name]) for name in listed)):
                entry = zipfile.ZipInfo(name, NO_TIME)
                entry.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 6)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def is_bundle(name: str) -> bool:
    """Whether a command's argument names a bundle rather than an experiment."""
    return name.lower().endswith(".zip")


def read_bundle(path: Path | str, folder: Path) -> Bundle:
    """Checks a bundle from its first byte to its last and unpacks it into `folder`, which is empty.

    Raises BundleError for anything that `write_bundle` did not write, or that was changed since. Memory: a piece of
    `PIECE` bytes, and the manifest.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            _check_ends(file, path)
            with zipfile.ZipFile(file) as archive:
                return _unpack(archive, folder)
    except BundleError as error:
        raise error.at(str(path)) from None
    except (FileNotFoundError, IsADirectoryError, PermissionError, FileExistsError) as error:
        raise BundleError(f"{(error.strerror or str(error)).lower()}.", where=str(path)) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, RuntimeError, OSError,
            ValueError) as error:  # what zipfile raises of archives that someone has put together by hand
        raise BundleError(f"this is no whole zip archive ({error}).", where=str(path), hint=HINT) from None


def _check_ends(file: BinaryIO, path: Path) -> None:
    """How much there is, before a library makes an object of every entry."""
    size = os.fstat(file.fileno()).st_size
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        raise BundleError("this is no file.")
    if size > MOST_PACKED:
        raise BundleError(f"{size / 2**20:,.0f} MiB; a bundle has at most {MOST_PACKED // 2**20} MiB.")
    start = max(0, size - END.size - LONGEST_COMMENT)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(END_SIGNATURE)
    if at < 0 or len(tail) - at < END.size:
        raise BundleError("this is no whole zip archive (it has no end).", hint=HINT)
    _, _, _, _, entries, directory, _, comment = END.unpack(tail[at:at + END.size])
    if ZIP64_SIGNATURE in tail or comment or at + END.size != len(tail):
        raise BundleError("no bundle is written so (a zip64 archive, or something behind its end).", hint=HINT)
    if entries > MOST_FILES + 1 or directory > 512 * (entries + 1):
        raise BundleError(f"{entries} files; a bundle has at most {MOST_FILES}.")
    file.seek(0)


def _unpack(archive: zipfile.ZipFile, folder: Path) -> Bundle:
    entries = archive.infolist()
    for entry in entries:
        _check_entry(entry)
    found = {entry.filename: entry for entry in entries}
    if len(found) != len(entries):
        raise BundleError("a name is there twice.", hint=HINT)
    if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise BundleError(f"unpacked it is larger than {MOST_UNPACKED // 2**20} MiB; a bundle is not.")
    if MANIFEST not in found:
        raise BundleError(f"it has no {MANIFEST}: this is no challenge bundle.")
    about = _manifest(archive, found.pop(MANIFEST))
    files = about.pop("files")
    if set(files) != set(found):
        odd = sorted(set(files) ^ set(found))
        raise BundleError(f"it was changed: {odd[0]} is {'missing' if odd[0] in files else 'not of it'}.", hint=HINT)
    for name in sorted(found):
        _extract(archive, found[name], files[name], folder / name)
    return Bundle(folder, about, tuple(sorted(found)), str(about["digest"]))


def _check_entry(entry: zipfile.ZipInfo) -> None:
    # orig_filename is what stands in the file: ZipInfo cuts a name at a NUL byte.
    name = entry.orig_filename
    if name != entry.filename or (name != MANIFEST and not NAMES.fullmatch(name)):
        raise BundleError(f"a bundle holds no {name[:100]!r}.", hint="Nothing was unpacked.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise BundleError(f"{name} is no plain file.", hint="Nothing was unpacked.")
    if entry.flag_bits & 0x1:
        raise BundleError(f"{name} is encrypted.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BundleError(f"{name} is packed in a way that no bundle is.")
    limit = MOST_MANIFEST if name == MANIFEST else MOST_JSON if name.endswith((".json", ".txt")) else MOST_UNPACKED
    if entry.file_size > limit:
        raise BundleError(f"{name} has {entry.file_size / 2**20:,.0f} MiB unpacked; at most {limit // 2**20} are read.")


def _manifest(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> dict[str, Any]:
    with archive.open(entry) as file:
        data = read_json(file.read(MOST_MANIFEST + 1), MANIFEST)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BundleError(f"{MANIFEST} does not say that this is a challenge bundle.")
    schema = data.get("schema")
    if isinstance(schema, int) and not isinstance(schema, bool) and schema > SCHEMA:
        raise BundleError(f"the bundle has schema {schema}, this version reads up to {SCHEMA}.",
                          hint="Update the harness.")
    files = data.get("files")
    if schema != SCHEMA or not isinstance(files, dict) or not all(
            isinstance(item, dict) and isinstance(item.get("sha256"), str) and isinstance(item.get("size"), int)
            for item in files.values()):
        raise BundleError(f"{MANIFEST} does not list its files.", hint=HINT)
    if digest_of(data) != data.get("digest"):
        raise BundleError(f"it was changed: {MANIFEST} does not have the digest that it states.", hint=HINT)
    return data


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, stated: Mapping[str, Any], target: Path) -> None:
    """Writes one member, no further than its stated size."""
    name = entry.filename
    if entry.file_size != stated["size"]:
        raise BundleError(f"it was changed: {name} has not the size that was written.", hint=HINT)
    target.parent.mkdir(parents=True, exist_ok=True)
    seen, written = hashlib.sha256(), 0
    with archive.open(entry) as source, target.open("xb") as file:
        while piece := source.read(PIECE):
            written += len(piece)
            if written > stated["size"]:
                break
            seen.update(piece)
            file.write(piece)
    if written != stated["size"] or seen.hexdigest() != stated["sha256"]:
        raise BundleError(f"it was changed: {name} is not what was written.", hint=HINT)


def read_json(content: bytes, name: str) -> Any:
    """Strict JSON. Raises BundleError."""
    try:
        return strict_json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is not readable ({str(error)[:200]}).", hint=HINT) from None


def to_bytes(text: str) -> bytes:
    """UTF-8; a lone surrogate, of a name that no one should have given, becomes its escape."""
    return text.encode("utf-8", errors="backslashreplace")
