"""What the cells of one combination of axis values share, read once: data, recipe, execution and model.

Equal settings become one and the same object, so that what follows from a part (its JSON, its hash, whether it fits
the others) is worked out once for a matrix, however many cells it has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from harness.runner.models import ModelSource, dataset_identity
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.experiment import Experiment, Variant
from harness.spec.overrides import located
from harness.spec.recipe import Recipe


class Settling:
    """The combinations of one experiment. with_data=False: models stand in their default shapes, and nothing says
    what the data's files are."""

    def __init__(self, experiment: Experiment, *, with_data: bool = True) -> None:
        self.experiment = experiment
        self.models = ModelSource(experiment.folder, with_data=with_data)
        self._parsed: dict[tuple[str, str], Any] = {}
        self._identities: dict[int, dict[str, Any]] = {}

    def __call__(self, variant: Variant | None, place: Mapping[str, int]) -> dict[str, Any]:
        """place: axis -> which of its values, backend and seed apart. Raises SpecError with file and line."""
        experiment = self.experiment
        settings = experiment.settings({axis: experiment.axes[axis][index] for axis, index in place.items()}, variant)
        data = self._read("data", settings["data"], DatasetSpec.parse)
        recipe = self._read("recipe", settings["recipe"], Recipe.parse)
        execution = self._read("execution", settings["execution"], Execution.parse)
        keys: tuple[Any, ...] = ("matrix", "model", place["model"]) if "model" in place else ("model",)
        if variant is not None and variant.changes.get("model") is not None:
            keys = ("variants", experiment.variants.index(variant), "model")
        with located(experiment.document, keys, None):
            name, model = self.models.load(settings["model"], data)
        with located(experiment.document, ("data",), settings["data"]):
            identity = self._identity(data)
        return {"data": data, "recipe": recipe, "execution": execution, "model": model, "model_name": name,
                "identity": identity}

    def _read(self, section: str, value: Any, parse: Callable[[Any], Any]) -> Any:
        try:
            key = (section, json.dumps(value, sort_keys=True))
        except (TypeError, ValueError):  # made in Python, of objects: read each time
            return parse(value)
        if key not in self._parsed:
            self._parsed[key] = parse(value)
        return self._parsed[key]

    def _identity(self, data: DatasetSpec) -> dict[str, Any]:
        # The specs are held by `_parsed`, or by the cells that they were made for.
        if not self.models.with_data:
            return {}
        if id(data) not in self._identities:
            self._identities[id(data)] = dataset_identity(data, self.experiment.folder)
        return self._identities[id(data)]
