"""Replays a challenge bundle in this environment and says whether its figures hold.

Same data, same plan, then: the digest of the final weights. Where versions, device, processor and one thread are those
of the bundle, they must be the same to the bit; elsewhere the losses stay within the band that the bundle's certificate
gives rounding, and the final metrics within the experiment's margin (harness/runner/replay_judging.py).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.backends import BACKENDS
from harness.errors import DataError, SpecError
from harness.exchange.bundle import EXPERIMENT, Bundle, BundleError, read_bundle
from harness.records import strict_json
from harness.records.blocks import Block, read_blocks
from harness.records.record import Record
from harness.records.settings_key import setting_key
from harness.records.store import Store
from harness.runner.blocks import BlockSettings
from harness.runner.cell_runner import OnEvent, Settings
from harness.runner.dependencies import ordered
from harness.runner.driver import TIMING, execute
from harness.runner.matrix import RESULTS_VERSION, Cell
from harness.runner.models import load_dataset
from harness.runner.replay_figures import plans_of, read_arrays, tape_arrays
from harness.runner.replay_found import PARTED, SAME, UNREPEATABLE, WITHIN, Replay, Replayed
from harness.runner.replay_judging import Expected, Margins, Row, judge_blocks_again, judge_run
from harness.spec.experiment import KEYS, Experiment
from harness.spec.explicit import explicit
from harness.spec.recipe import Recipe


@dataclass(frozen=True)
class Entry:
    """cells/<id>.json, read: the run as it was, the cell as it is to be run here."""

    data: Mapping[str, Any]
    cell: Cell
    record: Record

    @property
    def id(self) -> str:
        return self.record.id


def replay(
    path: Path | str, out: Path | str | None = None, *, timing: bool = True, on_event: OnEvent | None = None,
    settings: Settings | None = None,
) -> Replay:
    """Checks the bundle, runs its cells here, and holds what they left against it.

    out: where the records of the replay are kept (a new folder); they are thrown away where None. timing: whether
    the timed blocks of the bundle are timed again. settings: how cells are run; tests put their own here. Raises
    BundleError for a file that was changed, SpecError and DataError for what cannot be run here.
    """
    if out is not None and any(Path(out).glob("*")):
        raise SpecError("there is something in it; a replay begins with an empty folder.", where=str(out))
    with tempfile.TemporaryDirectory(prefix="harness-challenge-") as place:
        bundle = read_bundle(path, Path(place).resolve() / "bundle")
        folder = Path(place) / "results" if out is None else Path(out)
        entries = entries_of(bundle)
        experiment = _experiment(bundle)
        fit = {entry.id: _before(entry, bundle) for entry in entries}
        cells = [entry.cell for entry in entries if not _in_the_way(fit[entry.id])]
        blocks = _block_settings(experiment, bundle, timing)
        if cells:
            execute(experiment, [cell for cell, _ in ordered(_distinct(cells))], folder, on_event,
                    replace(settings or Settings(), blocks=blocks))
        return _judged(bundle, entries, fit, experiment, folder, None if out is None else folder)


def entries_of(bundle: Bundle) -> list[Entry]:
    """The runs of a bundle. Raises BundleError for one that is not readable."""
    found = []
    for name in bundle.below("cells"):
        data = bundle.json(name)
        try:
            run = strict_json.to_numbers(data["run"])
            record = Record(run, memory_series=_losses(bundle, str(run["id"])))
            if f"cells/{record.id}.json" != name or run["status"] not in ("done", "failed") or not isinstance(
                    run["phases"], list):
                raise ValueError("it is the run of another cell")
            _ = record.metrics, record.samples_per_second, record.environment.get("versions")
            cell = Cell.from_data({**data["cell"], "folder": str(bundle.folder if data["own_files"] else Path.cwd())})
            if cell.backend not in BACKENDS:
                raise ValueError(f"its backend is {cell.backend!r}")
            found.append(Entry(data, _with_weights(cell, bundle), record))
        except SpecError as error:
            raise error.at(name) from None
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BundleError(f"{name} is not readable ({type(error).__name__}: {str(error)[:200]}).") from None
    if not found:
        raise BundleError("there is no run in it.", where=str(bundle.folder.name))
    return found


def _losses(bundle: Bundle, id: str) -> dict[str, np.ndarray]:
    path = bundle.path(f"losses/{id}.safetensors")
    return {} if path is None else {"loss": read_arrays(path)["loss"]}


def _with_weights(cell: Cell, bundle: Bundle) -> Cell:
    """The cell with the bundle's own files of weights where they were unpacked to."""
    recipe = explicit(cell.recipe)

    def place(name: Any) -> Any:
        path = bundle.path(name) if isinstance(name, str) and name.startswith("weights/") else None
        return name if path is None else str(path)

    if recipe.get("weights") is not None:
        recipe["weights"] = place(recipe["weights"])
    for phase in recipe["phases"]:
        phase["start_from"] = place(phase["start_from"])
    return replace(cell, recipe=Recipe.parse(recipe))


def _experiment(bundle: Bundle) -> Experiment:
    """The experiment's question, margins and timing; defaults where it was run without one."""
    written = bundle.json(EXPERIMENT) if EXPERIMENT in bundle.names else {}
    if not isinstance(written, Mapping):
        raise BundleError(f"{EXPERIMENT} is no object.")
    kept = {key: written[key] for key in KEYS if key in written}
    return Experiment.parse({**kept, "certify": False} if kept else {"model": "mlp", "name": "challenge"},
                            folder=bundle.folder)


def _block_settings(experiment: Experiment, bundle: Bundle, timing: bool) -> BlockSettings | None:
    """How blocks are timed again, None where none were, or are not to be."""
    wanted = timing and bundle.below("blocks") and os.environ.get(TIMING) != "0"
    return BlockSettings(experiment.timing) if wanted and experiment.timing is not None else None


def _distinct(cells: Sequence[Cell]) -> list[Cell]:
    return list({cell.id: cell for cell in cells}.values())


def _before(entry: Entry, bundle: Bundle) -> list[Row]:
    """What can be said before anything is trained: whether data and plan are those of the bundle."""
    try:
        dataset = load_dataset(entry.cell.data, entry.cell.folder)
    except DataError as error:
        hint = "" if entry.data["own_files"] else " The data are not in the bundle: replay it where they lie, or ask " \
               "for one that was made with --with-data."
        raise DataError(f"{error.message}{hint}", where=f"{entry.data['title']}: {error.where or 'data'}",
                        hint=error.hint) from None
    stated = (entry.record.data.get("data") or {}).get("fingerprint")
    rows = [Row.equal("data", stated, dataset.fingerprint)]
    name = entry.data.get("tape")
    if rows[0].holds is False or not name:
        return rows
    path = bundle.path(name)
    if path is None:
        raise BundleError(f"{name} is missing.")
    return [*rows, _first_tape(entry, read_arrays(path))]


def _first_tape(entry: Entry, stated: Mapping[str, np.ndarray]) -> Row:
    """The first phase's plan as this version makes it, against the tape that was played."""
    def unknown(backend: str, phase: str) -> Any:
        raise _NotYetError

    try:
        plan = plans_of(entry.cell, lambda phase: None, unknown)[0]
    except _NotYetError:
        return Row("tape", None, None, None, "begins with another run's weights: judged after it")
    ours = tape_arrays([plan])
    apart = [name.partition("/")[2] for name, array in ours.items()
             if name not in stated or array.dtype != stated[name].dtype or not np.array_equal(array, stated[name])]
    digest = (entry.record.phases[0].get("plan_digest") if entry.record.phases else None) or None
    says = f"the tape differs in {', '.join(apart)}" if apart else "" if plan.digest == digest else \
        "the same tape, but the model, the optimizer or the weights that are trained differ"
    return Row("plan of the first phase", digest, plan.digest, plan.digest == digest and not apart, says)


class _NotYetError(Exception):
    """The weights that a phase begins with come of a run that is still to be replayed."""


def _in_the_way(rows: Sequence[Row]) -> bool:
    return any(row.holds is False for row in rows)


def _judged(
    bundle: Bundle, entries: Sequence[Entry], before: Mapping[str, list[Row]], experiment: Experiment, folder: Path,
    kept: Path | None,
) -> Replay:
    store, margins = Store(folder), Margins(experiment.verdict.margin, experiment.verdict.accuracy_margin)
    same_version = (bundle.about.get("made_by") or {}).get("results_version") == RESULTS_VERSION
    runs, differences = [], dict[str, None]()
    for entry in entries:
        rows, record = before[entry.id], None
        if not _in_the_way(rows):
            record = store.get(entry.cell.id)
            try:
                found, apart = judge_run(_expected(entry, bundle, same_version), record, margins)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise BundleError(f"what cells/{entry.id}.json expects is not readable ({type(error).__name__}: "
                                  f"{str(error)[:200]}).") from None
            rows = [*rows, *found]
            differences |= dict.fromkeys(apart)
        runs.append(Replayed(entry.id, str(entry.data["title"]), _outcome(rows), rows))
    return Replay(bundle.digest, runs, _timing(bundle, entries, folder, margins), list(differences), kept)


def _expected(entry: Entry, bundle: Bundle, same_version: bool) -> Expected:
    key = entry.data.get("certificate")
    certificate = bundle.json(f"certificates/{key}.json") if key else None
    return Expected(entry.record, dict(entry.data.get("weights") or {}), certificate, same_version,
                    entry.cell.execution.policy, entry.cell.execution.deterministic)


def _outcome(rows: Sequence[Row]) -> str:
    if any(row.holds is False for row in rows):
        return PARTED
    judged = {row.what: row for row in rows if row.holds is not None}
    if "final weights" in judged and judged["final weights"].exact:
        return SAME
    return WITHIN if judged.keys() - {"data", "plan of the first phase"} else UNREPEATABLE


def _timing(bundle: Bundle, entries: Sequence[Entry], folder: Path, margins: Margins) -> dict[str, list[Row]]:
    """The blocks of every setting, those of the bundle against those that were timed here."""
    theirs: dict[str, list[Block]] = {}
    for name in bundle.below("blocks"):
        data = bundle.json(name)
        theirs.setdefault(name.split("/")[1], []).append(Block({**data, "halves": strict_json.to_numbers(
            data.get("halves") or {})}))
    ours, store = read_blocks(folder), Store(folder)
    found = {}
    for setting, blocks in theirs.items():
        of = next((entry for entry in entries if entry.data.get("setting") == setting), None)
        record = None if of is None else store.get(of.cell.id)
        timed = [] if record is None else ours.get(setting_key(record.cell), [])
        if of is not None and timed:
            with contextlib.suppress(KeyError, TypeError, ValueError):
                found[of.data["title"].split(f", {of.cell.backend}")[0]] = judge_blocks_again(blocks, timed, margins)
    return found


