"""Makes a challenge bundle of results: everything that it takes to run them again elsewhere and to dispute a figure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.exchange.bundle import EXPERIMENT, README, to_bytes, write_bundle
from harness.records.blocks import DONE, Block
from harness.records.certificates import certificate_key
from harness.records.checkpoint import SUFFIX
from harness.records.environment import versions
from harness.records.record import Record
from harness.records.settings_key import setting_key
from harness.report.results import Results
from harness.report.wording import shown
from harness.runner.dependencies import needs
from harness.runner.matrix import RESULTS_VERSION, Cell
from harness.runner.replay_figures import digest_of_weights, plans_of, tape_arrays
from harness.runner.replay_members import Members, json_bytes, tensor_bytes
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe
from harness.training.state import read_state

LARGEST_TAPE = 64 * 2**20
COMMAND = "harness run challenge.zip"


@dataclass
class Made:
    """A bundle that was written. notes: what is not in it, and why, in sentences."""

    path: Path
    digest: str
    cells: list[str]
    files: int
    notes: list[str] = field(default_factory=list)


def make_bundle(place: Path | str, out: Path | str, filters: Sequence[str] = (), *, with_data: bool = False) -> Made:
    """Writes the bundle of a folder of results, of its report, or of one cell of it.

    filters: "column=value" of the table of cells, as `harness ls` takes them. with_data: whether the arrays of the
    user's own files go with it; sets that come with a library never do. Raises SpecError, DataError.
    """
    results, only = _results(Path(place))
    records = {record.id: record for record in results.records()}
    wanted = _chosen(results, only, filters)
    maker = _Maker(results, records, Members(with_data))
    ids = maker.with_twins([records[id] for id in wanted])
    for id in ids:
        try:
            maker.add(records[id])
        except SpecError as error:
            raise error.at(f"{results.path}: cell {id}") from None
    return maker.write(Path(out), ids)


def _results(place: Path) -> tuple[Results, str | None]:
    """The folder of results that a path means, and the one cell of it."""
    if (place / "run.json").is_file():
        return Results.open(place.resolve().parent.parent), place.resolve().name
    if (place / "report.json").is_file() and (place.resolve().parent / "cells").is_dir():
        return Results.open(place.resolve().parent), None
    if not place.exists() and (place.parent / "cells").is_dir():
        ids = Results.open(place.parent).store.ids()
        found = [id for id in ids if id.startswith(place.name)]
        if len(found) != 1:
            raise SpecError(f"{len(found) or 'no'} cells begin with {place.name!r}.", where=str(place.parent),
                            hint=did_you_mean(place.name, ids))
        return Results.open(place.parent), found[0]
    return Results.open(place), None


def _chosen(results: Results, only: str | None, filters: Sequence[str]) -> list[str]:
    frame = results.cells()
    if only is not None:
        frame = frame[frame["id"] == only]
    for item in filters:
        key, equals, value = item.partition("=")
        if not equals or key not in frame.columns:
            raise SpecError(f"expected column=value, got {item!r}.", where=str(results.path),
                            hint=did_you_mean(key, frame.columns))
        frame = frame[frame[key].map(str) == value]
    if frame.empty:
        raise SpecError("there is no such run here.", where=str(results.path), hint="See `harness ls`.")
    return [str(id) for id in frame["id"]]


@dataclass
class _Maker:
    """Gathers the members of one bundle."""

    results: Results
    records: Mapping[str, Record]
    members: Members
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        source = self.results.experiment.get("source")
        there = isinstance(source, str) and Path(source).is_file()
        self.folder = Path(str(source)).resolve().parent if there else Path.cwd()
        self.certificates = self.results.certificates()
        self.known: dict[str, Cell] = {}

    def cell(self, record: Record) -> Cell:
        if record.id not in self.known:
            self.known[record.id] = cell_of(record, self.folder)
        return self.known[record.id]

    def with_twins(self, wanted: Sequence[Record]) -> list[str]:
        """The ids of the runs, and of those whose checkpoints they begin with."""
        found = {record.id: None for record in wanted}
        if any(phase.start_from in ("tensorflow", "pytorch") for record in wanted
               for phase in self.cell(record).recipe.resolved_phases()):
            everything = [self.cell(record) for record in self.records.values()]
            for record in wanted:
                found |= {need.twin.id: None for need in needs(self.cell(record), everything)
                          if need.twin.id in self.records}
        return list(found)

    def add(self, record: Record) -> None:
        """The members that hold one run."""
        cell = self.cell(record)
        if cell.id != record.id:
            self.members.note(f"{record.id} would be called {cell.id} now: the harness, or a file that the run begins "
                              "with, has changed since")
        portable, own = self.members.portable(cell)
        self.versions |= record.environment.get("versions") or {}
        tape, why = self.tape(cell, record)
        key, setting = certificate_key(record.cell), setting_key(record.cell)
        if key in self.certificates:
            self.members.files[f"certificates/{key}.json"] = json_bytes(self.certificates[key])
        entry = {
            "id": record.id, "title": cell.title, "cell": {**portable.to_data(), "folder": None}, "own_files": own,
            "certificate": key if key in self.certificates else None, "setting": setting, "tape": tape,
            "tape_reason": why, "weights": _weights_by_phase(record), "run": _without_examples(record.data),
        }
        self.members.files[f"cells/{record.id}.json"] = json_bytes(entry)
        if len(record.losses):
            self.members.files[f"losses/{record.id}{SUFFIX}"] = tensor_bytes({"loss": record.losses})

    def tape(self, cell: Cell, record: Record) -> tuple[str | None, str | None]:
        """(the name of the run's tape, None) or (None, why there is none)."""
        if record.status != "done":
            return None, "the run ended without a result"
        def twins(backend: str, phase: str) -> Any:
            for need in needs(cell, [self.cell(item) for item in self.records.values()]):
                path = self.records[need.twin.id].checkpoint_path(phase)
                if need.backend == backend and path is not None:
                    return read_state(path)
            raise SpecError(f"the checkpoint of {backend} after {phase!r} is not there.")

        def after(phase: str) -> Any:
            path = record.checkpoint_path(phase)
            return None if path is None else read_state(path)

        try:
            plans = plans_of(cell, after, twins)
        except SpecError as error:
            self.members.note(f"the tape of {cell.title!r} is not in the bundle: {error}")
            return None, str(error)
        stated = [phase.get("plan_digest") for phase in record.phases]
        if [plan.digest for plan in plans] != stated:
            why = "this version of the harness plans the run otherwise than the one that ran it"
            self.members.note(f"the tape of {cell.title!r} is not in the bundle: {why}")
            return None, why
        arrays = tape_arrays(plans)
        if sum(array.nbytes for array in arrays.values()) > LARGEST_TAPE:
            return None, "it is too large; the plan's digest covers it"
        name = f"tapes/{hashlib.sha256(''.join(map(str, stated)).encode()).hexdigest()}{SUFFIX}"
        self.members.files.setdefault(name, tensor_bytes(arrays))
        return name, None

    def write(self, out: Path, ids: Sequence[str]) -> Made:
        """Puts in what the runs share, and writes the file."""
        records = [self.records[id] for id in ids]
        self.members.files |= {name: json_bytes(block.data) for name, block in _blocks(self.results, records).items()}
        experiment = {key: value for key, value in self.results.experiment.items() if key not in ("source", "command")}
        if experiment:
            self.members.files[EXPERIMENT] = json_bytes(experiment)
        about = {
            "made_by": {**versions(("harness",)), "results_version": RESULTS_VERSION}, "cells": list(ids),
            "name": str(experiment.get("name") or "results"), "question": experiment.get("question"),
            "answer": self.results.which().sentence, "versions": self.versions, "command": COMMAND,
            "notes": list(self.members.notes),
        }
        self.members.files[README] = to_bytes(_readme(about, [shown(self.known[id].title) for id in ids]))
        digest = write_bundle(out, about, self.members.files)
        return Made(out, digest, list(ids), len(self.members.files) + 1, list(self.members.notes))


def cell_of(record: Record, folder: Path | None) -> Cell:
    """The cell that a record is of. Raises SpecError where this version cannot read its spec."""
    said = record.cell
    model = said.get("model") or {}
    if not isinstance(model.get("spec"), Mapping):
        raise SpecError("the record does not hold its model's spec.")
    return Cell(
        model=ModelSpec.from_data(model["spec"]), model_name=str(model.get("name")),
        data=DatasetSpec.parse(said.get("data")), recipe=Recipe.parse(said.get("recipe")), backend=record.backend,
        execution=Execution.parse(said.get("execution")), seed=int(record.seed or 0),
        labels=dict(said.get("labels") or {}), experiment=said.get("experiment"),
        identity=dict(said.get("identity") or {}), folder=folder, inspect=False)


def _blocks(results: Results, records: Sequence[Record]) -> dict[str, Block]:
    """The timed blocks of the settings of which both halves are in the bundle."""
    backends: dict[str, set[str]] = {}
    for record in records:
        backends.setdefault(setting_key(record.cell), set()).add(record.backend)
    return {f"blocks/{setting}/{block.number:04d}.json": block for setting, blocks in results.blocks().items()
            for block in blocks if block.status == DONE and set(block.order) <= backends.get(setting, set())}


def _without_examples(run: Mapping[str, Any]) -> dict[str, Any]:
    """run.json without what holds pieces of the data: the words of a vocabulary, examples that were looked at."""
    kept = {key: value for key, value in run.items() if key not in ("inspection", "files")}
    if isinstance(kept.get("data"), Mapping):
        kept["data"] = {key: value for key, value in kept["data"].items() if key != "vocabularies"}
    return kept


def _weights_by_phase(record: Record) -> dict[str, str]:
    found = {str(phase["name"]): record.checkpoint(phase["name"]) for phase in record.phases}
    return {name: digest_of_weights(weights) for name, weights in found.items() if weights}


def _readme(about: Mapping[str, Any], titles: Sequence[str]) -> str:
    versions = [f"    {package} {version}" for package, version in sorted(about["versions"].items())]
    return "\n".join([
        "A challenge: training runs with everything that it takes to run them again, and what came of them.", "",
        f"    {about['command']}", "",
        "replays them in the environment it is called in and says whether the figures hold: exit code 0 if they do,",
        "1 if one does not, 4 if the bundle was changed. Same versions, one thread and the same processor: the weights",
        "must be the same to the bit. Else: the losses within the certificate's band, the final metrics within the",
        "experiment's margin. --no-timing leaves out the timed blocks. See docs/challenge.md.", "",
        f"Claimed: {shown(about['answer'])}", "", "Run with:", *versions, "", "Runs:",
        *(f"    {title}" for title in titles),
        *(["", "Not in the bundle:", *(f"    {shown(note)}" for note in about["notes"])] if about["notes"] else []), "",
        "challenge.json lists every file with its sha256; cells/ holds specs and expected figures; losses/ the loss of",
        "every step; tapes/ the batches, learning rates and random keys of every step, as safetensors.", ""])
