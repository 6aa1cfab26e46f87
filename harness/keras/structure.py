"""What a model of a Keras script is, before anything is trained: its graph, layers, tensors and shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.keras.graph import Graph
from harness.keras.layers import Layer
from harness.spec.model import ModelSpec
from harness.spec.notation import Tensor


class Structure:
    """Base of Model, which sets `_graph` (None while the input's shape is not known) and `_name`."""

    _graph: Graph | None
    _name: str | None

    @property
    def graph(self) -> Graph:
        """Raises SpecError where the input's shape is not known yet."""
        if self._graph is None:
            raise SpecError("this model has not yet been built: the shape of its input is not known.",
                            where=self.name, hint="Call fit or build, or put keras.Input(shape=...) first.")
        return self._graph

    @property
    def spec(self) -> ModelSpec:
        """The frozen, framework-free model, its layers frozen as they are now."""
        graph = self.graph
        frozen = {label: layer.trainable for label, layer in graph.layers.items()
                  if layer.trainable != graph.spec.layers[label].trainable}
        return graph.spec.with_trainable(frozen) if frozen else graph.spec

    @property
    def name(self) -> str:
        return self._name or "model"

    @property
    def built(self) -> bool:
        return self._graph is not None

    @property
    def layers(self) -> list[Any]:
        """In Keras's order, inputs first; a model that was called as a layer is one entry."""
        inputs = {id(layer.tensor): layer for layer in self.graph.input_layers()}
        return [inputs[id(item)] if isinstance(item, Tensor) else item for item in self.graph.ordered()
                if not getattr(item, "is_operation", False)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """Raises SpecError for an unknown name or an index beyond the last."""
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise SpecError(f"there is no layer {index}; the model has {len(layers)}.", where=self.name)
            return layers[index]
        for layer in layers:
            label = self.graph.labels.get(id(layer), layer.name)
            if label == name:
                return layer
        raise SpecError(f"there is no layer {name!r}.", where=self.name,
                        hint=did_you_mean(name, [layer.name for layer in layers]))

    @property
    def inputs(self) -> list[Tensor]:
        return list(self.graph.inputs)

    @property
    def outputs(self) -> list[Tensor]:
        return list(self.graph.outputs)

    @property
    def input(self) -> Any:
        return self.inputs[0] if len(self.inputs) == 1 else self.inputs

    @property
    def output(self) -> Any:
        return self.outputs[0] if len(self.outputs) == 1 else self.outputs

    @property
    def input_shape(self) -> Any:
        shapes = [tensor.shape for tensor in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        shapes = [tensor.shape for tensor in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_names(self) -> list[str]:
        return list(self.graph.spec.output_names)

    @property
    def trainable(self) -> bool:
        return any(layer.trainable for layer in self._own_layers())

    @trainable.setter
    def trainable(self, value: bool) -> None:
        """Freezes or unfreezes every layer, those of models inside it too."""
        for layer in self._own_layers():
            layer.trainable = bool(value)

    def _own_layers(self) -> list[Layer]:
        return list(self.graph.layers.values())

    def build(self, input_shape: Any = None) -> None:
        """Nothing to do: a functional model has its shapes."""

    def summary(self, line_length: Any = None, positions: Any = None, print_fn: Callable[[str], Any] | None = None,
                **ignored: Any) -> None:
        """Prints the layer table: name, type, output shape, parameters, FLOPs."""
        (print_fn or print)(self.spec.summary())

    def count_params(self) -> int:
        return self.graph.spec.parameters

    def get_config(self) -> dict[str, Any]:
        """The spec as plain data (harness's own form, not Keras's)."""
        return self.spec.to_data()

    def _repr_html_(self) -> str:
        return self.spec._repr_html_() if self.built else repr(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"
