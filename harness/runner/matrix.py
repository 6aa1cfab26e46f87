"""From an experiment to its cells: one run each, of one model, data, recipe, backend, execution and seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from harness.backends import BACKENDS
from harness.errors import SpecError, did_you_mean
from harness.runner.identity import shared
from harness.runner.labels import axis_labels
from harness.runner.pretrained import weights_digest
from harness.runner.settling import Settling
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.experiment import Experiment, Variant
from harness.spec.explicit import explicit
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

# Part of every id: raised when the same cell would give other numbers than before (CHANGELOG: Results).
RESULTS_VERSION = 2


@dataclass(frozen=True, eq=False)
class Cell:
    """One run. labels: axis -> short text, for people; they and the experiment's name are not part of the id.

    model_name: how the experiment names the model. identity: what the data's source is known by (file hashes).
    folder: where relative paths start. inspect: whether the trained model is looked at.
    """

    model: ModelSpec
    model_name: str
    data: DatasetSpec
    recipe: Recipe
    backend: str
    execution: Execution
    seed: int
    labels: Mapping[str, str] = field(default_factory=dict)
    experiment: str | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    inspect: bool = True

    @cached_property
    def id(self) -> str:
        """16 hexadecimal characters: the same on every machine for the same content."""
        return shared(self).cell_id(self.backend, self.seed)

    @property
    def content(self) -> dict[str, Any]:
        """What the twins in the other backends share, the recipe apart."""
        return {**shared(self).content, "seed": self.seed}

    @property
    def title(self) -> str:
        """One line for people: "simple_cnn, tensorflow, tuned, seed 0"."""
        others = [text if axis == "variant" else f"{axis} {text}" for axis, text in self.labels.items()
                  if axis not in ("model", "backend", "seed", "tier")]
        model = self.labels.get("model", self.model_name)
        return ", ".join([model, *others, self.backend, self.execution.tier, f"seed {self.seed}"])

    def to_data(self) -> dict[str, Any]:
        """Plain data that `from_data` reads back, in another process too."""
        return {
            "model": self.model.to_data(), "model_name": self.model_name, "data": explicit(self.data),
            "recipe": explicit(self.recipe), "backend": self.backend, "execution": explicit(self.execution),
            "seed": self.seed, "labels": dict(self.labels), "experiment": self.experiment,
            "identity": dict(self.identity), "folder": None if self.folder is None else str(self.folder),
            "inspect": self.inspect,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Cell:
        return cls(
            model=ModelSpec.from_data(data["model"]), model_name=data["model_name"],
            data=DatasetSpec.parse(data["data"]), recipe=Recipe.parse(data["recipe"]), backend=data["backend"],
            execution=Execution.parse(data["execution"]), seed=data["seed"], labels=data["labels"],
            experiment=data["experiment"], identity=data["identity"],
            folder=None if data["folder"] is None else Path(data["folder"]), inspect=data.get("inspect", True),
        )


def content_hash(content: Any) -> str:
    """The first 16 hexadecimal characters of sha256 over the canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def checkpoint_hashes(recipe: Recipe, folder: Path | None) -> dict[str, str]:
    """sha256 of every checkpoint file that a phase starts from, and of the recipe's weights; "missing" where there is
    none."""
    hashes = {}
    for phase in recipe.phases:
        if phase.start_from not in ("previous", *BACKENDS):
            path = (folder or Path()) / phase.start_from
            content = path.read_bytes() if path.is_file() else None
            hashes[phase.name] = "missing" if content is None else hashlib.sha256(content).hexdigest()
    if recipe.weights is not None:
        hashes["weights"] = weights_digest(recipe, folder) or "missing"
    return hashes


def cells(experiment: Experiment, *, with_data: bool = True) -> list[Cell]:
    """All cells, each once, in the order in which they are to be run (dependencies apart)."""
    found: dict[str, Cell] = {}
    for cell in expand(experiment, with_data=with_data):
        found.setdefault(cell.id, cell)
    return list(found.values())


def expand(experiment: Experiment, *, with_data: bool = True) -> Iterator[Cell]:
    """The cells one after the other.

    The backends follow each other seed by seed, in turn forwards and backwards (ABBA), so that a slow drift
    of the machine weighs on both alike. with_data=False reads no data: the shapes that models take from it
    stay at their defaults, and the ids are not those of a run. Raises SpecError with file and line.
    """
    for axis, values in experiment.axes.items():
        if axis == "backend":
            for index, value in enumerate(values):
                if value not in BACKENDS:
                    raise SpecError(f"unknown backend {value!r}.", where=experiment.where("matrix", axis, index),
                                    hint=did_you_mean(value, BACKENDS))
    labels = {axis: axis_labels(values) for axis, values in experiment.axes.items()}
    settle = Settling(experiment, with_data=with_data)
    outer = [axis for axis in experiment.axes if axis not in ("backend", "seed")]
    for variant in experiment.variants or (None,):
        for chosen in product(*(range(len(experiment.axes[axis])) for axis in outer)):
            place = dict(zip(outer, chosen, strict=True))
            settled = None
            for picked in _paired(experiment):
                indices = {**place, **picked}
                if _excluded(experiment, variant, indices, labels):
                    continue
                settled = settled or settle(variant, place)
                yield _cell(experiment, variant, indices, labels, settled)


def _paired(experiment: Experiment) -> Iterator[dict[str, int]]:
    """Indices of backend and seed: A B, B A, A B..."""
    backends = range(len(experiment.axes["backend"]))
    for seed in range(len(experiment.axes["seed"])):
        for backend in backends if seed % 2 == 0 else reversed(backends):
            yield {"backend": backend, "seed": seed}


def _excluded(
    experiment: Experiment, variant: Variant | None, indices: Mapping[str, int], labels: Mapping[str, list[str]],
) -> bool:
    def matches(axis: str, wanted: Any) -> bool:
        if axis == "variant":
            value = text = variant.name if variant else None
        else:
            value, text = experiment.axes[axis][indices[axis]], labels[axis][indices[axis]]
        return any(item in (value, text) for item in (wanted if isinstance(wanted, list) else [wanted]))

    return any(all(matches(axis, wanted) for axis, wanted in item.items()) for item in experiment.exclude)


def _cell(
    experiment: Experiment, variant: Variant | None, indices: Mapping[str, int], labels: Mapping[str, list[str]],
    settled: Mapping[str, Any],
) -> Cell:
    named = {"model": settled["model_name"], **({"variant": variant.name} if variant else {})}
    named |= {axis: labels[axis][index] for axis, index in indices.items()}
    return Cell(
        **settled, backend=experiment.axes["backend"][indices["backend"]],
        seed=experiment.axes["seed"][indices["seed"]], labels=named, experiment=experiment.name,
        folder=experiment.folder, inspect=experiment.inspect,
    )
