"""What an operation on tensors is: a layer without weights, declared by one line, with Keras's signature.

    declare("numpy", "(x: T, axis=None, keepdims=False)", shapes.reduced, dtypes.floating, "mean var std")

In a signature, T marks an operand: a tensor, or a constant (a number, a nested list, an array with its dtype); L a list
of such; K the key of `x[key]`. Everything else is an argument of the operation itself. A call's tensors are its inputs;
constants among the operands stand in the call's arguments under Keras's names. `{"input": 1}` in the place of an
operand (or inside a list of operands) stands for the second input, where the order alone would not say so.
"""

# Not with `from __future__ import annotations`: the classes made here get their annotations as objects.

import ast
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.errors import SpecError, did_you_mean
from harness.spec.layers.base import Layer, MaskRule, Shape
from harness.spec.operations.arguments import argument_type
from harness.spec.operations.dtypes import Bound, Rule
from harness.spec.operations.operands import Operand, constant, placed
from harness.spec.products import Products, make_product

ShapeRule = Callable[[Bound, Any], Any]
# The products of a call: (operations, operands on the left, operands on the right) of each.
ProductRule = Callable[[Bound, Any], tuple[tuple[int, tuple[str, ...], tuple[str, ...]], ...] | None]


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operation. kind: T, L or K for an operand, "" for an argument of the operation."""

    name: str
    kind: str
    default: Any = inspect.Parameter.empty
    variadic: bool = False

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Declared:
    """One operation. function: its name in keras.ops ("mean", "image.resize"). module, keras_class: where Keras has
    its class. shape, dtype: what comes out. products: its matrix products, None where it has none."""

    function: str
    module: str
    keras_class: str
    signature: str
    shape: ShapeRule
    dtype: Rule
    products: ProductRule | None = None
    space: str = "ops"

    @property
    def canonical_name(self) -> str:
        return f"{self.space}.{self.function}"

    @functools.cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(_parameters(self.signature))

    @functools.cached_property
    def operands(self) -> tuple[Parameter, ...]:
        return tuple(item for item in self.parameters if item.kind)

    @functools.cached_property
    def operation(self) -> type["Operation"]:
        """The class, made when it is first asked for."""
        body: dict[str, Any] = {"__annotations__": {}, "__module__": __name__, "declared": self}
        body["__doc__"] = f"keras.{self.canonical_name}{self.signature}"
        for item in self.parameters:
            if not item.kind:
                body["__annotations__"][item.name] = argument_type(self.function, item.name, item.default)
                if not item.required:
                    # Keras's default, None, stands for its setting image_data_format.
                    body[item.name] = "channels_last" if item.name == "data_format" else item.default
        return types.new_class(self.keras_class, (Operation,), {}, lambda space: space.update(body))


def _parameters(signature: str) -> Iterable[Parameter]:
    arguments = ast.parse(f"def function{signature}: pass").body[0].args  # type: ignore[attr-defined]
    plain = arguments.args
    defaults = [inspect.Parameter.empty] * (len(plain) - len(arguments.defaults)) + [
        ast.literal_eval(item) for item in arguments.defaults]
    pairs = list(zip(plain, defaults, strict=True))
    if arguments.vararg is not None:
        pairs.append((arguments.vararg, inspect.Parameter.empty))
    pairs += [(item, ast.literal_eval(value))
              for item, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    for item, default in pairs:
        kind = item.annotation.id if item.annotation is not None else ""
        yield Parameter(item.arg, kind, default, item is arguments.vararg)


def declare(
    module: str, signature: str, shape: ShapeRule, dtype: Rule, names: str,
    products: ProductRule | None = None, space: str = "ops",
) -> tuple[Declared, ...]:
    """Operations of one signature. names: "log_softmax", whose class is LogSoftmax, or "function=Class"."""
    table = []
    for name in names.split():
        function, _, keras_class = name.partition("=")
        keras_class = keras_class or "".join(part.capitalize() for part in function.rpartition(".")[2].split("_"))
        table.append(Declared(function, module, keras_class, signature, shape, dtype, products, space))
    return tuple(table)


class Operation(Layer):
    """Base of all operations. A call loses the mask (keras/src/ops/operation.py knows of none)."""

    mask_rule: ClassVar[MaskRule] = "drop"
    keyword_only: ClassVar[frozenset[str]] = frozenset({"name", "trainable", "input_shape", "activity_regularizer"})
    ignored: ClassVar[frozenset[str]] = frozenset()
    declared: ClassVar[Declared]

    @classmethod
    def canonical_name(cls) -> str:
        return cls.declared.canonical_name

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **kwargs)
        except SpecError as error:
            # An operand given where an argument of the operation belongs.
            if wrong := {item.name for item in self.declared.operands} & kwargs.keys():
                raise SpecError(f"{min(wrong)!r} is an operand of {self.canonical_name()}, no argument of it.",
                                hint=f"Write it under arguments: {{{min(wrong)}: ...}}.") from None
            raise error

    def bind(
        self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any], dtypes: tuple[str, ...] | None = None
    ) -> dict[str, Any]:
        """Name -> Operand, list of them, None where an operand is left out, the key as it is.

        Raises SpecError for operands that are missing, unknown, or too many.
        """
        tensors = [Operand(shape, dtypes[index] if dtypes else "float32", index) for index, shape in enumerate(shapes)]
        return bind(self.declared, tensors, arguments)

    def call_shape(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Shape | tuple[Shape, ...]:
        bound = self.bind(shapes, arguments)
        try:
            result: Shape | tuple[Shape, ...] = self.declared.shape(bound, self)
        except SpecError as error:
            raise SpecError(f"{self.canonical_name()}: {error.message}", where=error.where,
                            hint=error.hint) from None
        return result

    def compute_output_shape(self, *shapes: Shape) -> Shape | tuple[Shape, ...]:
        return self.call_shape(shapes, {})

    def call_dtype(self, dtypes: tuple[str, ...], shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Any:
        """The dtype of the output, or of each."""
        return self.declared.dtype(self.bind(shapes, arguments, dtypes), self)

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        if self.declared.products is None:
            return ()
        alone = tuple((1, *shape[1:]) if shape and shape[0] is None else shape for shape in shapes)  # one example
        try:
            bound = self.bind(alone, arguments)
            found = self.declared.products(bound, self)
        except SpecError:  # one of the operands is a constant, which only the call knows
            return None
        return None if found is None else tuple(
            make_product(count, _tensors(bound, left), _tensors(bound, right)) for count, left, right in found)

    def call_products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        return self.products(shapes, arguments)  # the batch is a dimension like others

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        known = [item.name for item in self.declared.operands]
        for name in arguments:
            if name not in known:
                raise SpecError(f"{self.canonical_name()} has no operand {name!r}.", hint=did_you_mean(name, known))

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        from harness.spec.operations.calling import call_operation

        return call_operation(self, inputs, arguments)


def _tensors(bound: Bound, names: tuple[str, ...]) -> set[int]:
    """The numbers of the tensors among the operands of these names; "operands 1" is the second of a list."""
    found = set()
    for name in names:
        operand, _, place = name.partition(" ")
        value = bound[operand][int(place)] if place else bound[operand]
        found |= {item.index for item in (value if isinstance(value, list) else [value])
                  if isinstance(item, Operand) and item.index is not None}
    return found


def bind(declared: Declared, tensors: list[Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Gives every operand its tensors (in order, or where a marker says so) or its constant."""
    name = declared.canonical_name
    waiting = [item for index, item in enumerate(tensors) if index not in placed(list(arguments.values()))]
    bound: dict[str, Any] = {}
    for item in declared.operands:
        if item.name in arguments:
            bound[item.name] = constant(arguments[item.name], item.kind, tensors, f"{name}, {item.name}")
        elif item.kind == "L" and waiting:
            later = sum(other.required for other in declared.operands[declared.operands.index(item) + 1:]
                        if other.name not in arguments)
            several = sum(other.kind == "L" for other in declared.operands) > 1
            if several:
                raise SpecError(f"{name} needs to be told which of its tensors belong to {item.name!r}.")
            bound[item.name], waiting = waiting[:len(waiting) - later], waiting[len(waiting) - later:]
        elif waiting:
            bound[item.name] = waiting.pop(0)
        elif item.required:
            raise SpecError(f"{name} needs the operand {item.name!r}.")
        else:
            bound[item.name] = constant(item.default, item.kind, tensors, name)
    order = [one.index for value in bound.values() for one in (value if isinstance(value, list) else [value])
             if isinstance(one, Operand) and one.index is not None]
    if not waiting and order != list(range(len(tensors))):
        raise SpecError(f"the inputs of {name} stand in the order of its operands, each once.")
    if waiting:
        raise SpecError(f"{name} takes {len(declared.operands)} operands "
                        f"({', '.join(item.name for item in declared.operands)}), got more.")
    return bound
