"""Ids as words and back, by the vocabulary that the data's preparation made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness.data.vocabularies import END, MASK, PADDING, START, UNKNOWN, Vocabulary
from harness.errors import DataError, SpecError
from harness.records.record import CorruptRecordError, read_record
from harness.spec.model import ModelSpec

# How tokenizers mark a token that begins a word (byte-level BPE, SentencePiece), and one that does not (WordPiece).
WORD_BEGINS, LINE_ENDS, WORD_GOES_ON = ("Ġ", "▁"), "Ċ", "##"
NO_TOKEN = "\ufffd"


def spelled(vocabulary: Vocabulary, ids: Iterable[int]) -> str:
    """The text of ids up to the end token: characters and byte-level tokens joined, words with a space between them.

    A model may write ids that the vocabulary does not have: NO_TOKEN stands for them.
    """
    plain = [token for place, token in enumerate(vocabulary.tokens) if place not in vocabulary.special]
    marked = any(token.startswith(WORD_BEGINS) for token in plain)
    found = []
    for place in ids:
        if place == vocabulary.end:
            break
        if place not in vocabulary.special:
            found.append(vocabulary.tokens[place] if 0 <= place < len(vocabulary) else NO_TOKEN)
    if not marked:
        letters = all(len(token) == 1 for token in plain)
        return "".join(found) if letters else " ".join(found).replace(f" {WORD_GOES_ON}", "")
    text = "".join(found).replace(LINE_ENDS, "\n")
    for mark in WORD_BEGINS:
        text = text.replace(mark, " ")
    return text


def vocabulary_of(summary: Mapping[str, Any] | None) -> Vocabulary | None:
    """The vocabulary of which a record holds the tokens; None where it holds none, or too many to hold."""
    tokens = tuple((summary or {}).get("tokens") or ())
    if not tokens:
        return None
    places = {token: place for place, token in enumerate(tokens)}
    special = tuple(places[token] for token in (PADDING, UNKNOWN, START, END, MASK) if token in places)
    return Vocabulary(tokens, places.get(PADDING), places.get(UNKNOWN), places.get(START), places.get(END),
                      places.get(MASK), special)


@dataclass(frozen=True)
class Speller:
    """A tokenizer of `tokenizers`, as far as harness.generate asks it: texts to ids of the source, ids of the target
    to texts. Of a language model the two are the same."""

    source: Vocabulary
    target: Vocabulary

    def get_vocab_size(self, with_added_tokens: bool = True) -> int:
        return len(self.source)

    def encode(self, text: str, add_special_tokens: bool = False) -> Any:
        """An object with the text's `ids`. Raises DataError for a token that the vocabulary lacks."""
        places = {token: place for place, token in enumerate(self.source.tokens) if place not in self.source.special}
        letters = all(len(token) == 1 for token in places)
        ids = []
        for token in text if letters else text.split():
            place = places.get(token, places.get(token.lower(), self.source.unknown))
            if place is None:
                raise DataError(f"{token!r} is not in the vocabulary of {len(self.source)}.", where="prompt")
            ids.append(place)
        return SimpleNamespace(ids=ids)

    def decode(self, ids: Iterable[int]) -> str:
        return spelled(self.target, ids)


@dataclass(frozen=True)
class Recorded:
    """What a run left of its model. speller: None where the record holds no vocabulary."""

    spec: ModelSpec
    weights: dict[str, np.ndarray]
    speller: Speller | None


def recorded(folder: Path) -> Recorded:
    """The model of a record, <results>/cells/<id>. Raises SpecError where there is none with weights."""
    try:
        record = read_record(folder)
    except CorruptRecordError as error:
        raise SpecError(str(error), hint="Give the folder of a finished run: <results>/cells/<id>.") from None
    described = (record.cell.get("model") or {}).get("spec")
    if described is None or not record.weights:
        raise SpecError("this run left no weights.", where=str(folder))
    spec = ModelSpec.from_data(described)
    found = (record.data.get("data") or {}).get("vocabularies") or {}
    target = vocabulary_of(found.get("y"))
    source = vocabulary_of(found.get(spec.inputs[0].name)) or (target if len(spec.inputs) == 1 else None)
    return Recorded(spec, record.weights, None if target is None or source is None else Speller(source, target))
