"""A look at a trained model, once, with its final weights: which classes it confuses, what it draws, what it writes.

Nothing here decides anything: the training is over and timed. What is kept is bounded, whatever the data's size, and
the same examples, prompts and random numbers are taken in every framework. What cannot be looked at is said in a note;
a training that ended well is not lost to it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis.inspection import confusion
from harness.backends.contract import Backend, Session
from harness.data.dataset import Dataset
from harness.errors import HarnessError
from harness.plan.binding import Arrays, bind
from harness.plan.plan import Output, Plan
from harness.records.inspection import Inspection
from harness.runner.inspecting_images import images_of
from harness.runner.inspecting_texts import texts_of
from harness.spec import losses
from harness.spec.execution import Execution
from harness.spec.recipe import ResolvedPhase
from harness.training.run import Inspect

# "0": no run looks at its models.
INSPECT = "HARNESS_INSPECT"
MOST_CLASSES = 50
MOST_KEPT = 10_000
# The splits that are looked at, the first that there is.
SPLITS = ("validation", "test")
OF_LABELS = (losses.SparseCategoricalCrossentropy, losses.CategoricalGeneralizedCrossEntropy)
ONE_HOT = (losses.CategoricalCrossentropy, losses.CategoricalFocalCrossentropy)
OF_TWO = (losses.BinaryCrossentropy, losses.BinaryFocalCrossentropy)

Found = tuple[dict[str, Any], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Look:
    """What is looked at. arrays: the split's examples, bound to the model. batch_size: the one that the training
    evaluated this split with, for which all is compiled."""

    session: Session
    plan: Plan
    phase: ResolvedPhase
    dataset: Dataset
    arrays: Arrays
    backend: Backend
    execution: Execution
    seed: int
    batch_size: int

    def target(self, output: Output) -> str:
        """What the data calls this output's target."""
        names = list(self.dataset.train.y)
        return names[0] if len(names) == 1 else output.name


def inspector(backend: Backend, execution: Execution, seed: int, wanted: bool = True) -> Inspect | None:
    """What a training calls when it is over; None where nobody wants to look."""
    if not wanted or os.environ.get(INSPECT) == "0":
        return None

    def inspect(session: Session, plan: Plan, phase: ResolvedPhase, dataset: Dataset) -> Inspection | None:
        split = next((name for name in SPLITS if name in dataset.splits and dataset.splits[name].examples), None)
        if split is None:
            return None
        began, part = time.perf_counter(), dataset.splits[split]
        assert phase.batch_size is not None
        look = Look(session, plan, phase, dataset, bind(part, plan.spec, plan.outputs, plan.dtype, where=split),
                    backend, execution, seed, phase.batch_size if split == "validation" else max(phase.batch_size, 256))
        data, arrays, notes = {"split": split, "examples": part.examples}, {}, []
        for kind, function in KINDS.items():
            try:
                found, kept = function(look)
            except Exception as error:  # whatever a framework says
                word = "" if isinstance(error, HarnessError) else f"{type(error).__name__}: "
                notes.append(f"{kind}: {word}{error}"[:500])
                continue
            data.update(found)
            arrays.update(kept)
        return Inspection({**data, "notes": notes, "seconds": time.perf_counter() - began}, arrays)

    return inspect


def classes_of(look: Look) -> Found:
    """Of every output that names up to MOST_CLASSES classes: how often each is taken for which (over all examples, or
    their pixels or steps), and what is said of the first MOST_KEPT examples."""
    counts = {output.name: count for output in look.plan.outputs if (count := _classes(look, output))}
    if not counts:
        return {}, {}
    _, predictions = look.session.evaluate(look.arrays, look.batch_size)
    entries: list[dict[str, Any]] = []
    kept: dict[str, np.ndarray] = {}
    for output, predicted in zip(look.plan.outputs, predictions, strict=True):
        if output.name not in counts:
            continue
        number, count = len(entries), counts[output.name]
        labels = _labels(output, look.arrays.y[output.name])
        said, probability = decided(output, predicted)
        elements = said.ndim > 1
        counted = np.ones(said.shape, bool)
        if (ignored := getattr(output.loss, "ignore_class", None)) is not None:
            counted = labels != ignored
        kept[f"confusion_{number}"] = confusion(labels[counted], said[counted], count)
        if not elements:
            kept[f"label_{number}"] = labels[:MOST_KEPT].astype(np.int16)
            kept[f"predicted_{number}"] = said[:MOST_KEPT].astype(np.int16)
            kept[f"probability_{number}"] = probability[:MOST_KEPT].astype(np.float32)
        entries.append({"output": output.name, "count": count, "names": _names(look, output, count),
                        "elements": elements, "kept": 0 if elements else min(len(said), MOST_KEPT)})
    return {"classes": entries}, kept


def _classes(look: Look, output: Output) -> int | None:
    """How many classes an output names; None if it names none, too many, or words."""
    shape, targets = look.plan.spec.tensors[output.node], look.arrays.y[output.name]
    last = shape[-1]
    if isinstance(output.loss, OF_TWO):
        return 2 if last == 1 and len(shape) == 2 and bool(np.isin(targets, (0, 1)).all()) else None
    if not isinstance(output.loss, (*OF_LABELS, *ONE_HOT)) or last is None or not 2 <= last <= MOST_CLASSES:
        return None
    if isinstance(output.loss, ONE_HOT) and output.loss.axis not in (-1, len(shape) - 1):
        return None
    of_words = len(shape) == 3 and look.target(output) in look.dataset.vocabularies
    return None if of_words else last


def _labels(output: Output, targets: np.ndarray) -> np.ndarray:
    """int64 [examples, ...]: the classes that are right."""
    if isinstance(output.loss, ONE_HOT):
        return np.asarray(targets.argmax(axis=-1))
    labels = targets.astype(np.int64)
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def decided(output: Output, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the likeliest class, its probability), both [examples, ...], of an output [examples, ..., classes]; of one
    number, the probability of the second of two classes."""
    values = np.asarray(predicted, np.float64)
    logits = bool(getattr(output.loss, "from_logits", False))
    if isinstance(output.loss, OF_TWO):
        second = 1 / (1 + np.exp(-values[:, 0])) if logits else values[:, 0]
        said = second > 0.5
        return said.astype(np.int64), np.where(said, second, 1 - second)
    said = np.asarray(predicted).argmax(axis=-1)
    largest = values.max(axis=-1)
    if logits:
        return said, 1 / np.exp(values - largest[..., None]).sum(axis=-1)
    return said, largest


def _names(look: Look, output: Output, count: int) -> list[str] | None:
    vocabulary = look.dataset.vocabularies.get(look.target(output))
    return [str(token) for token in vocabulary.tokens] if vocabulary and len(vocabulary) == count else None


KINDS: Mapping[str, Callable[[Any], Found]] = {"classes": classes_of, "images": images_of, "texts": texts_of}
