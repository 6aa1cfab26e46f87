"""One file per family of sources; this table says which reads what."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from harness.data.dataset import Raw
from harness.data.sources import embedded, idx, images, npz, published, tables
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


READERS: dict[type[spec.Source], Reader] = {
    spec.Digits: embedded,
    spec.BreastCancer: embedded,
    spec.Wine: embedded,
    spec.Diabetes: embedded,
    spec.FashionMnist: idx,
    spec.Mnist: published,
    spec.Cifar10: published,
    spec.Imdb: published,
    spec.Idx: idx,
    spec.Npz: npz,
    spec.Arrays: npz,
    spec.Csv: tables,
    spec.Parquet: tables,
    spec.Images: images,
}
WEIGHTED: dict[type[spec.Source], WeightedReader] = {spec.Npz: npz, spec.Csv: tables, spec.Parquet: tables}


def read(dataset: DatasetSpec, base: Path | None) -> Raw:
    """The source's examples, unsplit and unprepared."""
    try:
        return _read(dataset.source, dataset.sample_weight, base)
    except DataError as error:
        raise error.at("data") from None


def _read(source: spec.Source, sample_weight: str | None, base: Path | None) -> Raw:
    if sample_weight is None:
        return READERS[type(source)].read(source, base)
    if type(source) not in WEIGHTED:
        raise DataError(
            f"the source {source.name!r} has no {sample_weight!r}.",
            where="sample_weight",
            hint="Sample weights are columns of a table or arrays of an npz file.",
        )
    return WEIGHTED[type(source)].read(source, base, sample_weight)


def identity(dataset: DatasetSpec, base: Path | None) -> dict[str, Any]:
    """What the source's content is known by before it is read."""
    try:
        return READERS[type(dataset.source)].identity(dataset.source, base)
    except DataError as error:
        raise error.at("data") from None
