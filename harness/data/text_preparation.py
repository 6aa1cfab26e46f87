"""The steps of `prepare` that make ids of texts with a vocabulary of the train split."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness.data.dataset import Raw
from harness.data.preparation import step_arrays
from harness.data.text import FUNCTIONS, tokenized
from harness.data.text_adapting import adapted
from harness.data.vocabularies import Vocabulary, counted, fitted_length, ids_of, padded, ragged, units
from harness.errors import DataError
from harness.spec import preparation as spec
from harness.spec import sequence_steps
from harness.spec.layers import LAYERS


def _texts(raw: Raw, step: spec.Step) -> list[str]:
    """The inputs that are text, or those that the step names. Raises DataError if one is none."""
    where = f"data: prepare: {step.canonical_name()}"
    names = [name for name in step_arrays(raw, step, "x")
             if step.arrays is not None or raw.train.x[name].dtype.kind in "OU"]
    if not names:
        raise DataError("there is no text among the inputs.", where=where, hint=f"Inputs: {', '.join(raw.train.x)}.")
    for name in names:
        for part, arrays in raw.parts().items():
            check_texts(arrays.x.get(name), f"{where}: {part}: {name}")
    return names


def check_texts(array: np.ndarray | None, where: str) -> None:
    """Raises DataError if it is no array of texts [n], or one of them is missing."""
    if array is None or array.dtype.kind not in "OU":
        raise DataError(f"expected text, got {'a target' if array is None else array.dtype}.", where=where,
                        hint="Name the inputs of text: {arrays: [...]}.")
    for place, text in enumerate(array.flat):
        if not isinstance(text, str):
            raise DataError(f"the text of example {place} is missing.", where=where,
                            hint="Leave such examples out: `prepare: [{clean: {missing: drop}}]`.")


def _layer(raw: Raw, step: spec.TextVectorization | spec.StringLookup, fitted_on: int) -> None:
    """Texts as numbers, by the layer of the step's name."""
    kind = type(step).__name__
    for name in _texts(raw, step):
        arguments, parts = step.arguments(), raw.parts()
        if isinstance(step, spec.TextVectorization) and step.output_mode == "int" and not step.output_sequence_length:
            arguments["output_sequence_length"] = _longest(step, [arrays.x[name] for arrays in parts.values()])
        train = raw.train.x[name][:fitted_on].astype(str)
        layer: Any = adapted(kind, train, **arguments) if step.vocabulary is None else LAYERS.find(kind)(**arguments)
        for arrays in parts.values():
            arrays.x[name] = FUNCTIONS[type(layer)](layer, arrays.x[name].astype(str))
        if step.output_mode == "int":
            raw.vocabularies[name] = _looked_up(layer.lookup if isinstance(step, spec.TextVectorization) else layer)


def _longest(step: spec.TextVectorization, texts: list[np.ndarray]) -> int:
    """The tokens of the longest text of all splits: Keras would pad each batch to its own longest."""
    widths = step.ngrams if step.ngrams is None else tuple(range(1, step.ngrams + 1))
    reading = SimpleNamespace(standardize=step.standardize, split=step.split, ngrams=widths)
    return max(1, *(len(row) for array in texts for row in tokenized(reading, array)))


text_vectorization: Callable[[Raw, spec.TextVectorization, int], None] = _layer
string_lookup: Callable[[Raw, spec.StringLookup, int], None] = _layer


def _looked_up(lookup: Any) -> Vocabulary:
    """The vocabulary of a StringLookup with its first ids, for the mask and what is unknown."""
    before = [lookup.mask_token] if lookup.mask_token is not None else []
    unknown = [lookup.oov_token] * lookup.num_oov_indices
    first = len(before) + len(unknown)
    return Vocabulary((*before, *unknown, *map(str, lookup.tokens)), padding=0 if before else None,
                      unknown=len(before) if unknown else None, special=tuple(range(first)))


def to_ids(raw: Raw, step: sequence_steps.ToIds, fitted_on: int) -> None:
    """Each text input becomes int32 [n, length], or rows of unequal length for `pad: none`."""
    for name in _texts(raw, step):
        documents = {
            part: [units(text.lower() if step.lowercase else text, step.units) for text in arrays.x[name]]
            for part, arrays in raw.parts().items()
        }
        where = "data: prepare: to_ids"
        for part, rows in documents.items():
            _check_rows(rows, f"{where}: {part}: {name}")
        vocabulary = counted(documents["train"][:fitted_on], step.start, step.end, step.mask, step.max_tokens)
        ids = {part: [_cut(row, step, f"{where}: {part}: {name}", place)
                      for place, row in enumerate(ids_of(rows, vocabulary))] for part, rows in documents.items()}
        length = max(fitted_length(rows, step.max_length, step.pad) for rows in ids.values())
        for part, made in ids.items():
            raw.parts()[part].x[name] = ragged(made) if step.pad == "none" else padded(made, length, 0)
        raw.vocabularies[name] = vocabulary


def _check_rows(rows: list[list[str]], where: str) -> None:
    for place, row in enumerate(rows):
        if not row:
            raise DataError(f"the text of example {place} is empty.", where=where, hint="Leave the example out.")


def _cut(row: np.ndarray, step: sequence_steps.ToIds, where: str, place: int) -> np.ndarray:
    most = step.max_length
    if most is None or len(row) <= most:
        return row
    if step.truncation == "error":
        raise DataError(f"example {place} has {len(row)} tokens, max_length is {most}.", where=where,
                        hint="Raise max_length, or choose which end is cut: `truncation: right`.")
    return row[:most] if step.truncation == "right" else row[-most:]


def sequence_pairs(raw: Raw, step: sequence_steps.SequencePairs, fitted_on: int) -> None:
    """Two text inputs become x/encoder, x/decoder and the only target, y."""
    made = {
        "encoder": _side(raw, step.source, step.source_units, step.source_length, fitted_on, 0),
        "decoder": _side(raw, step.target, step.target_units, step.target_length, fitted_on, 1),
    }
    for part, arrays in raw.parts().items():
        whole = made["decoder"][0][part]  # start, tokens, end, padding
        vocabulary = made["decoder"][1]
        shown = whole[:, :-1].copy()
        shown[shown == vocabulary.end] = 0
        for name in {step.source, step.target}:
            del arrays.x[name]
        arrays.x.update({"encoder": made["encoder"][0][part], "decoder": shown})
        arrays.y.clear()
        arrays.y["y"] = whole[:, 1:].astype(np.int64)
    raw.vocabularies.update({name: vocabulary for name, (_, vocabulary) in made.items()})
    raw.vocabularies["y"] = made["decoder"][1]
    sizes = {name: len(vocabulary) for name, (_, vocabulary) in made.items()}
    raw.notes.append(f"Sequence pairs: {step.source} to {step.target}, vocabularies of {sizes['encoder']} and "
                     f"{sizes['decoder']}; 0 pads and does not count (`ignore_class: 0`).")


def _side(
    raw: Raw, name: str, kind: str, wanted: int | None, fitted_on: int, more: int
) -> tuple[dict[str, np.ndarray], Vocabulary]:
    """int32 [n, length + more] of each part. more: 1 for the decoder, which is shown all but the last."""
    where = f"data: prepare: sequence_pairs: {name}"
    documents = {}
    for part, arrays in raw.parts().items():
        check_texts(arrays.x.get(name), f"{where}: {part}")
        documents[part] = [units(text, kind) for text in arrays.x[name]]
        _check_rows(documents[part], f"{where}: {part}")
    vocabulary = counted(documents["train"][:fitted_on], start=True, end=True)
    # The encoder reads neither start nor end; the decoder writes the end.
    ids = {part: [row if more else row[1:-1] for row in ids_of(rows, vocabulary)] for part, rows in documents.items()}
    longest = max(len(row) for rows in ids.values() for row in rows)
    length = longest if wanted is None else wanted + more
    if longest > length:
        raise DataError(f"the longest text needs {longest - more} places, the length is {wanted}.", where=where,
                        hint="Raise it, or leave longer examples out.")
    return {part: padded(rows, length, 0) for part, rows in ids.items()}, vocabulary
