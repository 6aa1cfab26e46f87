"""What a Keras model's config is once it is taken apart: its parts, and how its weight files hold them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.errors import SpecError
from harness.spec.keras_config.references import CallConfig, TensorAt
from harness.spec.layers.base import Layer

Kind = Literal["input", "layer", "model", "operation"]
MOST_LAYERS = 10_000
# The layer of Keras that may stand around a whole model.
WRAPPER = "TimeDistributed"


@dataclass(frozen=True)
class StoredLayer:
    """A layer as Keras's weight files hold it. label: its name in the spec, None for a model, which has children.

    holder: the attribute that holds the model, of a TimeDistributed around one. bare: in the spec the layer has a
    TimeDistributed around it, which stands around the whole model in Keras.
    """

    class_name: str
    name: str
    label: str | None
    children: tuple[StoredLayer, ...] = ()
    holder: str | None = None
    bare: bool = False

    @functools.cached_property
    def size(self) -> int:
        return 1 + sum(child.size for child in self.children)


@dataclass
class Part:
    """One entry of a model's config. label: its name in the spec, unique in the whole model."""

    kind: Kind
    name: str
    class_name: str
    label: str
    item: Mapping[str, Any]
    calls: tuple[CallConfig, ...] = ()
    layer: Layer | None = None
    model: Definition | None = None


@dataclass
class Definition:
    """A model: its parts by Keras's names, its inputs and outputs. steps: it is inside a TimeDistributed."""

    name: str
    class_name: str
    label: str
    steps: bool = False
    parts: dict[str, Part] = field(default_factory=dict)
    inputs: tuple[TensorAt, ...] = ()
    outputs: tuple[TensorAt, ...] = ()

    @functools.cached_property
    def stored(self) -> StoredLayer:
        """Keras lists neither operations nor the input of a Sequential among a model's layers. Raises SpecError for
        models that stand in each other without end."""
        kinds = ("layer", "model") if self.class_name == "Sequential" else ("layer", "model", "input")
        children = []
        for part in self.parts.values():
            if part.kind in kinds:
                inner = part.model.stored.children if part.model else ()
                children.append(StoredLayer(
                    part.class_name, part.name, None if part.model else part.label, inner,
                    holder="layer" if part.class_name == WRAPPER and part.model else None,
                    bare=self.steps and part.layer is not None and part.layer.canonical_name() != part.class_name))
        found = StoredLayer(self.class_name, self.name, None, tuple(children))
        if found.size > 10 * MOST_LAYERS:
            raise SpecError(f"the models inside each other have more than {10 * MOST_LAYERS:,} layers.")
        return found
