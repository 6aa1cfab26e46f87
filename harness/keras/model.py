"""keras.Model without a framework: what a Keras script holds in its hand.

A model here is a ModelSpec (structure.py), the layers that own its weights (one set per framework), and what `compile`
said. Training, evaluation and prediction happen in worker processes (jobs.py); nothing here imports a framework.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError
from harness.keras import checkpoints, weights
from harness.keras.compiling import Compiled, OptimizerFace, compiled_from
from harness.keras.graph import Graph, flat, together
from harness.keras.layers import Layer, Variable
from harness.keras.refusals import OF_MODELS
from harness.keras.state import STATE
from harness.keras.structure import Structure
from harness.spec.notation import Tensor

if TYPE_CHECKING:
    import numpy as np

    from harness.keras.history import History
    from harness.spec.layers.base import Weight

_SUBCLASS = "a model of your own class is code that only one framework could run."


class Model(Structure):
    """keras.Model(inputs, outputs): the model between symbolic tensors."""

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True,
    ) -> None:
        if inputs is None or outputs is None:
            raise SpecError("a Model is given its inputs and outputs.", where="keras.Model",
                            hint="Write keras.Model(inputs, outputs), or use keras.Sequential.")
        self._begin(name)
        self._graph = Graph(inputs, outputs, name or "model")
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

    save, save_weights, load_weights = checkpoints.save, checkpoints.save_weights, checkpoints.load_weights
    to_json = checkpoints.to_json
