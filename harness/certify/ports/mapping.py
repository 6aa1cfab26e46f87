"""Which tensor of a hand-written PyTorch module holds which Keras weight.

`propose` assigns by the class of the module and the shape of its tensors, in order. Where several assignments fit it
gives all of them and says where they differ; what is missing or left over is an error that lists all of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.certify.ports.assignment import Assigned, Option, assign
from harness.certify.ports.loose import loose_options
from harness.certify.ports.names import Given, Names
from harness.certify.ports.rules import TorchUnit
from harness.certify.ports.transforms import Transform
from harness.errors import SpecError
from harness.spec.model import ModelSpec

# More assignments than this are not tried out.
MOST_CANDIDATES = 24
MOST_LISTED = 20


@dataclass(frozen=True)
class Piece:
    """A tensor of the port by its attribute path, or its rows [start, stop)."""

    path: str
    rows: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        return self.path if self.rows is None else f"{self.path}[{self.rows[0]}:{self.rows[1]}]"

    @staticmethod
    def parse(text: str, where: str = "mapping") -> Piece:
        """Reads "fc.weight" or "fc.weight[0:8]"."""
        path, bracket, rest = text.partition("[")
        if not bracket:
            return Piece(path)
        start, _, stop = rest.rstrip("]").partition(":")
        if not (rest.endswith("]") and start.isdigit() and stop.isdigit()):
            raise SpecError(f"cannot read {text!r} as rows of a tensor.", where=where, hint="Write fc.weight[0:8].")
        return Piece(path, (int(start), int(stop)))


@dataclass(frozen=True)
class Entry:
    """A weight: where it stands, and how."""

    weight: str
    pieces: tuple[Piece, ...]
    transform: Transform

    @property
    def text(self) -> str:
        how = "" if self.transform.name == "same" else f" ({self.transform.text})"
        return f"{self.weight} -> {', '.join(piece.text for piece in self.pieces)}{how}"


@dataclass(frozen=True)
class Ambiguity:
    """Layers of equal kind and shapes. options: for each assignment that fits, the tensors in the layers' order."""

    layers: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def text(self) -> str:
        more = f" or {len(self.options) - 4} more" if len(self.options) > 4 else ""
        return f"{', '.join(self.layers)} may be {' or '.join(self.options[:4])}{more}"


@dataclass(frozen=True)
class PortMapping:
    """Every weight's place in the port. zeros: tensors that are held at 0. ignored: tensors that keep their own
    values. ambiguities: what this assignment was chosen among."""

    entries: tuple[Entry, ...]
    zeros: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    ambiguities: tuple[Ambiguity, ...] = ()

    def of_layer(self, layer: str) -> list[Entry]:
        """The weights of a layer."""
        return [entry for entry in self.entries if entry.weight.startswith(layer + "/")]

    def to_data(self) -> dict[str, Any]:
        """Plain data: what a worker's child is given."""
        return {"entries": [[entry.weight, [piece.text for piece in entry.pieces], entry.transform.text]
                            for entry in self.entries],
                "zeros": list(self.zeros), "ignored": list(self.ignored)}

    @staticmethod
    def from_data(data: Mapping[str, Any], spec: ModelSpec) -> PortMapping:
        """The inverse of `to_data`."""
        shapes = {weight.name: weight.shape for weight in spec.weights}
        return PortMapping(
            tuple(Entry(weight, tuple(Piece.parse(text) for text in pieces), Transform.parse(how, shapes[weight]))
                  for weight, pieces, how in data["entries"]),
            tuple(data["zeros"]), tuple(data["ignored"]))

    def to_names(self) -> str:
        """The same as a names.yaml."""
        lines = []
        for entry in self.entries:
            names = [piece.text for piece in entry.pieces]
            shown = f'"{names[0]}"' if len(names) == 1 else "[" + ", ".join(f'"{name}"' for name in names) + "]"
            lines.append(f"{entry.weight}: {{torch: {shown}, transform: {entry.transform.text}}}")
        if self.zeros or self.ignored:
            lines.append(f"ignore: [{', '.join((*self.zeros, *self.ignored))}]")
        return "\n".join(lines) + "\n"


def propose(spec: ModelSpec, units: Sequence[TorchUnit], names: Names | None = None) -> list[PortMapping]:
    """Every assignment that fits, the likeliest first; one where nothing is ambiguous.

    units: the port's modules with tensors, in the order of their declaration. names: what the user says, which is
    followed. Raises SpecError listing every weight and every tensor that is not accounted for.
    """
    names = names or Names()
    tensors = {_joined(unit, name): shape for unit in units for name, shape in unit.tensors.items()}
    names.check([weight.name for weight in spec.weights], tensors, [unit.path for unit in units])
    found = assign(spec, units, names)
    choices = [_choice(spec, group) for group in found.groups]
    known = {entry.weight for choice in choices for entry in choice[0].entries}
    taken = {piece.path for choice in choices for entry in choice[0].entries for piece in entry.pieces}
    explicit = [_explicit(spec, weight, given, names.where) for weight, given in found.weights.items()]
    known |= {entry.weight for entry in explicit}
    taken |= {piece.path for entry in explicit for piece in entry.pieces}
    for layer, unit in found.loose:
        rest = {role: shape for weight in spec.weights if weight.layer == layer and weight.name not in known
                for role, shape in [(weight.role, weight.shape)]}
        options = loose_options(layer, rest, unit, taken)
        if options:
            choices.append(_choice(spec, (layer, options)))
            known |= {entry.weight for entry in choices[-1][0].entries}
            taken |= {piece.path for entry in choices[-1][0].entries for piece in entry.pieces}
    candidates = [_mapping(option, choices, explicit, names)
                  for option in itertools.islice(itertools.product(*choices), MOST_CANDIDATES)]
    _check_complete(spec, units, candidates[0], tensors, found)
    return candidates


@dataclass(frozen=True)
class _Chosen:
    layers: tuple[str, ...]
    entries: tuple[Entry, ...]
    zeros: tuple[str, ...]
    text: str


def _choice(spec: ModelSpec, group: tuple[str, list[Option]]) -> list[_Chosen]:
    """The options of one group as entries."""
    shapes = {weight.name: weight.shape for weight in spec.weights}
    made = []
    for option in group[1]:
        entries, zeros, modules = [], [], []
        for item in option:
            held = item.unit.tensors
            for role, (pieces, how) in item.fit.roles.items():
                weight = f"{item.layer}/{role}"
                if weight in shapes and all(piece.partition("[")[0] in held for piece in pieces):
                    entries.append(Entry(weight, tuple(Piece.parse(_joined(item.unit, piece)) for piece in pieces),
                                         Transform.parse(item.transforms.get(role, how), shapes[weight])))
            zeros += [_joined(item.unit, name) for name in item.fit.zeros if name in held]
            modules.append(item.text)
        made.append(_Chosen(tuple(item.label for item in option), tuple(entries), tuple(zeros), ", ".join(modules)))
    return made


def _explicit(spec: ModelSpec, weight: str, given: Given, where: str) -> Entry:
    shape = next(item.shape for item in spec.weights if item.name == weight)
    return Entry(weight, tuple(Piece.parse(name, where) for name in given.torch),
                 Transform.parse(given.transform or "same", shape, f"{where}: {weight}"))


def _mapping(
    chosen: Sequence[_Chosen], choices: Sequence[Sequence[_Chosen]], explicit: Sequence[Entry], names: Names,
) -> PortMapping:
    entries = {entry.weight: entry for item in chosen for entry in item.entries}
    entries |= {entry.weight: entry for entry in explicit}
    ambiguities = tuple(Ambiguity(options[0].layers, tuple(f"({option.text})" for option in options))
                        for options in choices if len(options) > 1)
    used = {piece.path for entry in entries.values() for piece in entry.pieces}
    zeros = tuple(name for item in chosen for name in item.zeros if name not in used and name not in names.ignore)
    return PortMapping(tuple(entries.values()), zeros, names.ignore, ambiguities)


def _check_complete(
    spec: ModelSpec, units: Sequence[TorchUnit], mapping: PortMapping, tensors: Mapping[str, tuple[int, ...]],
    found: Assigned,
) -> None:
    """Raises SpecError listing what has no place, what no one asked for, and what does not fit."""
    known = {entry.weight for entry in mapping.entries}
    used = {piece.path for entry in mapping.entries for piece in entry.pieces}
    parameters = {_joined(unit, name): unit for unit in units for name in unit.trainable}
    missing = [f"{weight.name} {weight.shape}" for weight in spec.weights if weight.name not in known]
    left = [f"{path} {tensors[path]} of {unit.kind}" for path, unit in parameters.items()
            if path not in used and path not in mapping.zeros and path not in mapping.ignored]
    wrong = []
    for entry in mapping.entries:
        for piece, shape in zip(entry.pieces, entry.transform.torch_shapes, strict=False):
            held = tensors[piece.path]
            own = held if piece.rows is None else (piece.rows[1] - piece.rows[0], *held[1:])
            if own != shape:
                wrong.append(f"{entry.text}: {piece.text} is {own}, the weight would be {shape}")
    problems = [f"{kind}: {_listed(items)}" for kind, items in (
        ("weights of the Keras model without a place in the port", missing),
        ("parameters of the port that no Keras weight belongs to", left), ("misfitting", wrong)) if items]
    if problems:
        raise SpecError(f"the port does not fit the Keras model; {'; '.join(problems)}.", where="mapping",
                        hint="Mend the port, or say in names.yaml where each belongs (docs/certificate.md).")


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - MOST_LISTED} more" if len(items) > MOST_LISTED else ""
    return ", ".join(items[:MOST_LISTED]) + more


def _joined(unit: TorchUnit, name: str) -> str:
    return f"{unit.path}.{name}" if unit.path else name
