"""Lookup layers whose vocabulary `adapt` made: Keras keeps it beside the config, which says None.

Source: keras/src/layers/preprocessing/index_lookup.py (get_config, save_assets). While the config is taken apart such a
layer has a stand-in; its own vocabulary takes the place before the model is called, because shapes depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import SpecError
from harness.spec.keras_config.definition import StoredLayer
from harness.spec.layers.base import Layer

LOOKUPS = frozenset({"TextVectorization", "StringLookup", "IntegerLookup"})
# (the model as it is stored, label -> layer with a stand-in) -> label -> the arguments that were learned.
Learned = Callable[[StoredLayer, Mapping[str, Layer]], Mapping[str, Mapping[str, Any]]]
ELSEWHERE = "Import the live model or its .keras file, or give the layer its vocabulary as an argument."


def is_adapted(item: Mapping[str, Any]) -> bool:
    """Whether a serialised layer is a lookup whose vocabulary is not in its config."""
    config = item["config"]
    return item["class_name"] in LOOKUPS and isinstance(config, Mapping) and config.get("vocabulary") is None


def with_stand_in(item: Mapping[str, Any], known: bool) -> dict[str, Any]:
    """The layer with a vocabulary of one token. known: its own can be looked up. Raises SpecError where not."""
    if not known:
        raise SpecError("adapt() made its vocabulary, which is not in the config.", hint=ELSEWHERE)
    config = item["config"]
    special = (config.get("mask_token"), config.get("oov_token"))
    tokens: tuple[Any, ...] = (0, 1, 2) if item["class_name"] == "IntegerLookup" else ("a", "b", "c")
    token = next(token for token in tokens if token not in special)
    weights = [0.0] if config.get("output_mode") in ("tf_idf", "tf-idf") else None
    return {**item, "config": {**config, "vocabulary": [token], "idf_weights": weights}}
