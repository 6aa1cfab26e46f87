"""Running text: files of the user's own, and the King James Bible as Debian packages it."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.fingerprint import file_hash
from harness.data.sources.files import find
from harness.errors import DataError
from harness.spec import sources as spec
from harness.spec.text_sources import KingJamesBible, TextFile

WHOLE_BIBLE = "Gen1:1-Rev22:21"
# Of what `bible -f` prints of all verses, from Debian's bible-kjv-text 4.38.
BIBLE_SHA256 = "cd45f0c9cedab8e4439bd6486c8952c77cc8b0ecc5d1f6ae3513f2039f47229d"


def read(source: spec.Source, base: Path | None) -> Raw:
    """x text [n], in the text's order; there is no target yet."""
    if isinstance(source, KingJamesBible):
        lines = _bible().splitlines()[: source.verses]
        return Raw(Arrays({"x": _array([line.partition(" ")[2] for line in lines])}, {}), ordered=True)
    assert isinstance(source, TextFile)
    parts = {part: Arrays({"x": _array(_units(path, source.unit))}, {}) for part, path in _paths(source, base).items()}
    return Raw(parts["train"], parts.get("validation"), parts.get("test"), ordered=True)


def identity(source: spec.Source, base: Path | None) -> dict[str, Any]:
    if isinstance(source, KingJamesBible):
        return {"sha256": BIBLE_SHA256}
    assert isinstance(source, TextFile)
    return {"files": [file_hash(path) for path in _paths(source, base).values()]}


def _paths(source: TextFile, base: Path | None) -> dict[str, Path]:
    given = {"train": source.text_file, "validation": source.validation, "test": source.test}
    return {part: find(path, base, "text_file") for part, path in given.items() if path}


def _array(texts: list[str]) -> np.ndarray:
    return np.array(texts, dtype=object)


def _units(path: Path, unit: str) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8: the byte {error.start} is not.", where="text_file",
                        hint="Convert it: iconv -f latin1 -t utf-8.") from None
    pieces = {"line": text.splitlines, "paragraph": lambda: re.split(r"\n\s*\n", text), "document": lambda: [text]}
    units = [piece.strip() for piece in pieces[unit]()]
    units = [piece for piece in units if piece]
    if not units:
        raise DataError(f"{path} is empty.", where="text_file", hint="Expected a text.")
    return units


@lru_cache(maxsize=1)
def _bible() -> str:
    """One verse per line, its place in front: "Ge1:1 In the beginning ...", ASCII."""
    program = shutil.which("bible")
    if program is None:
        raise DataError("the command bible is not installed.", where="king_james_bible",
                        hint="Install Debian's packages (apt-get install bible-kjv bible-kjv-text), or give a text of "
                             "your own: {text_file: PATH}.")
    done = subprocess.run([program, "-f", WHOLE_BIBLE], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode or hashlib.sha256(done.stdout).hexdigest() != BIBLE_SHA256:
        raise DataError(f"{program} does not print the published text (exit code {done.returncode}, "
                        f"{len(done.stdout)} bytes).", where="king_james_bible",
                        hint="Install Debian's packages bible-kjv and bible-kjv-text anew.")
    return done.stdout.decode("ascii")
