"""What the numbers of an array stand for: the tokens of a text, the names of classes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.data.text import words
from harness.errors import DataError

PADDING, UNKNOWN, START, END, MASK = "", "[UNK]", "[START]", "[END]", "[MASK]"
_FEW = 256


@dataclass(frozen=True)
class Vocabulary:
    """tokens: by id. The ids of special tokens, None where there is none; special: all ids that stand for no text."""

    tokens: tuple[str, ...]
    padding: int | None = None
    unknown: int | None = None
    start: int | None = None
    end: int | None = None
    mask: int | None = None
    special: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.tokens)

    def decode(self, ids: Iterable[int], separator: str = "") -> str:
        """The tokens that stand for text, up to the end token."""
        found: list[str] = []
        for place in ids:
            if place == self.end:
                break
            if place not in self.special:
                found.append(self.tokens[place])
        return separator.join(found)

    def summary(self) -> dict[str, Any]:
        """What a record holds of it: size, hash, and the tokens themselves where they are few."""
        content = "\n".join(self.tokens).encode("utf-8", "surrogatepass")
        found: dict[str, Any] = {"size": len(self), "sha256": hashlib.sha256(content).hexdigest()}
        return {**found, "tokens": list(self.tokens)} if len(self) <= _FEW else found

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Vocabulary:
        return cls(**{**data, "tokens": tuple(data["tokens"]), "special": tuple(data["special"])})


def units(text: str, kind: str) -> list[str]:
    """kind: "character", or "word" between white space."""
    return words(text, "character" if kind == "character" else "whitespace")


def counted(
    documents: Iterable[Sequence[str]], start: bool = False, end: bool = False, mask: bool = False,
    most: int | None = None,
) -> Vocabulary:
    """The vocabulary of the documents: padding 0, unknown 1, start, end and mask if wanted, then the most frequent
    tokens first, those that are as frequent by their text. most: its size at most."""
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(document)
    wanted = [(START, start), (END, end), (MASK, mask)]
    special = [PADDING, UNKNOWN, *(token for token, asked in wanted if asked)]
    ranked = sorted((token for token in counts if token not in special), key=lambda token: (-counts[token], token))
    if not ranked:
        raise DataError("no token was found in the train split.", hint="Look at the texts and the units.")
    tokens = (*special, *ranked[: None if most is None else most - len(special)])
    places = {token: place for place, token in enumerate(special)}
    return Vocabulary(tokens, 0, 1, places.get(START), places.get(END), places.get(MASK), tuple(range(len(special))))


def ids_of(documents: Iterable[Sequence[str]], vocabulary: Vocabulary) -> list[np.ndarray]:
    """int32 ids of each document's tokens, with the start and the end where the vocabulary has them."""
    places = {token: place for place, token in enumerate(vocabulary.tokens) if place not in vocabulary.special}
    before = [] if vocabulary.start is None else [vocabulary.start]
    after = [] if vocabulary.end is None else [vocabulary.end]
    unknown = vocabulary.unknown
    return [np.array([*before, *(places.get(token, unknown) for token in document), *after], np.int32)
            for document in documents]


def ragged(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of unequal length as one array of objects [n]."""
    array = np.empty(len(rows), dtype=object)
    for place, row in enumerate(rows):
        array[place] = row
    return array


def is_ragged(array: np.ndarray) -> bool:
    return array.dtype.kind == "O" and len(array) > 0 and isinstance(array[0], np.ndarray)


def padded(rows: Sequence[np.ndarray], length: int, padding: int) -> np.ndarray:
    """int32 [n, length], the padding behind each row."""
    result = np.full((len(rows), length), padding, np.int32)
    for place, row in enumerate(rows):
        result[place, : len(row)] = row
    return result


def fitted_length(rows: Sequence[np.ndarray], wanted: int | None, pad: str) -> int:
    """The length to pad to. pad: "max_length" or "longest"."""
    longest = max((len(row) for row in rows), default=0)
    if pad == "longest" or wanted is None:
        return longest if wanted is None else min(longest, wanted)
    return wanted
