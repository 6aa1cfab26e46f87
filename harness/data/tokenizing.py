"""Texts to ids by Hugging Face's `tokenizers` (`pip install harness[text]`): a tokenizer.json, nothing downloaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.preparation import step_arrays
from harness.data.sources.files import find
from harness.data.vocabularies import Vocabulary, fitted_length, padded, ragged
from harness.errors import DataError
from harness.spec import sequence_steps as spec

_WHERE = "data: prepare: tokenize"
_FILE = "tokenizer.json"
# What the known families of tokenizers call these, where no file beside them says it.
_NAMES = {
    "padding": ("[PAD]", "<pad>"), "unknown": ("[UNK]", "<unk>"), "start": ("[CLS]", "<s>"), "end": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
}
_KEYS = {
    "padding": ("pad_token",), "unknown": ("unk_token",), "start": ("cls_token", "bos_token"),
    "end": ("sep_token", "eos_token"), "mask": ("mask_token",),
}


def tokenizer_file(path: str, base: Path | None) -> Path:
    """The tokenizer.json at the path, or in the folder at the path. Raises DataError if there is none."""
    try:
        return find(path, base, _WHERE)
    except DataError as error:
        if "got a folder" not in error.message:
            raise
    folder = find(path, base, _WHERE, folder=True)
    if not (folder / _FILE).is_file():
        raise DataError(f"there is no {_FILE} in {folder}.", where=_WHERE,
                        hint="Save one with `tokenizer.save(...)` of `tokenizers`, or `save_pretrained` of a fast "
                             "tokenizer of `transformers`.")
    return folder / _FILE


def read_tokenizer(path: Path) -> Any:
    """A tokenizers.Tokenizer without the truncation and padding that its file may hold. Raises DataError."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise DataError("the package tokenizers is not installed.", where=_WHERE,
                        hint="Install it: pip install 'harness[text]' (or pip install tokenizers).") from None
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise DataError(f"{path} is no tokenizer: {error}.", where=_WHERE,
                        hint=f"Expected a {_FILE} of Hugging Face's tokenizers.") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def vocabulary_of(tokenizer: Any, path: Path, padding: str | None = None) -> Vocabulary:
    """The tokens by id, and which of them are special; by the files beside tokenizer.json, or by their usual names.

    padding: the token to pad with instead. Raises DataError if it is none.
    """
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    places: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    tokens = [""] * max([size, *(place + 1 for place in places.values())])
    for token, place in places.items():
        tokens[place] = token
    if padding is not None and padding not in places:
        raise DataError(f"the tokenizer has no token {padding!r} to pad with.", where=_WHERE,
                        hint=f"Its special tokens: {', '.join(_special(tokenizer).values()) or 'none'}.")
    said = _beside(path)
    known: dict[str, int | None] = {}
    for what, names in _NAMES.items():
        own = [padding] if what == "padding" and padding else [said.get(key) for key in _KEYS[what]]
        candidates = (*(token for token in own if isinstance(token, str)), *names)
        known[what] = next((places[name] for name in candidates if name in places), None)
    special = {*_special(tokenizer), *(known[what] for what in ("padding", "start", "end", "mask"))} - {None}
    return Vocabulary(tuple(tokens), **known, special=tuple(sorted(special)))  # type: ignore[arg-type, type-var]


def _special(tokenizer: Any) -> dict[int, str]:
    return {place: token.content for place, token in tokenizer.get_added_tokens_decoder().items() if token.special}


def _beside(path: Path) -> dict[str, Any]:
    """What tokenizer_config.json says, each token by its text."""
    file = path.parent / "tokenizer_config.json"
    said = _json(file) if file.is_file() else {}
    return {key: value["content"] if isinstance(value, dict) and "content" in value else value
            for key, value in said.items()}


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"cannot read {path}: {error}.", where=_WHERE) from None
    return content if isinstance(content, dict) else {}


def check_size(vocabulary: Vocabulary, path: Path, wanted: int | None) -> None:
    """Raises DataError if the tokenizer has another number of tokens than the model was made for.

    wanted: exactly so many; without it, at most as many as a config.json beside the tokenizer says.
    """
    size = len(vocabulary)
    if wanted is not None and size != wanted:
        raise DataError(f"{path} has {size} tokens, vocabulary_size says {wanted}.", where=_WHERE,
                        hint="Use the tokenizer that the model was trained with.")
    config = path.parent / "config.json"
    most = _json(config).get("vocab_size") if config.is_file() else None
    if isinstance(most, int) and size > most:
        raise DataError(f"{path} has {size} tokens, the model beside it ({config.name}) {most}: some would be out of "
                        "its range.", where=_WHERE, hint="Use the tokenizer that the model was trained with.")


def encode(
    tokenizer: Any, texts: Sequence[str], pairs: Sequence[str] | None = None, *, max_length: int | None = None,
    truncation: str = "right", special_tokens: bool = True, where: str = _WHERE,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(ids, token types) of each text, int32, unpadded. Raises DataError for an empty text, one that becomes no token,
    and one longer than max_length if truncation is "error"."""
    _check_texts(texts, where)
    if max_length is not None and truncation != "error":
        tokenizer.enable_truncation(max_length, direction=truncation)
    inputs = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
    found = tokenizer.encode_batch(inputs, add_special_tokens=special_tokens)
    tokenizer.no_truncation()
    ids = [np.array(item.ids, np.int32) for item in found]
    for place, item in enumerate(found):
        if sum(item.special_tokens_mask) == len(item.ids):
            raise DataError(f"the text {texts[place]!r} of example {place} becomes no token.", where=where,
                            hint="Leave the example out.")
        if max_length is not None and len(item.ids) > max_length:
            raise DataError(f"example {place} has {len(item.ids)} tokens, max_length is {max_length}.", where=where,
                            hint="Raise max_length, or choose which end is cut: `truncation: right`.")
    return ids, [np.array(item.type_ids, np.int32) for item in found]


def _check_texts(texts: Sequence[Any], where: str) -> None:
    for place, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"the text of example {place} is {'missing' if text is None else 'empty'}.", where=where,
                            hint="Leave the example out: `prepare: [{clean: {missing: drop}}]` drops missing ones.")


def tokenize(raw: Raw, step: spec.Tokenize, fitted_on: int) -> None:
    """Each text input becomes the arrays of `outputs`, prefixed with its name where there are several texts."""
    path = tokenizer_file(step.tokenizer, raw.base)
    tokenizer = read_tokenizer(path)
    vocabulary = vocabulary_of(tokenizer, path, step.padding)
    check_size(vocabulary, path, step.vocabulary_size)
    names = [name for name in step_arrays(raw, step, "x")
             if step.arrays is not None or (raw.train.x[name].dtype.kind in "OU" and name != step.pair)]
    if step.pad != "none" and vocabulary.padding is None:
        raise DataError(f"{path} has no padding token.", where=_WHERE,
                        hint='Name one (`padding: "<|endoftext|>"`), or write `pad: none` and pack the ids with '
                             "language_model.")
    for name in names:
        prefix = "" if len(names) == 1 else f"{name}_"
        encoded = {part: _encoded(arrays, name, tokenizer, step, part) for part, arrays in raw.parts().items()}
        length = max(fitted_length(ids, step.max_length, step.pad) for ids, _ in encoded.values())
        for part, (ids, types) in encoded.items():
            arrays = raw.parts()[part]
            del arrays.x[name]
            arrays.x.update({prefix + key: value
                             for key, value in _arrays(ids, types, length, step, vocabulary.padding).items()})
        raw.vocabularies[f"{prefix}input_ids"] = vocabulary
    if step.pair is not None:
        for arrays in raw.parts().values():
            arrays.x.pop(step.pair, None)


def _encoded(
    arrays: Arrays, name: str, tokenizer: Any, step: spec.Tokenize, part: str
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    for wanted in (name, *([step.pair] if step.pair else [])):
        if wanted not in arrays.x or arrays.x[wanted].dtype.kind not in "OU":
            raise DataError(f"{wanted!r} is no text.", where=_WHERE, hint=f"Inputs: {', '.join(arrays.x)}.")
    pairs = None if step.pair is None else [str(text) for text in arrays.x[step.pair]]
    return encode(tokenizer, arrays.x[name].tolist(), pairs, max_length=step.max_length, truncation=step.truncation,
                  special_tokens=step.special_tokens, where=f"{_WHERE}: {part}: {name}")


def _arrays(
    ids: list[np.ndarray], types: list[np.ndarray], length: int, step: spec.Tokenize, padding: int | None
) -> dict[str, np.ndarray]:
    if step.pad == "none":
        return {"input_ids": ragged(ids)}
    assert padding is not None
    made = {"input_ids": padded(ids, length, padding), "token_type_ids": padded(types, length, 0),
            "attention_mask": padded([np.ones(len(row), np.int32) for row in ids], length, 0)}
    return {name: made[name] for name in step.outputs}
