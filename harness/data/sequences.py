"""Ids to what language models learn: the next token of running text, or tokens that were masked."""

from __future__ import annotations

import numpy as np

from harness.data.dataset import Raw
from harness.data.preparation import step_arrays
from harness.data.vocabularies import Vocabulary, is_ragged
from harness.errors import DataError, did_you_mean
from harness.spec import sequence_steps as spec


def language_model(raw: Raw, step: spec.LanguageModel, fitted_on: int) -> None:
    """x int32 [blocks, block] and y int64, each split's ids one step further."""
    where = "data: prepare: language_model"
    names = [name for name in step_arrays(raw, step, "x") if is_ragged(raw.train.x[name])]
    if len(names) != 1:
        raise DataError(f"expected one input of ids without padding, found {len(names)}.", where=where,
                        hint="Put `tokenize` or `to_ids` with `pad: none` before it.")
    (name,) = names
    vocabulary = raw.vocabularies[name]
    between = None if step.separator is None else _id(step.separator, vocabulary, where)
    for part, arrays in raw.parts().items():
        ids = _joined(list(arrays.x[name]), between)
        blocks = (len(ids) - 1) // step.block
        if blocks < 1:
            raise DataError(f"{len(ids)} tokens do not fill a block of {step.block} and one more.",
                            where=f"{where}: {part}", hint="Choose a smaller block, or give the split more text.")
        used = blocks * step.block
        raw.notes.append(f"{part}: {len(ids)} tokens in {blocks} blocks of {step.block}; "
                         f"{len(ids) - 1 - used} at the end dropped.")
        arrays.x[name] = ids[:used].reshape(blocks, step.block)
        arrays.y.clear()
        arrays.y["y"] = ids[1 : used + 1].reshape(blocks, step.block).astype(np.int64)
        if arrays.sample_weight is not None:
            raise DataError("weights of texts are no weights of blocks.", where=where, hint="Leave sample_weight out.")
    raw.vocabularies["y"] = vocabulary


def _id(token: str, vocabulary: Vocabulary, where: str) -> int:
    if token not in vocabulary.tokens:
        raise DataError(f"the vocabulary has no token {token!r}.", where=where,
                        hint=did_you_mean(token, (vocabulary.tokens[place] for place in vocabulary.special))
                        or "to_ids with `end: true` parts the examples too.")
    return vocabulary.tokens.index(token)


def _joined(rows: list[np.ndarray], between: int | None) -> np.ndarray:
    """All ids in one row, `between` between two rows."""
    if between is not None:
        rows = [np.append(row, np.int32(between)) for row in rows[:-1]] + rows[-1:]
    return np.concatenate(rows).astype(np.int32)


def mask_tokens(raw: Raw, step: spec.MaskTokens, fitted_on: int) -> None:
    """Changes the ids [n, length] in place of their input; y int64 [n, length] becomes the only target."""
    where = "data: prepare: mask_tokens"
    known = [name for name in step_arrays(raw, step, "x")
             if name in raw.vocabularies and not is_ragged(raw.train.x[name])]
    if len(known) != 1:
        raise DataError(f"expected one input of padded ids, found {len(known)}.", where=where,
                        hint="Put `tokenize` or `to_ids` before it, or name the input: {arrays: [...]}.")
    (name,) = known
    vocabulary = raw.vocabularies[name]
    for token, what in ((vocabulary.mask, "mask"), (vocabulary.padding, "padding")):
        if token is None:
            raise DataError(f"the vocabulary of {name} has no {what} token.", where=where,
                            hint="to_ids makes one of each with `mask: true`; GPT-2's tokenizer has none.")
    if raw.train.y:
        raw.notes.append(f"The targets {', '.join(raw.train.y)} are left out: the masked tokens are the target.")
    for place, (part, arrays) in enumerate(raw.parts().items()):
        ids, chosen = _masked(arrays.x[name], vocabulary, step, np.random.default_rng([step.seed, place]))
        arrays.y.clear()
        arrays.y["y"] = np.where(chosen, arrays.x[name], vocabulary.padding or 0).astype(np.int64)
        arrays.x[name] = ids
        raw.notes.append(f"{part}: {int(chosen.sum())} of {int(_free(arrays.x[name], vocabulary, chosen).sum())} "
                         f"tokens masked; only they count (`ignore_class: {vocabulary.padding}`).")
    raw.vocabularies["y"] = vocabulary


def _free(ids: np.ndarray, vocabulary: Vocabulary, chosen: np.ndarray) -> np.ndarray:
    """Which tokens stood for text, before some were masked."""
    return chosen | ~np.isin(ids, vocabulary.special)


def _masked(
    ids: np.ndarray, vocabulary: Vocabulary, step: spec.MaskTokens, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(ids as the model sees them, bool: which were chosen), both [n, length]."""
    chosen = (random.random(ids.shape) < step.probability) & ~np.isin(ids, vocabulary.special)
    fate = random.random(ids.shape)
    plain = np.setdiff1d(np.arange(len(vocabulary)), vocabulary.special).astype(np.int32)
    others = plain[random.integers(0, len(plain), ids.shape)]
    seen = np.where(chosen & (fate < step.mask), np.int32(vocabulary.mask or 0), ids)
    seen = np.where(chosen & (fate >= step.mask) & (fate < step.mask + step.random), others, seen)
    return seen.astype(np.int32), chosen
