"""The vocabularies that `adapt` gave to TextVectorization, StringLookup and IntegerLookup, which no config holds.

A .keras archive has each as assets/PATH/vocabulary.txt, one token to a line, where PATH is that of the layer's weights,
and the inverse document frequencies among the weights (index_lookup.py: save_assets, save_own_variables). Vocabularies
begin with the mask token and the unknown ones, and stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError
from harness.exchange.keras_archive import Archive
from harness.exchange.keras_layout import layer_paths
from harness.exchange.keras_weights import OLD_TOP, live_layers, under
from harness.spec.keras_config import StoredLayer
from harness.spec.keras_config.lookups import Learned
from harness.spec.layers.base import Layer

# Of all vocabularies of a model together.
MOST_BYTES, MOST_TOKENS = 32 * 2**20, 1_000_000
# Where str.splitlines, with which Keras reads the file, begins a new line.
LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
WHOLE = re.compile(r"-?[0-9]{1,19}", re.ASCII)


class ArchiveVocabularies:
    """Reads them from an archive, for read_keras_config. Raises SpecError for what is missing, broken or too large."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._bytes, self._tokens = MOST_BYTES, MOST_TOKENS

    def __call__(self, stored: StoredLayer, layers: Mapping[str, Layer]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for child, path in layer_paths(stored):
            label = child.label
            if label is None or label not in layers or label in found:
                continue
            try:
                found[label] = _arguments(layers[label], self._read(path, layers[label]))
            except SpecError as error:
                raise error.at(f"layer {label!r}") from None
        return found

    def _read(self, path: str, layer: Layer) -> list[Any]:
        name = f"assets/{path}/vocabulary.txt"
        for candidate in (name, f"assets/{under(OLD_TOP, path)}/vocabulary.txt"):
            if candidate in self.archive.assets:
                name = candidate
                break
        else:
            raise SpecError(f"its vocabulary is missing: there is no {name} in the archive.",
                            hint="Was the layer adapted before the model was saved?")
        data = self.archive.read_asset(name, self._bytes)
        self._bytes -= len(data)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SpecError(f"{name} is no UTF-8 text ({error.reason} at byte {error.start:,}).") from None
        if sum(map(text.count, LINE_ENDS)) >= self._tokens:
            raise SpecError(f"{name} has too many tokens: the vocabularies of a model have {MOST_TOKENS:,} at most.")
        lines = text.splitlines()
        while lines and lines[-1] == "":  # as Keras does
            lines.pop()
        self._tokens -= len(lines)
        return [_whole(line, name) for line in lines] if layer.canonical_name() == "IntegerLookup" else list(lines)


def live_vocabularies(model: Any) -> Learned:
    """Those of a live keras.Model, for read_keras_config. Raises SpecError for a layer that was never adapted."""
    def learned(stored: StoredLayer, layers: Mapping[str, Layer]) -> dict[str, dict[str, Any]]:
        found = {}
        for label, layer in live_layers(model, stored):
            if label not in layers:
                continue
            whole = layers[label].canonical_name() == "IntegerLookup"
            tokens = layer.get_vocabulary()
            if None in tokens:  # special tokens without a name
                tokens = layer.get_vocabulary(include_special_tokens=False)
            try:
                arguments = _arguments(layers[label], [int(token) if whole else str(token) for token in tokens])
            except SpecError as error:
                raise error.at(f"layer {label!r}") from None
            if "idf_weights" in arguments:
                held = getattr(layer, "_lookup_layer", layer).idf_weights_const.numpy().tolist()
                skipped = layer.vocabulary_size() - len(tokens)
                arguments["idf_weights"] = held[skipped:skipped + len(tokens)]
            found[label] = arguments
        return found

    return learned


def _whole(line: str, name: str) -> int:
    if not WHOLE.fullmatch(line) or not -2**63 <= int(line) < 2**63:
        raise SpecError(f"{name} holds {line[:40]!r}, expected whole numbers.")
    return int(line)


def _arguments(layer: Layer, tokens: list[Any]) -> dict[str, Any]:
    """The arguments of the layer. The document frequencies of an archive come with its weights."""
    values: Any = layer
    lookup = getattr(values, "lookup", values)
    special = [lookup.mask_token] * lookup.first_unknown + [lookup.oov_token] * lookup.num_oov_indices
    if not tokens or tokens == special:
        raise SpecError("its vocabulary is empty.", hint="Was the layer adapted before the model was saved?")
    weights = {"idf_weights": [0.0] * len(tokens)} if values.output_mode == "tf_idf" else {}
    return {"vocabulary": tokens, **weights}
