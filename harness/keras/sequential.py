"""keras.Sequential without a framework: a chain of layers that may wait for its input's shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.errors import SpecError
from harness.keras.graph import Graph
from harness.keras.layers import Layer, in_front_of
from harness.keras.model import Model
from harness.spec.layers.base import Layer as LayerSpec
from harness.spec.notation import Input, Tensor

# What the first layer of a model reads that is built by its data, where it is no floating-point number.
_READS = {"Embedding": "int32", "TextVectorization": "string", "StringLookup": "string"}


class Sequential(Model, of_harness=True):
    """keras.Sequential([...]): a chain of layers. Without an input shape it is built by the first data it sees."""

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        self._begin(name)
        self._graph = None
        self._items: list[Any] = []
        for item in layers or []:
            self._append(item)
        self._rebuild()
        if not trainable:
            self.trainable = False

    @property
    def name(self) -> str:
        return self._name or "sequential"

    def add(self, layer: Any) -> None:
        """Puts a layer (or an Input, first) at the end."""
        self._append(layer)
        self._rebuild()

    def pop(self) -> Any:
        """Takes the last layer away and returns it."""
        if not self._stack():
            raise SpecError("there are no layers in the model.", where=self.name)
        last = self._items.pop()
        self._rebuild()
        return last

    def _append(self, item: Any) -> None:
        item = in_front_of(item) if isinstance(item, LayerSpec) else item
        if isinstance(item, Tensor) and item.call is None:
            if self._items:
                raise SpecError("an Input may only stand first in a Sequential model.", where=self.name)
        elif not isinstance(item, (Layer, Model)):
            raise SpecError(f"a Sequential model holds layers, got {item!r}.", where=self.name,
                            hint="Build branches with keras.Model(inputs, outputs).")
        self._items.append(item)

    def _stack(self) -> list[Any]:
        return [item for item in self._items if not isinstance(item, Tensor)]

    def _rebuild(self, shape: tuple[int | None, ...] | None = None, dtype: str | None = None) -> None:
        start = self._start() if shape is None else Input(shape, dtype=dtype)
        self._graph = None
        if start is None or not self._stack():
            return
        tensor: Any = start
        for item in self._stack():
            tensor = item(tensor)
            tensor = tensor[0] if isinstance(tensor, tuple) and len(tensor) == 1 else tensor
        self._graph = Graph(start, tensor, self.name)
        self._graph_is_built()

    def _start(self) -> Tensor | None:
        if self._graph is not None:
            return self._graph.inputs[0]
        first = self._items[0] if self._items else None
        if isinstance(first, Tensor):
            return first
        if isinstance(first, Model):
            return Input(first.inputs[0].shape[1:], dtype=first.inputs[0].dtype) if first.built else None
        shape = first.spec.input_shape if first is not None else None
        return None if shape is None else Input(shape)

    def _graph_for(self, tensors: Sequence[Tensor]) -> Graph:
        if self._graph is None:
            self._rebuild(tensors[0].shape[1:], tensors[0].dtype)
        return self.graph

    def build(self, input_shape: Any = None) -> None:
        """input_shape: with the batch dimension first."""
        if self._graph is None and input_shape is not None:
            self.build_for(tuple(input_shape)[1:])

    def build_for(self, shape: tuple[int | None, ...]) -> None:
        """Builds it for examples of that shape, if it has no input shape of its own."""
        if self._graph is None:
            first = self._stack()[0] if self._stack() else None
            self._rebuild(shape, _READS.get(type(first).__name__))

    @property
    def layers(self) -> list[Any]:
        return self._stack()

    def _own_layers(self) -> list[Layer]:
        parts = [item._own_layers() if isinstance(item, Model) else [item] for item in self._stack()]
        return [layer for part in parts for layer in part]

    def summary(self, line_length: Any = None, positions: Any = None, print_fn: Callable[[str], Any] | None = None,
                **ignored: Any) -> None:
        """The layer table; only names and types before the model is built, as in Keras."""
        if self.built:
            return super().summary(print_fn=print_fn)
        lines = [f"  {item.name}  {type(item).__name__}" for item in self._stack()]
        (print_fn or print)("\n".join([f"Model: {self.name} (not built: no input shape yet)", *lines]))
        return None
