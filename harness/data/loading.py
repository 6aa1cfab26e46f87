"""From a DatasetSpec to arrays: read, clean, split, augment, prepare, check; always in this order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.data import sources
from harness.data.augmentation import augment
from harness.data.checks import check_arrays, check_finite, check_rows, check_shapes, check_weights
from harness.data.dataset import Dataset, Raw
from harness.data.fingerprint import file_hash, fingerprint
from harness.data.labels import check_classes, settle_targets
from harness.data.preparation import drop_missing, impute, prepare, reads_text, settle_dtypes, step_files
from harness.data.splits import divide, watch_test
from harness.errors import DataError
from harness.spec.dataset import DatasetSpec
from harness.spec.preparation import Cast, Clean
from harness.spec.sources import Arrays as SavedArrays
from harness.spec.sources import FileSource

_TARGETS = "These steps make one: windows, language_model, mask_tokens, sequence_pairs, reconstruct."


def load(spec: DatasetSpec | str | dict[str, Any], base: Path | None = None) -> Dataset:
    """The dataset that `spec` describes: the same arrays, bit by bit, for every backend.

    base: the folder that relative paths start at (the current one where None).
    Raises DataError (or SpecError for the spec itself) with what is wrong and how to mend it.
    """
    spec = DatasetSpec.parse(spec)
    raw = sources.read(spec, base)
    raw.base = base
    for part, arrays in raw.parts().items():
        check_arrays(part, arrays, text=any(reads_text(step) for step in spec.prepare))
    check_shapes(raw)
    classes = _as_saved(raw) if isinstance(spec.source, SavedArrays) else _split(raw, spec)
    for step in spec.prepare:
        if isinstance(step, Clean) and step.missing != "drop":
            impute(raw, step)
    for part, arrays in raw.parts().items():
        check_finite(part, arrays, raw.features)
        check_weights(part, arrays)
    originals = raw.train.examples
    raw.train = augment(raw.train, spec.augment)
    if raw.train.examples > originals:
        raw.notes.append(
            f"train: {originals} examples and {raw.train.examples - originals} augmented copies."
        )
    prepare(raw, spec.prepare, originals, classes)
    # A file without targets may be for predictions; the named sets without them are only for steps that make some.
    if not raw.train.y and (raw.ordered or not isinstance(spec.source, FileSource)):
        raise DataError("there is no target yet.", where="data: prepare", hint=_TARGETS)
    return _finished(raw, spec, classes)


def _split(raw: Raw, spec: DatasetSpec) -> dict[str, int]:
    """Drops, labels, splits; returns the number of classes of each target that has some."""
    for step in spec.prepare:
        if isinstance(step, Clean) and step.missing == "drop":
            drop_missing(raw, step)
    classes = settle_targets(raw, spec)
    divide(raw, spec.split, spec.limit, classes)
    check_classes(raw.train, classes, {name: known.padding for name, known in raw.vocabularies.items()})
    return classes


def _as_saved(raw: Raw) -> dict[str, int]:
    """Arrays that harness.data.save wrote are split and labelled already."""
    labels = [name for name, array in raw.train.y.items() if array.dtype.kind in "iu"]
    return {name: raw.classes for name in labels if raw.classes is not None}


def _finished(raw: Raw, spec: DatasetSpec, classes: dict[str, int]) -> Dataset:
    if not isinstance(spec.source, SavedArrays):
        casts = [step for step in spec.prepare if isinstance(step, Cast)]
        kept = frozenset(name for step in casts for name in step.arrays or raw.train.x)
        for part, arrays in raw.parts().items():
            raw.change(part, settle_dtypes(arrays, kept))
        if spec.split.validation == "test":
            watch_test(raw)
    for part, arrays in raw.parts().items():
        check_finite(part, arrays)
        check_rows(part, arrays)
    known = raw.classes if isinstance(spec.source, SavedArrays) else None
    return Dataset(
        name=raw.name or spec.name,
        train=raw.train,
        validation=raw.validation,
        test=raw.test,
        fingerprint=fingerprint(raw.parts()),
        classes=next(iter(classes.values())) if len(classes) == 1 else known,
        notes=tuple(raw.notes),
        vocabularies=raw.vocabularies,
    )


def identity(spec: DatasetSpec | str | dict[str, Any], base: Path | None = None) -> dict[str, Any]:
    """What the source's content is known by, without reading it into arrays: for naming runs.

    A set that is published whole by its hash or its library's version, a file by sha256 and size; so are the files
    that steps of `prepare` read. Raises DataError if a file is missing.
    """
    spec = DatasetSpec.parse(spec)
    known = {"source": spec.name, **sources.identity(spec, base)}
    read = [file_hash(path) for step in spec.prepare for path in step_files(step, base)]
    return {**known, "prepare": read} if read else known
