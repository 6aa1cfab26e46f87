"""What Keras's `adapt` learns of data, in NumPy: vocabularies, their weights, means and variances, bins.

Sources: keras/src/layers/preprocessing: index_lookup.py (update_state, finalize_state), normalization.py,
discretization.py (summarize, compress_summary).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness.data.text import as_text, tokenized
from harness.errors import DataError, SpecError, did_you_mean
from harness.spec.layers import LAYERS
from harness.spec.layers.base import Layer, normalize_axis


def adapted(name: str, array: Any, **arguments: Any) -> Layer:
    """The layer of that name with what it learns of the array (the training examples), as Keras's `adapt` does.

    name: TextVectorization, StringLookup, IntegerLookup, Normalization or Discretization. arguments: its others.
    """
    if name not in _ADAPTING:
        raise SpecError(f"{name!r} learns nothing of data.", hint=did_you_mean(name, _ADAPTING))
    array = np.asarray(array)
    if array.ndim == 0 or not array.size:
        raise DataError("there is nothing to learn from: the array is empty.", where=name)
    return LAYERS.find(name)(**{**arguments, **_ADAPTING[name](array, arguments)})


def _ranked(
    documents: Iterable[Sequence[Any]], special: tuple[Any, ...], most: int | None
) -> tuple[list[Any], Counter[Any]]:
    """(tokens, the most frequent first and the last in order first among equals; in how many documents each is)."""
    counts, containing = Counter[Any](), Counter[Any]()
    for tokens in documents:
        counts.update(tokens)
        containing.update(set(tokens))
    for token in special:
        counts.pop(token, None)
    order = sorted(counts, key=lambda token: (counts[token], token.encode() if isinstance(token, str) else token))
    found = order[::-1][:most]
    if not found:
        raise DataError("no token was found.", where="adapt", hint="Look at the texts, and at standardize and split.")
    return found, containing


def _vocabulary(documents: list[list[Any]], arguments: dict[str, Any], mask: Any, oov: Any) -> dict[str, Any]:
    mode = {"tf-idf": "tf_idf"}.get(arguments.get("output_mode", "int"), arguments.get("output_mode", "int"))
    before = int(arguments.get("num_oov_indices", 1)) + int(mask is not None and mode == "int")
    most = arguments.get("max_tokens")
    special = tuple(token for token in (mask, oov) if token is not None)
    tokens, containing = _ranked(documents, special, None if most is None else most - before)
    if mode != "tf_idf":
        return {"vocabulary": tokens}
    weights = [np.log(1 + len(documents) / (1 + containing[token])) for token in tokens]
    return {"vocabulary": tokens, "idf_weights": [float(np.float32(weight)) for weight in weights]}


def _text_vectorization(array: np.ndarray, arguments: dict[str, Any]) -> dict[str, Any]:
    widths = arguments.get("ngrams")
    layer = SimpleNamespace(
        standardize=arguments.get("standardize", "lower_and_strip_punctuation"),
        split=arguments.get("split", "whitespace"),
        ngrams=tuple(range(1, widths + 1)) if isinstance(widths, int) else widths)
    return _vocabulary(tokenized(layer, array), arguments, "", "[UNK]")


def _rows(array: np.ndarray) -> list[list[Any]]:
    rows: list[list[Any]] = array.reshape(len(array), -1).tolist()
    return rows


def _string_lookup(array: np.ndarray, arguments: dict[str, Any]) -> dict[str, Any]:
    return _vocabulary(_rows(as_text(array)), arguments, arguments.get("mask_token"),
                       arguments.get("oov_token", "[UNK]"))


def _integer_lookup(array: np.ndarray, arguments: dict[str, Any]) -> dict[str, Any]:
    if array.dtype.kind not in "iu":
        raise DataError(f"expected whole numbers, got {array.dtype}.", where="IntegerLookup")
    return _vocabulary(_rows(array), arguments, arguments.get("mask_token"), arguments.get("oov_token", -1))


def _normalization(array: np.ndarray, arguments: dict[str, Any]) -> dict[str, Any]:
    axis = arguments.get("axis", -1)
    wanted = () if axis is None else axis if isinstance(axis, (list, tuple)) else (axis,)
    kept = {normalize_axis(item, array.ndim, LAYERS.find("Normalization")(mean=0.0, variance=1.0)) for item in wanted}
    over = tuple(place for place in range(array.ndim) if place not in kept)
    mean, variance = array.mean(over, dtype=np.float64), array.var(over, dtype=np.float64)
    return {"mean": np.float32(mean).tolist(), "variance": np.float32(variance).tolist()}


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """Fewer values with their weights [2, values], no further apart than a share of epsilon."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    weights = summary[1].cumsum()
    own = weights / weights[-1]
    values, weights = np.interp(shares, own, summary[0]), np.interp(shares, own, weights)
    return np.stack((values, weights - np.concatenate((np.array([0]), weights[:-1])))).astype(np.float32)


def _discretization(array: np.ndarray, arguments: dict[str, Any]) -> dict[str, Any]:
    count, epsilon = arguments.get("num_bins"), arguments.get("epsilon", 0.01)
    if not count:
        raise SpecError("num_bins says how many bins are wanted.", where="Discretization")
    values = np.sort(array.astype(np.float32).reshape(-1))
    step = max(values.size * epsilon, 1)
    chosen = values[int(step - 1) :: int(step)]
    summary = _compressed(np.stack([chosen, np.ones_like(chosen) * step]), epsilon)
    return {"bin_boundaries": _compressed(summary, 1.0 / count)[0, :-1].tolist()}


_ADAPTING: dict[str, Callable[[np.ndarray, dict[str, Any]], dict[str, Any]]] = {
    "TextVectorization": _text_vectorization, "StringLookup": _string_lookup, "IntegerLookup": _integer_lookup,
    "Normalization": _normalization, "Discretization": _discretization,
}
