"""keras.layers: every layer class of the vocabulary as Keras presents it, with weights and a `trainable` to set.

A layer of the spec is frozen data. `Layer` here stands in front of one: it can be frozen and unfrozen, and it
owns its weights, one set per framework, so that models that share a layer share its weights, as in Keras.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.errors import SpecError
from harness.keras.adapting import learning
from harness.keras.keras_layers import NAMES
from harness.keras.refusals import namespace
from harness.spec.configured import snake_case
from harness.spec.layers import LAYERS
from harness.spec.layers.base import Layer as LayerSpec
from harness.spec.layers.refused import ALIASES, REFUSED
from harness.spec.notation import Call, Input, Tensor

if TYPE_CHECKING:
    import numpy as np

    from harness.spec.layers.base import Weight

KerasTensor = Tensor
# Which layer made a call: the spec that a call holds does not know who stands in front of it.
MADE_BY: weakref.WeakKeyDictionary[Call, Layer] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Variable:
    """A weight to look at: name ("kernel"), value, and whether the optimizer updates it."""

    name: str
    value: np.ndarray
    trainable: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def numpy(self) -> np.ndarray:
        return self.value

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        import numpy as np

        return np.array(self.value, dtype=dtype)


class Layer:
    """keras.layers.Layer: base of the classes below; it cannot be derived from, because a layer must be known
    to both frameworks.

    values: framework -> role ("kernel") -> array; empty before a model has drawn its first weights.
    """

    spec_class: ClassVar[type[LayerSpec]]
    is_operation = False  # made by an operator or a function: in the graph, but not in `model.layers`

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not hasattr(type(self), "spec_class"):
            raise SpecError("keras.layers.Layer itself does nothing.", hint="Use one of keras.layers.")
        named = {key: behind(item) for key, item in kwargs.items()}
        # Keras's Embedding takes its table so; as an argument of the spec it would be part of the model's text.
        table = named.pop("weights", None) if type(self).__name__ == "Embedding" else None
        self._stand_for(type(self).spec_class(*map(behind, args), **named))
        if table is not None:
            self.build((None, None))
            self.set_weights(table if isinstance(table, (list, tuple)) else [table])

    def __init_subclass__(cls, *, of_harness: bool = False, **kwargs: Any) -> None:
        if not of_harness:
            raise SpecError(
                f"{cls.__name__} is a layer of your own: its code would run in one framework only.",
                hint="Compose it of the layers in keras.layers.",
            )
        super().__init_subclass__(**kwargs)

    def _stand_for(self, spec: LayerSpec) -> None:
        self.spec = spec
        self.values: dict[str, dict[str, np.ndarray]] = {}
        self.trainable = spec.trainable
        self._declared: tuple[Weight, ...] = ()
        self._label: str | None = spec.name
        self._model: weakref.ref[Any] | None = None
        self._output: weakref.ref[Tensor] | None = None

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        """Records a call on symbolic tensors. `training` and masks given by hand are refused."""
        if arguments.pop("training", None) is not None:
            raise SpecError("a call with training= is not supported.", where=repr(self),
                            hint="Set layer.trainable = False to keep a BatchNormalization in inference mode.")
        outputs = self.spec(*inputs, **arguments)
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        if first.call is not None:
            MADE_BY[first.call] = self
            if self._output is None or self._output() is None:
                self._output = weakref.ref(first)
        return outputs

    def joins(self, label: str, model: Any) -> None:
        """A model has this layer under that name."""
        self._label = self._label or label
        if self._model is None or self._model() is None:
            self._model = weakref.ref(model)

    @property
    def name(self) -> str:
        return self._label or snake_case(type(self.spec).__name__)

    @property
    def output(self) -> Tensor:
        """The tensor that its first call made. Raises SpecError before there is one."""
        tensor = self._output() if self._output else None
        if tensor is None:
            raise SpecError(f"the layer {self.name!r} has not been called.", hint="Call it, or take it from a model.")
        return tensor

    @property
    def input(self) -> Any:
        """What its first call read: a tensor, or a list of them."""
        call = self.output.call
        assert call is not None
        return call.inputs[0] if len(call.inputs) == 1 else list(call.inputs)

    def get_config(self) -> dict[str, Any]:
        """The arguments that differ from Keras's defaults."""
        return {"name": self.name, **self.spec.config()}

    @property
    def weights(self) -> list[Variable]:
        """In Keras's order, of TensorFlow's half. Raises SpecError before a model is built with it."""
        model = self._model() if self._model else None
        if model is None and self.values:
            half = next(iter(self.values))
            return [Variable(weight.role, self.values[half][weight.role], weight.trainable and self.trainable)
                    for weight in self._declared]
        if model is None:
            raise SpecError(f"the layer {self.name!r} is in no model yet; it has no weights.")
        return [
            Variable(weight.role, model.value_of(self, weight.role), weight.trainable and self.trainable)
            for weight in model.declared_weights(self)
        ]

    @property
    def trainable_weights(self) -> list[Variable]:
        return [weight for weight in self.weights if weight.trainable]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        return [weight for weight in self.weights if not weight.trainable]

    def get_weights(self) -> list[np.ndarray]:
        """Arrays in Keras's order, of TensorFlow's half (or of the only framework)."""
        return [weight.value for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets both halves. Raises SpecError where number or shapes do not fit."""
        import numpy as np

        from harness.keras.weights import halves

        known = {weight.role: weight.shape for weight in self._declared} or \
            {weight.name: weight.shape for weight in self.weights}
        arrays = [np.asarray(weight) for weight in weights]
        if [array.shape for array in arrays] != list(known.values()):
            raise SpecError(f"the weights of {self.name!r} have the shapes {list(known.values())}, "
                            f"got {[array.shape for array in arrays]}.", where="set_weights")
        for half in halves():
            self.values[half] = dict(zip(known, arrays, strict=True))

    def build(self, input_shape: Any) -> None:
        """Makes known which weights it has, before it is in a model, so that `set_weights` can give it some.

        input_shape: with the batch dimension first.
        """
        shapes = input_shape if input_shape and isinstance(input_shape[0], (list, tuple)) else [input_shape]
        self._declared = self.spec.weights(*map(tuple, shapes))

    def count_params(self) -> int:
        """The number of parameters."""
        return sum(weight.value.size for weight in self.weights)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "spec":
            raise AttributeError(name)
        if name in type(self.spec).model_fields or hasattr(type(self.spec), name):
            return getattr(self.spec, name)
        for weight in self.weights if self._model and self._model() else ():
            if weight.name == name:
                return weight
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class InputLayer(Layer, of_harness=True):
    """An input in the list `model.layers`; it has no weights. Called by a script it makes an Input."""

    def __new__(cls, input_shape: Any = None, **arguments: Any) -> Any:
        shape = arguments.pop("shape", input_shape)
        return Input(shape, **arguments)

    @classmethod
    def of(cls, tensor: Tensor, name: str) -> InputLayer:
        layer: InputLayer = object.__new__(cls)
        layer._label, layer.trainable, layer.values, layer.tensor = name, True, {}, tensor
        return layer

    tensor: Tensor

    @property
    def output(self) -> Tensor:
        return self.tensor

    @property
    def weights(self) -> list[Variable]:
        return []

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "batch_shape": self.tensor.shape, "dtype": self.tensor.dtype}


_CLASSES: dict[type[LayerSpec], type[Layer]] = {}


def class_for(spec_class: type[LayerSpec]) -> type[Layer]:
    """The class that stands in front of a layer class of the spec."""
    if spec_class not in _CLASSES:
        body = {"spec_class": spec_class, "__doc__": spec_class.__doc__, "__module__": __name__}
        bases = (*learning(spec_class.__name__), Layer)
        _CLASSES[spec_class] = types.new_class(
            spec_class.__name__, bases, {"of_harness": True}, lambda space: space.update(body)
        )
    return _CLASSES[spec_class]


def in_front_of(spec: LayerSpec) -> Layer:
    """A Layer for a layer of the spec that was made without one."""
    cls = class_for(type(spec))
    layer = cls.__new__(cls)
    layer._stand_for(spec)
    return layer


def behind(value: Any) -> Any:
    """The spec behind a Layer, inside of lists too; anything else as it is."""
    if isinstance(value, Layer):
        return value.spec
    if isinstance(value, (list, tuple)):
        return type(value)(map(behind, value))
    return value


def refuse_arguments(owner: str, arguments: Mapping[str, Any]) -> Any:
    raise SpecError(f"{owner} takes no {', '.join(map(repr, arguments))} here.", hint="Use the layer of that name.")


def _merging(name: str) -> Any:
    def function(inputs: Sequence[Tensor], **arguments: Any) -> Any:
        return class_for(LAYERS.classes[name])(**arguments)(list(inputs))

    function.__doc__ = f"keras.layers.{name} of the tensors."
    return function


_CLASS_TABLE = {name: class_for(cls) for name, cls in LAYERS.classes.items()}
_MERGING = ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract")
_PREPARE = "Prepare the data before fit, in NumPy."
_DATA = (
    "CategoryEncoding", "CenterCrop", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "Normalization",
    "Resizing", "StringLookup", "TextVectorization",
)
_HINTS = {name: _PREPARE for name in NAMES if name.startswith("Random") or name in _DATA}
_REASONS = {name: refusal.reason for name, refusal in REFUSED.items()}
_HINTS |= {name: refusal.way_out for name, refusal in REFUSED.items()}
_ALIASES = {name: _CLASS_TABLE[known] for name, known in ALIASES.items()}


_FUNCTIONS = {name.lower(): _merging(name) for name in _MERGING if name in LAYERS.classes}

__getattr__, __dir__ = namespace(
    "keras.layers",
    {**_CLASS_TABLE, **_ALIASES, **_FUNCTIONS, "Input": Input, "InputLayer": InputLayer, "Layer": Layer}, NAMES,
    hint="`harness.layers` lists what both frameworks carry.", hints=_HINTS, reasons=_REASONS,
)
