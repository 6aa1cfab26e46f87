"""harness.from_pretrained: the library's model that a config.json describes, with the weights beside it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import SpecError, did_you_mean
from harness.exchange.pretrained.files import PREFIX, locate, read_config
from harness.exchange.pretrained.loading import Pretrained, architecture_of, load_pretrained
from harness.models import accepted_parameters, load_model
from harness.spec.model import ModelSpec


def from_pretrained(
    source: str | Path, *, new: Collection[str] = (), base: Path | None = None, **parameters: Any
) -> tuple[ModelSpec, dict[str, np.ndarray]]:
    """(spec, weights) of a model that another program saved: "hf:<local folder, package:NAME/folder or hub name>".

    parameters: those of the library's function (models/bert.py, ...) in place of what config.json says; head chooses
    the outputs, input_shape=(steps,) the length of the texts. new: layers that the file lacks; their weights are drawn
    from seed 0. Raises SpecError.
    """
    text = source if isinstance(source, str) and source.startswith(PREFIX) else f"{PREFIX}{source}"
    spec = pretrained_model(text, base, **parameters)
    return spec, complete(spec, load_pretrained(text, spec, new=new, base=base))


def complete(spec: ModelSpec, found: Pretrained, seed: int = 0) -> dict[str, np.ndarray]:
    """All weights of the model, in its order, the new ones drawn from the seed."""
    from harness.plan.initial import draw

    new = set(found.new)
    return {weight.name: draw(weight, seed) if weight.name in new else found.weights[weight.name]
            for weight in spec.weights}


def pretrained_model(source: str, base: Path | None = None, **parameters: Any) -> ModelSpec:
    """The library's model for the config.json of a source, without reading the weights. Raises SpecError."""
    name, found = model_parameters(source, base, parameters)
    return load_model(name, **found)


def model_parameters(
    source: str, base: Path | None = None, parameters: Mapping[str, Any] | None = None
) -> tuple[str, dict[str, Any]]:
    """(a name in the library, its parameters): config.json's, then those given in their place."""
    path = locate(source, base)
    config = read_config(path if path.is_dir() else path.parent, source)
    table = architecture_of(config, source)
    try:
        found = table.parameters(config)
    except SpecError as error:
        raise error.at(source) from None
    takes = accepted_parameters(table.model)
    for name in parameters or {}:
        if name not in takes:
            raise SpecError(f"unknown parameter {name!r} of {table.model}.", where=source,
                            hint=did_you_mean(name, takes))
    kind = (config.get("architectures") or [None])[0]
    return table.model, {**found, **table.heads.get(kind, {}), **(parameters or {})}
