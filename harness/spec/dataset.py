"""Which data, which split, which preparation: `data: digits`, or a mapping with `source` and more.

    data:
      source: {csv: heart.csv, target: disease}
      split: {validation: 0.15, test: 0.15, seed: 0}
      prepare: [{clean: {missing: median}}, standardise]

A DatasetSpec is plain frozen data; harness/data turns it into arrays.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.errors import SpecError, did_you_mean
from harness.spec.configured import Configured
from harness.spec.preparation import STEPS, Augmentation, Step, read_augmentation, read_list
from harness.spec.sources import KINDS, Source, parse_source


def _share(value: Any) -> Any:
    """A fraction in [0, 1) or a whole number of examples."""
    if value is None or value is False:
        return 0
    if value is True or not isinstance(value, (int, float)):
        raise SpecError(f"expected a fraction below 1 or a whole number of examples, got {value!r}.")
    if isinstance(value, float) and not 0 <= value < 1:
        raise SpecError(f"a fraction must be at least 0 and below 1, got {value!r}.")
    if value < 0:
        raise SpecError(f"a number of examples must be at least 0, got {value!r}.")
    return value


Share = Annotated[int | float, BeforeValidator(_share)]


class Split(Configured):
    """Which part of the source is for what. A split that the source brings along is kept as it is.

    validation: a fraction (of all examples that are not the source's own test set) or a number; 0 for none;
    `test` to watch the test set while training, as many tutorials do.
    stratify: the same class proportions in each part; auto: where there are classes with enough examples.
    contiguous: the parts follow each other in the source's order, train, validation, test, with nothing shuffled;
    auto: where that order matters (series, running text).
    """

    validation: Annotated[
        int | float | Literal["test"],
        BeforeValidator(lambda value: value if value == "test" else _share(value)),
    ] = 0.15
    test: Share = 0.15
    stratify: Literal["auto"] | bool = "auto"
    contiguous: Literal["auto"] | bool = "auto"
    seed: int = Field(default=0, ge=0)

    def to_data(self) -> Any:
        return self.config()


Count = Annotated[int | None, Field(ge=1)]


class Limit(Configured):
    """At most so many examples of each part (a seeded, stratified choice)."""

    train: Count = None
    validation: Count = None
    test: Count = None

    def to_data(self) -> Any:
        return self.config()


def _mapping(cls: type[Configured]) -> BeforeValidator:
    """Reads a mapping as `cls`, so that an error names the part it is in."""

    def read(value: Any) -> Any:
        if value is None:
            return cls()
        if isinstance(value, Mapping):
            return cls(**{str(key): item for key, item in value.items()})
        if isinstance(value, cls):
            return value
        raise SpecError(
            f"expected a mapping, got {value!r}.", hint=f"Known keys: {', '.join(cls.model_fields)}."
        )

    return BeforeValidator(read)


def _classes(value: Any) -> Any:
    value = "none" if value is None else value
    if value in ("auto", "none") or (type(value) is int and value >= 2):
        return value
    raise SpecError(f"expected auto, none or a whole number of at least 2, got {value!r}.")


class DatasetSpec(Configured):
    """Which data, which split, which preparation.

    classes: the number of classes; `none` where the target is a quantity; auto: whole numbers and text are
    classes, all else is a quantity.
    sample_weight: the column or array with the weight of each example.
    """

    source: Annotated[Source, BeforeValidator(parse_source)]
    split: Annotated[Split, _mapping(Split)] = Split()
    prepare: Annotated[tuple[Step, ...], BeforeValidator(lambda value: read_list(STEPS, value))] = ()
    augment: Annotated[Augmentation, BeforeValidator(read_augmentation)] = Augmentation()
    limit: Annotated[Limit, _mapping(Limit)] = Limit()
    classes: Annotated[Literal["auto", "none"] | int, BeforeValidator(_classes)] = "auto"
    sample_weight: str | None = None

    @classmethod
    def canonical_name(cls) -> str:
        return "data"

    @property
    def name(self) -> str:
        """What reports call it: "digits", or the file's name."""
        return self.source.name

    def to_data(self) -> Any:
        """The mapping that `parse` reads back; only what differs from the defaults."""
        return self.config()

    @classmethod
    def parse(cls, value: Any) -> "DatasetSpec":
        """Reads "digits", {source: ..., split: ...}, or a source with its options at the same level.

        Raises SpecError that names the key at fault.
        """
        if isinstance(value, DatasetSpec):
            return value
        if isinstance(value, (str, Source)):
            value = {"source": value}
        if not isinstance(value, Mapping):
            raise SpecError(
                f"cannot read {value!r} as data.",
                hint="Write a source name (digits) or {source: ..., split: ...}.",
            )
        given = {str(key): item for key, item in value.items()}
        if "source" in given:
            return cls(**given)
        if not set(given) & set(KINDS):
            first = next(iter(given), "")
            raise SpecError(
                f"the key 'source' is required and was not given (found: {', '.join(given) or 'nothing'}).",
                hint=did_you_mean(first, [*KINDS, *cls.model_fields]),
            )
        rest = {key: item for key, item in given.items() if key in cls.model_fields}
        source = {key: item for key, item in given.items() if key not in cls.model_fields}
        return cls(**{"source": source, **rest})
