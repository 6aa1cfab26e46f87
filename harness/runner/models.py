"""The models and data that an experiment names, each loaded once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError
from harness.models import SPEC_ENDINGS, accepted_parameters, available_models, load_model
from harness.runner.pretrained import is_pretrained, model_of
from harness.spec.dataset import DatasetSpec
from harness.spec.explicit import explicit
from harness.spec.model import ModelSpec

if TYPE_CHECKING:
    from harness.data.dataset import Dataset

# As many data sets as an experiment usually has phases and axis values; each may be large.
KEPT = 4


def load_dataset(spec: DatasetSpec | Any, folder: Path | None) -> Dataset:
    """The dataset, kept in memory for the next who asks. Raises DataError."""
    return _load(json.dumps(explicit(DatasetSpec.parse(spec)), sort_keys=True), folder)


def dataset_identity(spec: DatasetSpec, folder: Path | None) -> dict[str, Any]:
    """What the data's source is known by, without reading it into arrays."""
    from harness.data import identity

    return identity(spec, folder)


@lru_cache(maxsize=KEPT)
def _load(text: str, folder: Path | None) -> Dataset:
    from harness.data import load

    return load(DatasetSpec.parse(json.loads(text)), folder)


class ModelSource:
    """Loads the models of one experiment: by name, {name: {parameters}}, path or inline spec.

    "hf:FOLDER" is the library's model as the config.json beside pretrained weights describes it.
    A model of the library, and a function, is given the data's input_shape and num_classes where it takes
    them and the experiment does not say them. A spec in a file of the user's own is taken as it is written.
    """

    def __init__(self, folder: Path | None, *, with_data: bool = True) -> None:
        self.folder, self.with_data = folder, with_data
        self._known: dict[str, tuple[str, ModelSpec]] = {}

    def load(self, value: Any, data: DatasetSpec) -> tuple[str, ModelSpec]:
        """(how it is named, the model). Raises SpecError."""
        if isinstance(value, ModelSpec):
            return value.name, value
        key = json.dumps([value, explicit(data)], sort_keys=True, default=str)
        if key not in self._known:
            self._known[key] = self._load(value, data)
        return self._known[key]

    def _load(self, value: Any, data: DatasetSpec) -> tuple[str, ModelSpec]:
        if isinstance(value, Mapping) and "layers" in value:
            model = ModelSpec.from_data(value)
            return model.name, model
        if isinstance(value, Mapping) and len(value) == 1:
            ((name, parameters),) = value.items()
        else:
            name, parameters = value, {}
        if not isinstance(name, str) or not isinstance(parameters or {}, Mapping):
            raise SpecError(f"cannot read {value!r} as a model.",
                            hint="Write a name, {name: {parameter: value}}, a path, or an inline spec.")
        given: Mapping[str, Any] = parameters or {}
        place, described = model_of(name, given, self.folder) if is_pretrained(name) else (self._place(name), {})
        # What config.json says, in its place what the data says, in its place what the experiment says.
        model = load_model(place, **{**described, **self._from_data(place, data, given), **given})
        return model.name, model

    def _place(self, name: str) -> str:
        """A path starts at the experiment's folder, or else at the current one."""
        if name in available_models() or self.folder is None:
            return name
        file, colon, function = name.rpartition(":") if ".py:" in name else (name, "", "")
        beside = self.folder / file
        return f"{beside}{colon}{function}" if file and beside.is_file() else name

    def _from_data(self, place: str, data: DatasetSpec, given: Mapping[str, Any]) -> dict[str, Any]:
        own_file = place not in available_models() and Path(place).suffix in SPEC_ENDINGS
        wanted = {"input_shape", "num_classes"} - set(given)
        if not self.with_data or own_file or not wanted & accepted_parameters(place):
            return {}
        dataset = load_dataset(data, self.folder)
        offered: dict[str, Any] = {}
        shapes = {array.shape[1:] for array in dataset.train.x.values()}
        if len(shapes) == 1:  # a text's ids, mask and types have one length
            offered["input_shape"] = shapes.pop()
        if dataset.classes is not None:
            offered["num_classes"] = dataset.classes
        return {name: value for name, value in offered.items() if name in wanted & accepted_parameters(place)}
