"""Which definitions of the PyTorch backend a model needs, and their texts for a file without the harness.

A definition is a class, function, table or alias at the top level of a module. From the classes that a model's layers
are made of one gets to all others by the names that they read.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import NamedTuple

from harness.errors import SpecError
from harness.exchange import pytorch_source_edits as edits
from harness.exchange.pytorch_source_masks import without_masks


class Key(NamedTuple):
    """A definition: the module that holds it, its name there."""

    module: str
    name: str


# What stands in for what: in an exported file random numbers come from torch alone.
IN_PLACE_OF = {
    Key("harness.backends.pytorch.randomness", "Keyed"): Key("harness.backends.pytorch.drawing", "Drawing"),
}
# Methods that nothing but print(model) needs.
NOT_NEEDED = {"extra_repr", "__repr__"}
# Tables of which only the used entries are written, and only what the definitions' texts and arguments name.
TABLES = {"ACTIVATIONS", "IN_PLACE", "OF_LAYERS"}
OUTSIDE = {"torch"}


@dataclass(frozen=True)
class Namespace:
    """The top level of a module. definitions: name -> statement. imports: name -> (module, name there or None for the
    module itself)."""

    text: str
    definitions: Mapping[str, ast.stmt]
    imports: Mapping[str, tuple[str, str | None]]


@functools.cache
def namespace(module: str) -> Namespace:
    """Reads the source of a module that is loaded or can be. Raises SpecError where there is none."""
    loaded = sys.modules.get(module) or importlib.import_module(module)
    try:
        text = inspect.getsource(loaded)
    except (OSError, TypeError):
        raise SpecError(f"the source of {module} is not at hand, and an export copies from it.") from None
    definitions: dict[str, ast.stmt] = {}
    imports: dict[str, tuple[str, str | None]] = {}
    for statement in _top_level(ast.parse(text).body):
        if isinstance(statement, ast.Import):
            for item in statement.names:
                imports[item.asname or item.name.partition(".")[0]] = (item.name, None)
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            for item in statement.names:
                imports[item.asname or item.name] = (statement.module or "", item.name)
        elif isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
            definitions[statement.name] = statement
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            for target in edits.targets_of(statement):
                if isinstance(target, ast.Name):
                    definitions[target.id] = statement
    return Namespace(text, definitions, imports)


def _top_level(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If):  # if TYPE_CHECKING
            yield from _top_level(statement.body)
        else:
            yield statement


def resolved(module: str, name: str) -> Key | str | None:
    """What a name means in a module: a definition, the line that imports it from outside, or None for a builtin (or a
    name that the module does not know). Raises LookupError for what may not be taken along."""
    space = namespace(module)
    key = Key(module, name)
    if name in space.definitions:
        return IN_PLACE_OF.get(key, key)
    if name not in space.imports:
        return None
    source, original = space.imports[name]
    top = source.partition(".")[0]
    if top in OUTSIDE or top in sys.stdlib_module_names:
        if original is None:
            return f"import {source}" + (f" as {name}" if name != top else "")
        return f"from {source} import {original}" + (f" as {name}" if name != original else "")
    if original is None or isinstance(getattr(sys.modules.get(source), original, None), ModuleType):
        raise LookupError(f"{source}{'.' + original if original else ''}")
    if top == "harness" or top == module.partition(".")[0]:
        return resolved(source, original)
    raise LookupError(source)


@dataclass
class Part:
    """A definition on its way into the file. text: without what no exported file needs, methods not yet chosen."""

    key: Key
    text: str
    kept: str = ""
    own_attributes: set[str] = field(default_factory=set)
    needs: dict[str, Key | str] = field(default_factory=dict)

    @functools.cached_property
    def is_class(self) -> bool:
        return isinstance(ast.parse(self.text).body[0], ast.ClassDef)

    @functools.cached_property
    def is_function(self) -> bool:
        return isinstance(ast.parse(self.text).body[0], ast.FunctionDef)


class Parts:
    """The definitions that a file needs, found from roots. masked: whether masks occur in the model. texts: the
    constants among the arguments of the model's modules. attributes: those that the model's own code reads of them.
    """

    def __init__(self, masked: bool, texts: Iterable[str], attributes: Iterable[str]) -> None:
        self.masked = masked
        self.texts = set(texts)
        self.attributes = set(attributes)
        self.parts: dict[Key, Part] = {}

    def add(self, cls: type) -> None:
        """A class that the model's own code names. Raises SpecError for one that cannot be copied."""
        if cls.__module__.partition(".")[0] in OUTSIDE:
            return
        key = Key(cls.__module__, cls.__qualname__)
        if "." in cls.__qualname__ or cls.__qualname__ not in namespace(cls.__module__).definitions:
            raise SpecError(f"{cls.__qualname__} is not defined at the top level of {cls.__module__}, and cannot be "
                            "copied from there.")
        self._take(key)

    def add_name(self, key: Key) -> None:
        """A definition that the file's own code names."""
        self._take(key)

    def settle(self) -> list[Part]:
        """All definitions, what a definition needs before it. Raises SpecError for one that needs more than torch."""
        before = None
        while before != (before := self._state()):
            for part in list(self.parts.values()):
                self._choose(part)
        ordered: dict[Key, Part] = {}
        for key in list(self.parts):
            self._order(key, ordered, set())
        return list(ordered.values())

    def _state(self) -> tuple[int, int, int, int]:
        return len(self.parts), len(self.attributes), len(self.texts), sum(len(p.kept) for p in self.parts.values())

    def _take(self, key: Key) -> None:
        if key in self.parts:
            return
        space = namespace(key.module)
        node = space.definitions[key.name]
        first = min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", ()))])
        lines = space.text.splitlines(keepends=True)
        while first > 1 and lines[first - 2].startswith("#") and not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            first -= 1
        text = edits.without_weight_maps(edits.without_marks("".join(lines[first - 1:node.end_lineno])))
        self.parts[key] = Part(key, text if self.masked else without_masks(text))

    def _choose(self, part: Part) -> None:
        """Decides what of a definition is kept, and takes note of what that reads."""
        text = part.text
        if part.is_class:
            wanted = self.attributes | self._read_by_family(part.key) | _of_torch(part.key)
            text = edits.with_members(
                text, lambda name: name not in NOT_NEEDED and (name.startswith("__") or name in wanted))
        elif part.key.name in TABLES:
            text = edits.with_entries(text, self.texts)
        elif part.is_function:
            text = edits.without_lookups(text, self._empty_tables(part.key.module))
        part.kept = text
        part.own_attributes, others = edits.attributes_read(text)
        self.attributes |= others
        if part.key.name not in TABLES:
            self.texts |= edits.texts_in(text)
        part.needs = {}
        for name in edits.names_read(text):
            try:
                meaning = resolved(part.key.module, name)
            except LookupError as error:
                raise SpecError(f"{part.key.name} of {part.key.module} uses {error.args[0]}, which an exported file "
                                "cannot take along: it may use torch and the standard library.") from None
            if meaning is not None and meaning != part.key:
                part.needs[name] = meaning
                if isinstance(meaning, Key):
                    self._take(meaning)

    def _empty_tables(self, module: str) -> set[str]:
        """The tables of a module of which no entry is used."""
        definitions = namespace(module).definitions
        found = {name: edits.table_of(definitions[name]) for name in TABLES if name in definitions}
        return {name for name, table in found.items() if table is not None and not any(
            isinstance(key, ast.Constant) and key.value in self.texts for key in table.keys)}

    def _read_by_family(self, key: Key) -> set[str]:
        """The attributes that a class, its bases and its subclasses read of themselves."""
        cls = _class(key)
        family = [part for part in self.parts.values()
                  if part.is_class and (issubclass(cls, _class(part.key)) or issubclass(_class(part.key), cls))]
        return {name for part in family for name in part.own_attributes}

    def _order(self, key: Key, ordered: dict[Key, Part], waiting: set[Key]) -> None:
        if key in ordered or key in waiting:
            return
        waiting.add(key)
        part = self.parts[key]
        needed = {need for need in part.needs.values() if isinstance(need, Key)}
        for need in sorted(needed, key=lambda need: (need.module, self._line(need))):
            self._order(need, ordered, waiting)
        ordered[key] = part

    def _line(self, key: Key) -> int:
        return namespace(key.module).definitions[key.name].lineno


def _class(key: Key) -> type:
    cls: type = getattr(sys.modules[key.module], key.name)
    return cls


def _of_torch(key: Key) -> set[str]:
    """The methods and attributes that torch's own base classes of a class have, and may use."""
    return {name for base in _class(key).__mro__ if base.__module__.startswith("torch.") for name in vars(base)}
