"""The host's part of a model computed once: text in, numbers out (spec/host.py says which layers those are)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Dataset
from harness.data.text import FUNCTIONS, as_text
from harness.errors import DataError, did_you_mean
from harness.spec.host import device_part, host_nodes
from harness.spec.model import ModelSpec


def host_inputs(spec: ModelSpec, x: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The inputs of `device_part(spec)` from those of the model. Raises DataError for what is missing or no text."""
    rest = device_part(spec)
    if rest is spec:
        return {name: np.asarray(array) for name, array in x.items()}
    values = _matched(spec, x)
    for node in host_nodes(spec):
        layer = spec.layers[node.layer]
        try:
            values[node.name] = FUNCTIONS[type(layer)](layer, *(values[name] for name in node.inputs))
        except DataError as error:
            raise DataError(str(error), where=f"layer {node.name!r}") from None
    return {item.name: values[item.name] for item in rest.inputs}


def _matched(spec: ModelSpec, x: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays by the model's names; a single one belongs to a single input."""
    names = [item.name for item in spec.inputs]
    if len(x) == len(names) == 1:
        x = {names[0]: next(iter(x.values()))}
    if set(x) != set(names):
        odd = sorted(set(x) ^ set(names))[0]
        raise DataError(f"the model's inputs are {', '.join(names)}, the data has {', '.join(x)}.", where="data",
                        hint=did_you_mean(odd, names))
    texts = {item.name for item in spec.inputs if item.dtype == "string"}
    return {name: as_text(array) if name in texts else np.asarray(array) for name, array in x.items()}


def on_host(spec: ModelSpec, dataset: Dataset) -> tuple[ModelSpec, Dataset]:
    """The model that a framework trains, and its data: both as they are where the model has no host layers.

    Raises DataError where text is left that nothing reads.
    """
    rest = device_part(spec)
    if rest is not spec:
        splits = {
            name: None if part is None else Arrays(host_inputs(spec, part.x), part.y, part.sample_weight)
            for name, part in (("train", dataset.train), ("validation", dataset.validation), ("test", dataset.test))
        }
        dataset = replace(dataset, **splits)  # type: ignore[arg-type]
    for name, array in dataset.train.x.items():
        if array.dtype.kind not in "iufb":
            raise DataError(f"{name} holds {array.dtype}, expected numbers.", where="data",
                            hint="Encode text as whole numbers, or begin the model with a layer of text.")
    return rest, dataset
