"""Keras's layers of text and hashes in NumPy: the same numbers, to the bit.

Texts are arrays of str (dtype "U" or object); bytes are read as UTF-8. Sources: keras/src/layers/preprocessing:
text_vectorization.py, index_lookup.py, hashing.py, hashed_crossing.py; utils/numerical_utils.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harness.data.text_hashing import crossed, fingerprint, keyed
from harness.errors import DataError
from harness.spec.layers.base import Layer
from harness.spec.layers.preprocessing_text import HashedCrossing, Hashing, StringLookup, TextVectorization

_PUNCTUATION = str.maketrans("", "", "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'")
# ASCII letters alone, as tf.strings.lower does without an encoding.
_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
_SPACE = " \t\n\v\f\r"
_TO_SPACE = str.maketrans(dict.fromkeys(_SPACE, " "))


def as_text(array: Any) -> np.ndarray:
    """An array of str. Raises DataError for anything but text."""
    array = np.asarray(array)
    if array.dtype.kind == "S" or (array.dtype.kind == "O" and any(isinstance(x, bytes) for x in array.flat)):
        decoded = [x.decode("utf-8", "replace") if isinstance(x, bytes) else x for x in array.flat]
        array = np.array(decoded, dtype=object).reshape(array.shape)
    if array.dtype.kind == "O" and all(isinstance(x, str) for x in array.flat):
        return array
    if array.dtype.kind != "U":
        raise DataError(f"expected text, got {array.dtype}.", where="data", hint="Feed an array of strings.")
    return array


def standardized(text: str, how: str | None) -> str:
    """how: TextVectorization's `standardize`."""
    if how in ("lower", "lower_and_strip_punctuation"):
        text = text.translate(_LOWER)
    return text.translate(_PUNCTUATION) if how in ("strip_punctuation", "lower_and_strip_punctuation") else text


def words(text: str, split: str) -> list[str]:
    """split: "whitespace" (of ASCII) or "character"."""
    if split == "character":
        return list(text)
    return [word for word in text.translate(_TO_SPACE).split(" ") if word]


def joined(tokens: list[str], widths: Sequence[int] | None) -> list[str]:
    """The n-grams of each width, one width after the other."""
    if widths is None:
        return tokens
    return [" ".join(tokens[start : start + width]) for width in widths for start in range(len(tokens) - width + 1)]


def tokenized(layer: Any, texts: np.ndarray) -> list[list[str]]:
    """The tokens of each text; layer: a TextVectorization, or what has its arguments."""
    texts = as_text(texts)
    if layer.split is None:
        rows = texts.reshape(len(texts), -1)
        return [joined([standardized(item, layer.standardize) for item in row], layer.ngrams) for row in rows]
    return [joined(words(standardized(text, layer.standardize), layer.split), layer.ngrams)
            for text in texts.reshape(len(texts))]


def finder(layer: StringLookup) -> Callable[[str], int]:
    """Token -> place; -1 for what has none."""
    places = {token: place for place, token in enumerate(layer.tokens, layer.first_token)}
    if layer.mask_token is not None:
        places[layer.mask_token] = 0 if layer.output_mode == "int" else -1
    unknowns, first = layer.num_oov_indices, layer.first_unknown

    def find(token: str) -> int:
        place = places.get(token)
        if place is not None:
            return place
        if unknowns == 0:
            raise DataError(f"{token!r} is not in the vocabulary.", where="data", hint="Give num_oov_indices=1.")
        if unknowns == 1:
            return first
        raw = token.encode()
        return first + (fingerprint(raw) if layer.salt is None else keyed(raw, layer.salt)) % unknowns

    return find


def encoded(places: Sequence[Sequence[int]], mode: str, depth: int) -> np.ndarray:
    """float32 [rows, depth]: which of the places stand in each row ("multi_hot"), or how often."""
    vectors = np.zeros((len(places), depth), np.float32)
    for vector, row in zip(vectors, places, strict=True):
        inside = [place for place in row if 0 <= place < depth]
        if mode == "multi_hot":
            vector[inside] = 1.0
        else:
            np.add.at(vector, inside, 1.0)
    return vectors


def one_hot(places: np.ndarray, depth: int) -> np.ndarray:
    """float32 [..., depth]; a last axis of size 1 goes first."""
    if places.ndim > 1 and places.shape[-1] == 1:
        places = places[..., 0]
    return np.asarray(places[..., None] == np.arange(depth), np.float32)


def _encoded_array(places: np.ndarray, mode: str, depth: int) -> np.ndarray:
    if mode == "int":
        return places
    return one_hot(places, depth) if mode == "one_hot" else encoded(places.tolist(), mode, depth)


def string_lookup(layer: StringLookup, texts: np.ndarray) -> np.ndarray:
    """int64 of the texts' shape, or float32 vectors."""
    texts = as_text(texts)
    find = finder(layer)
    places = np.array([find(str(text)) for text in texts.flat], np.int64).reshape(texts.shape)
    mode = "count" if layer.output_mode == "tf_idf" else layer.output_mode
    result = _encoded_array(places, mode, layer.depth)
    weights = layer.weights_of_tokens()
    return result if weights is None else result * np.asarray(weights, np.float32)


def text_vectorization(layer: TextVectorization, texts: np.ndarray) -> np.ndarray:
    """int64 [n, words], 0 behind the last word, or float32 [n, vocabulary]."""
    lookup = layer.lookup
    find = finder(lookup)
    rows = [[find(token) for token in tokens] for tokens in tokenized(layer, texts)]
    if layer.output_mode != "int":
        mode = "count" if layer.output_mode == "tf_idf" else layer.output_mode
        weights = lookup.weights_of_tokens()
        vectors = encoded(rows, mode, lookup.depth)
        return vectors if weights is None else vectors * np.asarray(weights, np.float32)
    length = layer.output_sequence_length or max(map(len, rows), default=0)
    result = np.zeros((len(rows), length), np.int64)
    for place, row in enumerate(rows):
        result[place, : len(row[:length])] = row[:length]
    return result


def _raw(value: Any) -> bytes:
    """What is hashed: a text's bytes, a number's decimal digits."""
    return value.encode() if isinstance(value, str) else str(int(value)).encode()


def hashing(layer: Hashing, values: np.ndarray) -> np.ndarray:
    """int64 of the values' shape, or float32 vectors."""
    values = as_text(values) if np.asarray(values).dtype.kind not in "iuf" else np.asarray(values)
    masked = layer.mask_value is not None and layer.num_bins > 1
    bins = layer.num_bins - masked
    salt = layer.salt

    def place(value: Any) -> int:
        if masked and value == layer.mask_value:
            return 0
        raw = _raw(value)
        return (fingerprint(raw) if salt is None else keyed(raw, salt)) % bins + masked

    places = np.array([place(value) for value in values.ravel().tolist()], np.int64).reshape(values.shape)
    return _encoded_array(places, layer.output_mode, layer.num_bins)


def hashed_crossing(layer: HashedCrossing, *features: np.ndarray) -> np.ndarray:
    """int64 of the features' shape, or float32 vectors."""
    columns = [[value.encode() if isinstance(value, str) else int(value) for value in feature.ravel().tolist()]
               for feature in (as_text(item) if np.asarray(item).dtype.kind not in "iu" else np.asarray(item)
                               for item in features)]
    bins = [crossed(row) % layer.num_bins for row in zip(*columns, strict=True)]
    return _encoded_array(np.array(bins, np.int64).reshape(np.shape(features[0])), layer.output_mode, layer.num_bins)


FUNCTIONS: dict[type[Layer], Callable[..., np.ndarray]] = {
    StringLookup: string_lookup, TextVectorization: text_vectorization, Hashing: hashing,
    HashedCrossing: hashed_crossing,
}
