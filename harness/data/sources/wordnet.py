"""WordNet's glosses, as Debian packages them: a text and the category that its entry is filed under.

Source of the format: wndb(5WN); of the categories: lexnames(5WN), WordNet 3.0, Princeton University.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.fingerprint import file_hash
from harness.data.sources.files import find
from harness.data.splits import drawn
from harness.data.vocabularies import Vocabulary
from harness.errors import DataError
from harness.spec.text_sources import WordNet

DEBIAN_WORDNET = Path("/usr/share/wordnet")
PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
FIRST_NOUN_FILE = 3
# The lexicographer's files 03 to 28.
NOUN_CATEGORIES = (
    "Tops", "act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event", "feeling", "food",
    "group", "location", "motive", "object", "person", "phenomenon", "plant", "possession", "process", "quantity",
    "relation", "shape", "state", "substance", "time",
)
LEAST_OF_A_CLASS = 5  # of those drawn, so that each split can have one


def read(source: WordNet, base: Path | None) -> Raw:
    """x text [n], y int64 [n]: 26 categories of nouns, or 4 parts of speech."""
    texts: list[str] = []
    labels: list[int] = []
    for place, path in enumerate(_paths(source, base)):
        for category, gloss in _entries(path):
            texts.append(gloss if source.text == "gloss" else gloss.split('; "')[0])
            labels.append(category - FIRST_NOUN_FILE if source.target == "lexical_category" else place)
    # One text under two entries would stand in two splits.
    first = {text: place for place, text in reversed(list(enumerate(texts)))}
    kept = np.sort(np.fromiter(first.values(), np.int64, len(first)))
    y = np.array(labels, np.int64)[kept]
    notes = [f"{len(texts) - len(kept)} of {len(texts)} texts left out: they stand in an earlier entry."]
    names = NOUN_CATEGORIES if source.target == "lexical_category" else PARTS_OF_SPEECH
    if source.examples is not None and source.examples < len(kept):
        chosen = drawn(source.examples, source.seed, len(kept), y, LEAST_OF_A_CLASS)
        notes.append(f"{len(chosen)} of {len(kept)} texts, in the classes' proportions "
                     f"(at least {LEAST_OF_A_CLASS} of each).")
        kept, y = kept[chosen], y[chosen]
    x = np.array([texts[place] for place in kept], dtype=object)
    raw = Raw(Arrays({"x": x}, {"y": y}), classes=len(names), notes=notes)
    raw.vocabularies["y"] = Vocabulary(names)
    return raw


def identity(source: WordNet, base: Path | None) -> dict[str, Any]:
    return {"files": [file_hash(path) for path in _paths(source, base)]}


def _paths(source: WordNet, base: Path | None) -> list[Path]:
    folder = DEBIAN_WORDNET if source.folder is None else find(source.folder, base, "wordnet", folder=True)
    names = PARTS_OF_SPEECH if source.target == "part_of_speech" else PARTS_OF_SPEECH[:1]
    paths = [folder / f"data.{name}" for name in names]
    for path in paths:
        if not path.is_file():
            raise DataError(
                f"there is no {path}.", where="wordnet",
                hint="Install Debian's package wordnet-base (apt-get install wordnet-base), or say where the files "
                     "lie: {wordnet: {folder: PATH}}.")
    return paths


def _entries(path: Path) -> list[tuple[int, str]]:
    """(number of the lexicographer's file, gloss) of every entry. The licence's lines begin with a space."""
    entries = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith(" "):
                continue
            head, bar, gloss = line.partition(" | ")
            fields = head.split()
            if not bar or len(fields) < 2 or not fields[1].isdigit() or not gloss.strip():
                raise DataError(f"{path}, line {number} is no entry of WordNet.", where="wordnet",
                                hint="Expected `offset file type ... | gloss` (wndb(5WN)).")
            entries.append((int(fields[1]), gloss.strip()))
    return entries
