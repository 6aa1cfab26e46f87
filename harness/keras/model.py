"""keras.Model without a framework: what a Keras script holds in its hand.

A model here is a ModelSpec, the layers that own its weights (one set per framework), and what `compile` said.
Training, evaluation and prediction happen in worker processes (halves.py); nothing here imports a framework.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError, did_you_mean
from harness.keras import checkpoints, weights
from harness.keras.compiling import Compiled, OptimizerFace, compiled_from
from harness.keras.graph import Graph, flat, together
from harness.keras.layers import Layer, Variable
from harness.keras.refusals import OF_MODELS
from harness.keras.state import STATE
from harness.spec.model import ModelSpec
from harness.spec.notation import Tensor

if TYPE_CHECKING:
    import numpy as np

    from harness.keras.history import History
    from harness.spec.layers.base import Weight

_SUBCLASS = "a model of your own class is code that only one framework could run."


class Model:
    """keras.Model(inputs, outputs): the model between symbolic tensors."""

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True,
    ) -> None:
        if inputs is None or outputs is None:
            raise SpecError("a Model is given its inputs and outputs.", where="keras.Model",
                            hint="Write keras.Model(inputs, outputs), or use keras.Sequential.")
        self._begin(name)
        self._graph: Graph | None = Graph(inputs, outputs, name or "model")
        self._graph_is_built()
        if not trainable:
            self.trainable = False

    def __init_subclass__(cls, *, of_harness: bool = False, **kwargs: Any) -> None:
        if not of_harness:
            raise SpecError(f"{cls.__name__}: {_SUBCLASS}",
                            hint="Write it as keras.Sequential([...]) or keras.Model(inputs, outputs).")
        super().__init_subclass__(**kwargs)

    def _begin(self, name: str | None) -> None:
        self.seed = STATE.next_seed()
        self.fits = 0
        self.history: History | None = None  # of the last fit, as in Keras
        self.fitted: str | None = None  # by what it was fitted so far, as a hash
        self.compiled: Compiled | None = None
        self._name = name

    def _graph_is_built(self) -> None:
        for label, layer in self.graph.layers.items():
            layer.joins(label, self)

    # -- what it is

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

    def __call__(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """On symbolic tensors: the model as a layer of another. On arrays: what `predict` gives."""
        tensors = flat(inputs)
        if not all(isinstance(tensor, Tensor) for tensor in tensors):
            if training:
                raise SpecError("a call with training=True on arrays is not supported.", where=self.name)
            return self.predict(inputs, verbose=0)
        graph = self._graph_for(tensors)
        if isinstance(inputs, Mapping):
            tensors = [inputs[item.name] for item in graph.spec.inputs if item.name in inputs]
        if len(tensors) != len(graph.inputs):
            raise SpecError(f"the model has {len(graph.inputs)} inputs, got {len(tensors)}.", where=self.name)
        return together(graph.replay(tensors, self), graph.output_keys)

    def _graph_for(self, tensors: Sequence[Tensor]) -> Graph:
        return self.graph

    # -- training

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, metrics: Any = None,
                weighted_metrics: Any = None, run_eagerly: Any = False, steps_per_execution: Any = 1,
                jit_compile: Any = "auto", auto_scale_loss: Any = True) -> None:
        """Says how to train. The optimizer starts anew, unless it is the very object of the compile before."""
        self.compiled = compiled_from(
            self.compiled, optimizer, loss, loss_weights, metrics, weighted_metrics, jit_compile,
            refused={"run_eagerly": run_eagerly},
        )

    @property
    def optimizer(self) -> OptimizerFace:
        return OptimizerFace(self._compiled())

    @property
    def loss(self) -> Any:
        return self._compiled().loss

    @property
    def metrics_names(self) -> list[str]:
        """Keras's: the loss, and one entry for all metrics."""
        compiled = self._compiled()
        return ["loss", *(["compile_metrics"] if compiled.metrics or compiled.weighted_metrics else [])]

    def _compiled(self) -> Compiled:
        if self.compiled is None:
            raise SpecError("call compile() before fit() and evaluate().", where=self.name)
        return self.compiled

    def fit(self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto",
            callbacks: Any = None, validation_split: float = 0.0, validation_data: Any = None, shuffle: bool = True,
            class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0,
            steps_per_epoch: int | None = None, validation_steps: int | None = None,
            validation_batch_size: int | None = None, validation_freq: int = 1) -> History:
        """Trains in both frameworks, identically, and compares them. A second call goes on where the first
        ended, in each framework from its own weights and optimizer state. See harness/keras/fitting.py."""
        from harness.keras.arrays import refuse_stream
        from harness.keras.fitting import fit

        refuse_stream(x)
        refused = {"initial_epoch": (initial_epoch, 0), "steps_per_epoch": (steps_per_epoch, None),
                   "validation_steps": (validation_steps, None), "validation_freq": (validation_freq, 1)}
        for argument, (given, usual) in refused.items():
            if given != usual:
                raise SpecError(f"fit({argument}={given!r}) is not supported.", where=self.name,
                                hint=f"Leave {argument} out; slice the arrays where fewer steps are wanted.")
        self.history = fit(self, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data,
                           shuffle, class_weight, sample_weight)
        return self.history

    def evaluate(self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = "auto",
                 sample_weight: Any = None, steps: Any = None, callbacks: Any = None, return_dict: bool = False,
                 framework: str | None = None) -> Any:
        """The loss, or [loss, metrics...], or a dict, of TensorFlow's half (or of `framework`'s)."""
        from harness.keras.inference import evaluate

        results = evaluate(self, x, y, batch_size or 32, sample_weight, framework)
        if return_dict:
            return dict(sorted(results.items()))
        values = list(results.values())
        return values[0] if len(values) == 1 else values

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: Any = None,
                callbacks: Any = None, framework: str | None = None) -> Any:
        """An array (a list or dict of them for several outputs), of TensorFlow's half (or of `framework`'s)."""
        from harness.keras.inference import predict

        return together(predict(self, x, batch_size or 32, framework), self.graph.output_keys)

    def __getattr__(self, name: str) -> Any:
        if name in OF_MODELS:
            raise SpecError(f"model.{name} is not supported under harness.keras.", hint=OF_MODELS[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def predict_on_batch(self, x: Any) -> Any:
        return self.predict(x, verbose=0)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        raise SpecError("train_on_batch is not supported: a training is planned whole, before a framework is loaded.",
                        where=self.name, hint="Use fit(x, y, batch_size=...).")

    test_on_batch = train_on_batch

    # -- weights

    def declared_weights(self, layer: Layer) -> tuple[Weight, ...]:
        return self.graph.spec.layer_weights(self.graph.labels[id(layer)])

    def value_of(self, layer: Layer, role: str) -> np.ndarray:
        return weights.value_of(self, layer, role)

    @property
    def weights(self) -> list[Variable]:
        """In Keras's order, of TensorFlow's half."""
        return [weight for layer in self.layers for weight in layer.weights]

    @property
    def trainable_weights(self) -> list[Variable]:
        return [weight for weight in self.weights if weight.trainable]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        return [weight for weight in self.weights if not weight.trainable]

    trainable_variables, non_trainable_variables, variables = trainable_weights, non_trainable_weights, weights

    def get_weights(self, framework: str | None = None) -> list[np.ndarray]:
        """Arrays in Keras's list order, of TensorFlow's half (or of `framework`'s)."""
        return weights.as_list(self, framework)

    def set_weights(self, arrays: Sequence[Any]) -> None:
        """Sets both halves; the optimizer's state stays. Raises SpecError where number or shapes do not fit."""
        weights.set_list(self, arrays)

    def count_params(self) -> int:
        return self.graph.spec.parameters

    save, save_weights, load_weights = checkpoints.save, checkpoints.save_weights, checkpoints.load_weights
    to_json = checkpoints.to_json

    def get_config(self) -> dict[str, Any]:
        """The spec as plain data (harness's own form, not Keras's)."""
        return self.spec.to_data()

    def _repr_html_(self) -> str:
        return self.spec._repr_html_() if self.built else repr(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"
