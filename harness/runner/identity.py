"""What a cell is known by: its id, its setting, its certificate; worked out once for all cells that share it.

A matrix is large in seeds and in a few axes: of 100,000 cells a hundred at a time have one model, data, recipe and
execution, and only backend and seed differ. What those hash to is kept for the last few combinations.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.records.certificates import certificate_key
from harness.records.settings_key import PAIRED, setting_key
from harness.spec.explicit import explicit

if TYPE_CHECKING:
    from harness.runner.matrix import Cell
    from harness.spec.model import ModelSpec
    from harness.spec.recipe import Recipe, ResolvedPhase

# Combinations kept, and parts: an experiment's follow each other, so that few would do for all but its planning.
KEPT = 4096


class Kept:
    """A value for each of the last objects, by identity: the specs are frozen, and too large to be compared."""

    def __init__(self, most: int = KEPT) -> None:
        self.most = most
        self._known: OrderedDict[tuple[int, ...], tuple[Any, Any]] = OrderedDict()

    def get(self, parts: tuple[Any, ...]) -> Any:
        found = self._known.get(tuple(map(id, parts)))
        return None if found is None else found[1]

    def put(self, parts: tuple[Any, ...], value: Any) -> Any:
        # The parts are held, so that none of them can be another one at the same address.
        self._known[tuple(map(id, parts))] = parts, value
        if len(self._known) > self.most:
            self._known.popitem(last=False)
        return value


class Shared:
    """One combination of model, data, recipe, execution and folder: what its cells have in common."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self._begun: dict[str, Any] = {}
        self._settings: dict[Any, str] = {}
        self._until: dict[int, str] = {}

    @cached_property
    def content(self) -> dict[str, Any]:
        """`Cell.content` without the seed."""
        from harness.runner.matrix import RESULTS_VERSION, checkpoint_hashes

        cell = self.cell
        return {
            "results_version": RESULTS_VERSION, "model": _plain_model(cell.model)[0], "data": _plain(cell.data)[0],
            "identity": dict(cell.identity), "execution": _plain(cell.execution)[0],
            "checkpoints": checkpoint_hashes(cell.recipe, cell.folder),
        }

    @property
    def recipe(self) -> Any:
        """The recipe in plain data, every default written out."""
        return _plain(self.cell.recipe)[0]

    @cached_property
    def phases(self) -> tuple[ResolvedPhase, ...]:
        return self.cell.recipe.resolved_phases()

    @cached_property
    def form(self) -> tuple[Any, ...]:
        """Equal where the same checks and sizes hold: all but the numbers that only scale an optimizer's steps."""
        cell = self.cell
        return (cell.model.digest, _plain(cell.data)[1], _form(cell.recipe), cell.execution.precision,
                cell.execution.tier, cell.execution.remat)

    def cell_id(self, backend: str, seed: int) -> str:
        """`content_hash` of the content with recipe, backend and seed, without writing it out anew."""
        if backend not in self._begun:
            content, cell = self.content, self.cell
            parts = {"backend": _canonical(backend), "checkpoints": _canonical(content["checkpoints"]),
                     "data": _plain(cell.data)[1], "execution": _plain(cell.execution)[1],
                     "identity": _canonical(content["identity"]), "model": _plain_model(cell.model)[1],
                     "recipe": _plain(cell.recipe)[1], "results_version": _canonical(content["results_version"])}
            text = "".join(f'"{name}":{part},' for name, part in parts.items())
            # "seed" sorts last: the cells of one combination go on from here.
            self._begun[backend] = hashlib.sha256(f'{{{text}"seed":'.encode())
        found = self._begun[backend].copy()
        found.update(f"{_canonical(seed)}}}".encode())
        return str(found.hexdigest()[:16])

    @cached_property
    def digest(self) -> str:
        """The hash of `content`: what twins in another recipe or backend share, the seed apart."""
        return hashlib.sha256(_canonical(self.content).encode()).hexdigest()[:16]

    def until(self, index: int) -> str:
        """What was trained before the phase of that index, hashed."""
        if index not in self._until:
            text = _canonical([explicit(phase) for phase in self.phases[:index]])
            self._until[index] = hashlib.sha256(text.encode()).hexdigest()[:16]
        return self._until[index]

    @cached_property
    def recorded(self) -> dict[str, Any]:
        """As much of a record's "cell" as its keys are made from."""
        content = self.content
        return {"model": {"digest": self.cell.model.digest}, "recipe": self.recipe,
                **{name: content[name] for name in ("data", "identity", "execution", "checkpoints")}}

    def setting(self, labels: Mapping[str, str]) -> str:
        """`setting_key` of a cell with these labels."""
        own = tuple((axis, text) for axis, text in labels.items() if axis not in PAIRED)
        if own not in self._settings:
            self._settings[own] = setting_key({**self.recorded, "labels": dict(labels)})
        return self._settings[own]

    @cached_property
    def certificate(self) -> str | None:
        """`certificate_key` of its cells."""
        return certificate_key(self.recorded)


def shared(cell: Cell) -> Shared:
    """What the cell has in common with its neighbours; kept for the next one."""
    key = (cell.model, cell.data, cell.recipe, cell.execution, cell.identity, cell.folder)
    found: Shared | None = _shared.get(key)
    return _shared.put(key, Shared(cell)) if found is None else found


def setting_of(cell: Cell) -> str:
    """The id of the cell's setting: what `setting_key` gives for its record."""
    return shared(cell).setting(cell.labels)


def certificate_of(cell: Cell) -> str | None:
    """The key of its certificate: what `certificate_key` gives for its record."""
    return shared(cell).certificate


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _plain(value: Any) -> tuple[Any, str]:
    """A part of a cell as plain data, and as canonical JSON."""
    return _parts.get((value,)) or _parts.put((value,), _written(explicit(value)))


def _plain_model(model: ModelSpec) -> tuple[Any, str]:
    return _parts.get((model,)) or _parts.put((model,), _written(model.to_data()))


def _written(data: Any) -> tuple[Any, str]:
    return data, _canonical(data)


def _form(recipe: Recipe) -> str:
    return _forms.get((recipe,)) or _forms.put((recipe,), _canonical(_without_rates(_plain(recipe)[0])))


def _without_rates(value: Any, optimizer: bool = False) -> Any:
    """Without the plain finite numbers that an optimizer is given; a schedule's stay."""
    if isinstance(value, Mapping):
        return {key: _without_rates(item, key == "optimizer") if not optimizer else _rateless(item)
                for key, item in value.items()}
    return [_without_rates(item) for item in value] if isinstance(value, list) else value


def _rateless(arguments: Any) -> Any:
    if not isinstance(arguments, Mapping):
        return arguments
    return {key: "number" if isinstance(item, float) and math.isfinite(item) else item
            for key, item in arguments.items()}


_shared, _parts, _forms = Kept(), Kept(), Kept()
