"""One file per family of sources; this table says which reads what."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

from harness.data.dataset import Raw
from harness.errors import DataError
from harness.spec import sources as spec
from harness.spec.dataset import DatasetSpec


class Reader(Protocol):
    """What a file of this folder offers."""

    def read(self, source: spec.Source, base: Path | None) -> Raw: ...

    def identity(self, source: spec.Source, base: Path | None) -> dict[str, Any]: ...


class WeightedReader(Protocol):
    """A reader of sources in which an example can have a weight."""

    def read(self, source: spec.Source, base: Path | None, sample_weight: str | None = None) -> Raw: ...


# The file of this folder that reads each kind; imported when it is first asked for.
READERS: dict[str, str] = {
    "digits": "embedded", "breast_cancer": "embedded", "wine": "embedded", "diabetes": "embedded",
    "fashion_mnist": "idx", "idx": "idx",
    "mnist": "published", "cifar10": "published", "imdb": "published",
    "npz": "npz", "arrays": "npz",
    "csv": "tables", "parquet": "tables",
    "images": "images", "scenes": "scenes",
    "wordnet": "wordnet", "cmudict": "cmudict", "king_james_bible": "running_text", "text_file": "running_text",
    "huggingface": "huggingface",
    "sunspots": "series", "co2": "series", "series": "series",
    "audio": "audio", "spoken_digits": "spoken_digits",
    "gymnasium": "games",
}
WEIGHTED = frozenset({"npz", "csv", "parquet"})  # the kinds in which an example can have a weight


def _reader(source: spec.Source) -> Any:
    return importlib.import_module(f"{__name__}.{READERS[source.canonical_name()]}")


def read(dataset: DatasetSpec, base: Path | None) -> Raw:
    """The source's examples, unsplit and unprepared."""
    try:
        return _read(dataset.source, dataset.sample_weight, base)
    except DataError as error:
        raise error.at("data") from None


def _read(source: spec.Source, sample_weight: str | None, base: Path | None) -> Raw:
    if sample_weight is None:
        reader: Reader = _reader(source)
        return reader.read(source, base)
    if source.canonical_name() not in WEIGHTED:
        raise DataError(
            f"the source {source.name!r} has no {sample_weight!r}.",
            where="sample_weight",
            hint="Sample weights are columns of a table or arrays of an npz file.",
        )
    weighted: WeightedReader = _reader(source)
    return weighted.read(source, base, sample_weight)


def identity(dataset: DatasetSpec, base: Path | None) -> dict[str, Any]:
    """What the source's content is known by before it is read."""
    try:
        reader: Reader = _reader(dataset.source)
        return reader.identity(dataset.source, base)
    except DataError as error:
        raise error.at("data") from None
