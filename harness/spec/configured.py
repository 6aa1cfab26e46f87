"""What a layer, an optimizer, a loss or an initializer is: frozen arguments under Keras's names.

`Configured` takes its arguments positionally or by name, in Keras's order, checks them, and explains in
one sentence what is wrong with them. A `Family` is an explicit table of such classes and reads every
notation in which users write one: an instance, "adam", {"Adam": {"learning_rate": 0.001}}, or the
dictionary that `keras.optimizers.serialize` produces.
"""

# Not with `from __future__ import annotations`, here and in every module whose classes a plain `harness check` makes:
# pydantic would compile the annotations anew for each subclass, a tenth of the time that the check takes.

import importlib
import re
import struct
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import SpecError, did_you_mean


def snake_case(name: str) -> str:
    """Keras's own rule (keras/src/utils/naming.py: to_snake_case): "Conv2D" -> "conv2d"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def spellings(name: str) -> tuple[str, str, str]:
    """How users write a class's name: "Conv2D", "conv2d" by Keras's rule, all in lower case."""
    return name, snake_case(name), name.lower()


class Configured(BaseModel):
    """Base of everything that is given by a name and arguments.

    Positional arguments fill the fields in the order of Keras's signature; fields that a base class in
    `keyword_only` declares must be named. Raises SpecError for an unknown, missing or wrong argument.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True, arbitrary_types_allowed=True, protected_namespaces=()
    )
    keyword_only: ClassVar[frozenset[str]] = frozenset()
    # Arguments that Keras accepts and that change nothing here (`name` of an optimizer, say).
    ignored: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        cls = type(self)
        names = cls.positional()
        if len(args) > len(names):
            raise SpecError(
                f"{cls.__name__} takes at most {len(names)} positional arguments, got {len(args)}."
            )
        for field, value in zip(names, args, strict=False):
            if field in kwargs:
                raise SpecError(f"{cls.__name__} got two values for the argument {field!r}.")
            kwargs[field] = value
        for field in cls.ignored:
            kwargs.pop(field, None)
        try:
            super().__init__(**kwargs)
        except ValidationError as error:
            raise explain(cls, error, kwargs.get("name")) from None

    @classmethod
    def positional(cls) -> list[str]:
        """The fields that positional arguments fill, in order."""
        return [field for field in cls.model_fields if field not in cls.keyword_only]

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={value!r}" for key, value in self.config().items())
        return f"{type(self).__name__}({inside})"

    @classmethod
    def canonical_name(cls) -> str:
        """The class's name in Keras; a class whose name is taken in Python may override it."""
        return cls.__name__

    def config(self) -> dict[str, Any]:
        """The arguments that differ from Keras's defaults, as plain data (str, int, float, list, dict)."""
        arguments: dict[str, Any] = {}
        for key, field in type(self).model_fields.items():
            value = getattr(self, key)
            if field.exclude or (not field.is_required() and value == field.get_default(call_default_factory=True)):
                continue
            arguments[key] = plain(value)
        return arguments

    def to_data(self) -> Any:
        """The canonical notation: "Adam", or {"Adam": {the arguments that are not defaults}}."""
        arguments = self.config()
        return {self.canonical_name(): arguments} if arguments else self.canonical_name()


def plain(value: Any) -> Any:
    """Plain data for YAML and JSON: tuples become lists, Configured objects their canonical notation."""
    if isinstance(value, Configured):
        return value.to_data()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def as_meant(value: Any) -> Any:
    """A number that went through a float32 variable of Keras as it was written: 0.0010000000474974513 is 0.001.

    Only numbers that float32 holds exactly and that are written with up to 7 digits; all others stay as they are.
    """
    if not isinstance(value, float) or value != value or value in (float("inf"), float("-inf")):
        return value
    for digits in range(1, 8):
        short = float(f"{value:.{digits}g}")
        if _float32(short) == value:
            return short
    return value


def _float32(value: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return float("inf")


def explain(cls: type[Configured], error: ValidationError, name: object = None) -> SpecError:
    """One sentence for pydantic's errors: which argument, what was expected, what was given."""
    owner = cls.canonical_name() + (f" {name!r}" if isinstance(name, str) else "")
    known = [field for field in cls.model_fields if not cls.model_fields[field].exclude]
    sentences = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"] if not str(part).startswith("function-"))
        inner = problem.get("ctx", {}).get("error")
        if problem["type"] == "extra_forbidden":
            sentences.append(f"there is no argument {place!r}. {did_you_mean(place, known)}")
        elif problem["type"] == "missing":
            sentences.append(f"the argument {place!r} is required and was not given.")
        elif isinstance(inner, SpecError):
            sentences.append(f"{place}: {inner}" if place else str(inner))
        else:
            given = repr(problem["input"])
            given = given if len(given) <= 80 else given[:77] + "..."
            sentences.append(f"{place}: {problem['msg']}, got {given}.")
    # A union reports one problem for each of its members: the first per argument is enough.
    unique = list(dict.fromkeys(sentences))
    return SpecError(" ".join(unique), where=owner)


Item = TypeVar("Item", bound=Configured)


class Family(Generic[Item]):
    """An explicit table of Configured classes, and the reader of every notation for one of them.

    what: the word for error messages ("optimizer"). aliases: further names, as Keras has them ("mse"), and the class
    that each is for, or its name. later: {module: the names of its classes} for the rarely used ones: as making a
    class takes half a millisecond, the module is imported when one of its classes is first asked for.
    """

    def __init__(
        self, what: str, classes: Iterable[type[Item]], aliases: Mapping[str, type[Item] | str] | None = None,
        later: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self.what = what
        self._classes: dict[str, type[Item]] = {}
        self._by_name: dict[str, type[Item]] = {}
        self._aliases = {alias: cls for alias, cls in (aliases or {}).items() if isinstance(cls, str)}
        self._later = {module: tuple(names) for module, names in (later or {}).items()}
        self._waiting = {
            spelling: module for module, names in self._later.items() for name in names for spelling in spellings(name)
        }
        self.add(classes)
        self._by_name.update({alias: cls for alias, cls in (aliases or {}).items() if not isinstance(cls, str)})
        self._order = (*self._classes, *(name for names in self._later.values() for name in names))

    @property
    def classes(self) -> dict[str, type[Item]]:
        """Every class by its Keras name, in the table's order."""
        for module in self._later:
            self._load(module)
        for name in self._order:  # whichever of the modules were imported first
            if name in self._classes:
                self._classes[name] = self._classes.pop(name)
        return self._classes

    def names(self) -> list[str]:
        """Every name that `find` knows."""
        return sorted({*self._by_name, *self._aliases, *self._waiting})

    def add(self, classes: Iterable[type[Item]]) -> None:
        """Takes in further classes."""
        for cls in classes:
            self._classes[cls.canonical_name()] = cls
            self._by_name.update(dict.fromkeys(spellings(cls.canonical_name()), cls))

    def _load(self, module: str) -> None:
        names = self._later[module]
        if names[0] not in self._classes:
            holder = importlib.import_module(module)
            self.add(getattr(holder, name) for name in names)

    def knows(self, name: object) -> bool:
        """Whether `find` would find it."""
        return name in self._by_name or name in self._aliases or name in self._waiting

    def attribute(self, name: str, module: str) -> type[Item]:
        """A class of `later` as an attribute of the table's module, whose `__getattr__` this is."""
        if not any(name in names for names in self._later.values()):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return self.find(name)

    def find(self, name: object) -> type[Item]:
        """The class of that name. Raises SpecError with the nearest known name."""
        if isinstance(name, str):
            # Keras reads the names of optimizers in any case, "ADAM" and all.
            for spelling in (name, name.lower()):
                spelling = self._aliases.get(spelling, spelling)
                if spelling in self._waiting:
                    self._load(self._waiting[spelling])
                if spelling in self._by_name:
                    return self._by_name[spelling]
        raise SpecError(f"unknown {self.what} {name!r}.", hint=did_you_mean(name, self.classes))

    def _holds(self, cls: type) -> bool:
        """Whether it is one of the table's classes."""
        if cls.__module__ in self._later:
            self._load(cls.__module__)
        return cls in self._classes.values()

    def parse(self, value: Any) -> Item:
        """Reads an instance, a name, {Name: {arguments}} or what Keras's `serialize` makes: {"class_name": ...,
        "config": {...}}, and for a function {"class_name": "function", "config": its name}."""
        if self._holds(type(value)):
            item: Item = value
            return item
        if isinstance(value, str):
            return self.find(value)()
        if isinstance(value, type) and self._holds(value):
            cls: type[Item] = value
            return cls()
        if isinstance(value, Mapping):
            if "class_name" in value:
                return self._deserialized(value)
            if len(value) == 1:
                ((name, arguments),) = value.items()
                return self._build(name, arguments)
        a = "an" if self.what[0] in "aeiou" else "a"
        if callable(value) and hasattr(value, "__name__") and not isinstance(value, type):
            raise SpecError(
                f"{a} {self.what} of your own ({value.__name__}) is code that only one framework could run.",
                hint=f"Use one of {', '.join(sorted(self.classes))}.",
            )
        raise SpecError(
            f"cannot read {value!r} as {a} {self.what}.",
            hint=f"Expected a name, or {{Name: {{arguments}}}}; known: {', '.join(sorted(self.classes))}.",
        )

    def _deserialized(self, value: Mapping[Any, Any]) -> Item:
        """What Keras's `serialize` made of an object or a function of Keras."""
        name, config = value["class_name"], value.get("config")
        if name == "function" and isinstance(config, str):
            name, config = config, {}
        own = next((item for item in (name, value.get("registered_name")) if ">" in str(item)), None)
        if own is not None and not self.knows(name):
            raise SpecError(
                f"{own!r} is a {self.what} of your own, whose code only one framework could run.",
                hint=f"Use one of {', '.join(sorted(self.classes))}.",
            )
        if isinstance(config, Mapping):
            config = {key: as_meant(item) for key, item in config.items()}
        return self._build(name, config or {})

    def _build(self, name: object, arguments: Any) -> Item:
        cls = self.find(name)
        if arguments is None:
            return cls()
        if not isinstance(arguments, Mapping):
            raise SpecError(
                f"the arguments of the {self.what} {name!r} must be a mapping, got {arguments!r}.",
                hint=f"Write {{{name}: {{argument: value}}}}.",
            )
        return cls(**{str(key): item for key, item in arguments.items()})
