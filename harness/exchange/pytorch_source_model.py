"""The class of an exported model: its constructor, and its forward pass as one statement per call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError
from harness.exchange.pytorch_source_text import call, identifier, literal
from harness.spec.model import ModelSpec, Node, Reference, references_in

if TYPE_CHECKING:
    from harness.backends.pytorch.blueprint import Blueprint, CallNote

# Attributes that the class has beside its layers, and names that its methods read.
RESERVED = {"self", "torch", "nn", "masks"}
FLOATING = "floating"
# The names of tensors that are read for the last time within so many calls.
PASSING = ("x", "y", "z")
SOON = 24


@dataclass
class ModelText:
    """attributes: layer -> attribute. inputs: the arguments of forward. class_names: classes that have another name in
    the file. init, forward: their statements. constructed: the classes named. texts: the constant texts among the
    arguments. converts: whether whole numbers are converted, to the type of a buffer."""

    attributes: dict[str, str]
    inputs: tuple[str, ...]
    class_names: Mapping[type, str]
    init: list[str] = field(default_factory=list)
    forward: list[str] = field(default_factory=list)
    constructed: list[type] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    converts: bool = False


def model_text(blueprint: Blueprint, class_names: Mapping[type, str]) -> ModelText:
    """The model's own code. class_names: of the layers' classes in the file, where they are not their own.

    Raises SpecError, with every layer that cannot be written down.
    """
    spec = blueprint.spec
    attributes: dict[str, str] = {}
    for layer in spec.first_calls:
        taken = {*attributes.values(), FLOATING}
        attributes[layer] = identifier(layer, lambda name, taken=taken: name in taken or blueprint.is_attribute(name))  # type: ignore[misc]
    text = ModelText(attributes, (), class_names)
    _constructor(blueprint, text)
    _Forward(blueprint, text).write()
    return text


def _constructor(blueprint: Blueprint, text: ModelText) -> None:
    problems = []
    for layer, attribute in text.attributes.items():
        module = blueprint.network.layer(layer)
        try:
            name, arguments = _call_of(module, blueprint, text)
            text.init.append(call(f"self.{attribute} = {name}", arguments))
        except TypeError as error:
            problems.append(f"{layer!r} ({type(blueprint.spec.layers[layer]).__name__}: {error})")
            continue
        frozen = blueprint.frozen(module, f"self.{attribute}")
        text.init += [f"        {place}.requires_grad_(False)" for place in frozen]
    if problems:
        raise SpecError(f"these layers cannot be written as PyTorch source: {', '.join(problems)}.",
                        where=f"model {blueprint.spec.name!r}",
                        hint="A module's constructor may take numbers, texts, tuples, dicts and other modules.")


def _call_of(value: Any, blueprint: Blueprint, text: ModelText) -> tuple[str, list[str]]:
    """(class, arguments) of the call that made an object."""
    made = blueprint.constructions.of(value)
    if made is None:
        raise TypeError(f"how its {type(value).__name__} was made is not known")
    if made.cls not in text.constructed:
        text.constructed.append(made.cls)
    bound = made.arguments()
    arguments, by_name = [], False
    for name, parameter in bound.signature.parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            arguments += [_argument(item, blueprint, text) for item in bound.arguments.get(name, ())]
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments += [f"{key}={_argument(item, blueprint, text)}"
                          for key, item in bound.arguments.get(name, {}).items()]
            continue
        if name not in bound.arguments or _is_default(bound.arguments[name], parameter.default):
            by_name = True
            continue
        written = _argument(bound.arguments[name], blueprint, text)
        optional = parameter.default is not parameter.empty or isinstance(bound.arguments[name], bool)
        by_name = by_name or optional or parameter.kind is parameter.KEYWORD_ONLY
        arguments.append(f"{name}={written}" if by_name and parameter.kind is not parameter.POSITIONAL_ONLY
                         else written)
    name = f"nn.{made.cls.__name__}" if made.cls.__module__.startswith("torch.nn") else made.cls.__name__
    return text.class_names.get(made.cls, name), arguments


def _is_default(value: Any, default: Any) -> bool:
    plain = value is None or isinstance(value, (bool, int, float, str, tuple))
    return plain and type(value) is type(default) and value == default


def _argument(value: Any, blueprint: Blueprint, text: ModelText) -> str:
    if isinstance(value, str):
        text.texts.add(value)
    if isinstance(value, (list, tuple)) and any(blueprint.constructions.of(item) for item in value):
        items = ", ".join(_argument(item, blueprint, text) for item in value)
        return f"[{items}]" if isinstance(value, list) else f"({items}{',' if len(value) == 1 else ''})"
    if isinstance(value, (list, tuple, dict)):
        text.texts |= _texts(value)
    if blueprint.constructions.of(value):
        name, arguments = _call_of(value, blueprint, text)
        return f"{name}({', '.join(arguments)})"
    return literal(value)


def _texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {item for pair in value.items() for part in pair for item in _texts(part)}
    if isinstance(value, (list, tuple)):
        return {item for part in value for item in _texts(part)}
    return {value} if isinstance(value, str) else set()


class _Forward:
    """Writes the statements of forward.

    A tensor that is read for the last time soon is called x (y or z where x is still wanted), and makes room for the
    next then; every other has the name of the layer that made it.
    """

    def __init__(self, blueprint: Blueprint, text: ModelText) -> None:
        self.blueprint, self.text, self.spec = blueprint, text, blueprint.spec
        self.steps = blueprint.network.steps
        self.taken = set(RESERVED)
        self.names: dict[str, str] = {item.name: self._new(item.name) for item in self.spec.inputs}
        text.inputs = tuple(self.names.values())
        # Name -> the place of the last reader of the tensor that has it now.
        self.wanted_until = {name: -1 for name in PASSING if name not in self.taken}
        self.taken |= set(PASSING)
        self.masks: dict[int, str] = {-1: "None"}
        self.needed_masks = _needed_masks([blueprint.notes.get(step.output) for step in self.steps])
        self.last_read = _last_reads(self.spec, [step.output for step in self.steps])
        self.several = {node.name for node in self.spec.nodes if _gives_several(self.spec, node)}

    def _new(self, name: str) -> str:
        found = identifier(name, self.taken)
        self.taken.add(found)
        return found

    def write(self) -> None:
        for place, step in enumerate(self.steps):
            self._statement(place, step)
        outputs = [self.names[reference] for reference in self.spec.outputs]
        last = self.text.forward[-1] if self.text.forward else ""
        start = f"        {outputs[0]} = "
        if len(outputs) == 1 and last.startswith(start):
            self.text.forward[-1] = f"        return {last.removeprefix(start)}"
        else:
            self.text.forward.append(f"        return {', '.join(outputs)}")

    def _statement(self, place: int, step: Any) -> None:
        note = self.blueprint.notes.get(step.output)
        feeds = [self._feed(reference, index, note) for index, reference in enumerate(step.inputs)]
        arguments = [*feeds]
        if note is not None and note.seen is not None:
            arguments.append(f"masks=({', '.join(self.masks[number] for number in note.seen)}"
                             f"{',' if len(note.seen) == 1 else ''})")
        assert all(map(str.isidentifier, step.arguments)), step.output
        arguments += [f"{name}={self._value(value)}" for name, value in step.arguments.items()]
        attribute = self.text.attributes[step.layer]
        # A mask is told of what the layer was fed: before an x that is fed gets its next value.
        masks = [] if note is None else self._mask_statements(attribute, feeds, note, step)
        self.text.forward += masks
        targets = self._targets(place, step.output)
        self.text.forward.append(call(f"{targets} = self.{attribute}", arguments))

    def _feed(self, reference: str, index: int, note: CallNote | None) -> str:
        name = self.names[reference]
        if note is None or index not in note.converted:
            return name
        own = note.converted[index]
        self.text.converts = self.text.converts or not own
        return f"{name}.to({own or f'self.{FLOATING}.dtype'})"

    def _value(self, value: Any) -> str:
        if isinstance(value, Reference):
            return self.names[value.to]
        if references_in(value):
            return f"[{', '.join(map(self._value, value))}]"
        self.text.texts |= _texts(value)
        return literal(list(value) if isinstance(value, tuple) else value)

    def _targets(self, place: int, output: str) -> str:
        """The left side; several values are unpacked, those that nobody reads into _."""
        several = output in self.several
        references = [output]
        while several and f"{output}:{len(references)}" in self.spec.tensors:
            references.append(f"{output}:{len(references)}")
        free = [name for name, until in self.wanted_until.items() if until <= place]
        targets = []
        for reference in references:
            last = self.last_read.get(reference, place)
            if last == place and len(references) > 1:
                targets.append("_")
                continue
            if free and last - place <= SOON:
                self.names[reference] = free.pop(0)
                self.wanted_until[self.names[reference]] = last
            else:
                self.names[reference] = self._new(reference)
            targets.append(self.names[reference])
        return ", ".join(targets) + ("," if several and len(targets) == 1 else "")

    def _mask_statements(self, attribute: str, feeds: list[str], note: CallNote, step: Any) -> list[str]:
        statements = []
        for word in note.masks:
            fresh = [number for number in word.told if number not in self.masks and number in self.needed_masks]
            if not fresh:
                continue
            for number in fresh:
                self.masks[number] = self._new(f"{step.output}_mask")
            targets = ", ".join(self.masks.get(number, "_") if number in fresh else "_" for number in word.told)
            given = ", ".join(self.masks[number] for number in word.given)
            comma = "," if len(feeds) == 1 else ""
            statements.append(call(f"{targets} = self.{attribute}.compute_mask",
                                   [f"({', '.join(feeds)}{comma})", f"({given}{comma})"]))
        return statements


def _gives_several(spec: ModelSpec, node: Node) -> bool:
    result = spec.layers[node.layer].call_shape(spec.input_shapes(node), node.arguments)
    return bool(result) and isinstance(result[0], tuple)


def _last_reads(spec: ModelSpec, order: list[str]) -> dict[str, int]:
    """Reference -> the place of its last reader; the outputs are read behind the last call."""
    places = {name: place for place, name in enumerate(order)}
    last: dict[str, int] = {}
    for node in spec.nodes:
        for reference in node.references:
            last[reference] = max(last.get(reference, 0), places[node.name])
    return last | dict.fromkeys(spec.outputs, len(order))


def _needed_masks(notes: list[CallNote | None]) -> set[int]:
    """The masks that some call obeys, and those that these are made from."""
    needed: set[int] = set()
    for note in reversed(notes):
        if note is None:
            continue
        needed.update(number for number in note.seen or () if number >= 0)
        for word in reversed(note.masks):
            if needed & set(word.told):
                needed.update(number for number in word.given if number >= 0)
    return needed

