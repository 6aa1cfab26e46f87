"""One run's record: reading it, writing it whole, and the figures that follow from it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import HarnessError, SpecError
from harness.records import strict_json
from harness.records.certificates import certificate_key
from harness.records.checkpoint import OPTIMIZER, load_checkpoint
from harness.records.folder import RUN_FILE, SERIES_FILE, checkpoint_file, write_folder
from harness.records.inspection import KEY as INSPECTION
from harness.records.inspection import Inspection, read_inspection
from harness.records.settings_key import setting_key
from harness.records.shape import shape_problem
from harness.records.shared_cell import SharedCell

if TYPE_CHECKING:
    import pandas

SCHEMA = 1
# What an older one lacks is taken as not measured.
OLDEST_SCHEMA = 1
STATUSES = ("done", "failed")
REQUIRED = {"id": str, "status": str, "cell": dict, "phases": list}
# Sections whose strings "NaN" and "Infinity" are numbers.
NUMBERS = ("phases", "test", "timing", "memory")
# What an epoch's row holds beside metrics.
NOT_METRICS = frozenset({"epoch", "seconds", "learning_rate", "samples"})


class CorruptRecordError(HarnessError):
    """A folder that is no complete record: half written, truncated or damaged. Its cell counts as not run."""


@dataclass(frozen=True, eq=False)
class Record:
    """What one run left. Made by `read_record`, or by a training in this process (then `model` is live).

    data: the contents of run.json. folder: where it lies, None if it was never written.
    memory_series: column -> array with one row per step; memory_checkpoints: phase -> name -> array;
    both None where they are to be read from `folder` when asked for. shared: what it has in common with others that
    were read together.
    """

    data: Mapping[str, Any]
    folder: Path | None = None
    model: Any = None
    memory_series: Mapping[str, np.ndarray] | None = field(default=None, repr=False)
    memory_checkpoints: Mapping[str, Mapping[str, np.ndarray]] | None = field(default=None, repr=False)
    shared: SharedCell | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        cell = self.cell
        name = cell.get("model", {}).get("name")
        return f"Record({self.id}, {name}, {cell.get('backend')}, seed {cell.get('seed')}, {self.status})"

    def _repr_html_(self) -> str:
        from harness.records.record_html import record_html

        return record_html(self)

    @property
    def id(self) -> str:
        return str(self.data["id"])

    @property
    def status(self) -> str:
        """ "done" or "failed"."""
        return str(self.data["status"])

    @property
    def reason(self) -> dict[str, str] | None:
        """None, or why the run failed: {"kind": ..., "message": ...}."""
        return self.data.get("reason")

    @property
    def cell(self) -> dict[str, Any]:
        return self.data["cell"]  # type: ignore[no-any-return]

    @property
    def setting(self) -> str:
        """The id of its setting: `setting_key` of its cell."""
        return setting_key(self.cell) if self.shared is None else self.shared.setting(self.cell.get("labels"))

    @property
    def certificate(self) -> str | None:
        """The key of its certificate: `certificate_key` of its cell."""
        return certificate_key(self.cell) if self.shared is None else self.shared.certificate

    @property
    def backend(self) -> str:
        return str(self.cell.get("backend"))

    @property
    def seed(self) -> int | None:
        return self.cell.get("seed")

    @property
    def phases(self) -> list[dict[str, Any]]:
        return self.data.get("phases") or []

    @property
    def test(self) -> dict[str, float] | None:
        return self.data.get("test")

    @property
    def environment(self) -> dict[str, Any]:
        return self.data.get("environment") or {}

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """The step series as arrays: phase, epoch, step, loss, learning_rate, batch_size, step_seconds."""
        if self.memory_series is not None:
            return {name: np.asarray(value) for name, value in self.memory_series.items()}
        if self.folder is None:
            return {}
        return _read_series(self.folder / SERIES_FILE)

    @property
    def series(self) -> pandas.DataFrame:
        """The step series as a DataFrame, one row per step."""
        import pandas

        return pandas.DataFrame(self.columns)

    @cached_property
    def losses(self) -> np.ndarray:
        """float64 [steps]: the total loss (regularisation included) of each step, before its update."""
        # All that most readers want of a series: the other columns would take longer than this one.
        alone = self.memory_series is None and self.folder is not None and "columns" not in self.__dict__
        columns = _read_series(self.folder / SERIES_FILE, "loss") if alone and self.folder else self.columns
        return np.asarray(columns.get("loss", ()), dtype=np.float64)

    def checkpoint(self, phase: str) -> dict[str, np.ndarray]:
        """The canonical weights after that phase, {} where none were kept."""
        if self.memory_checkpoints is not None:
            tensors = self.memory_checkpoints.get(phase, {})
            return {name: np.asarray(value) for name, value in tensors.items() if not name.startswith(OPTIMIZER)}
        path = self.checkpoint_path(phase)
        return {} if path is None else load_checkpoint(path).weights

    def checkpoint_path(self, phase: str) -> Path | None:
        """The safetensors file of that phase, None where there is none."""
        path = None if self.folder is None else self.folder / checkpoint_file(phase)
        return path if path is not None and path.is_file() else None

    @cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """The final weights, canonical names and Keras's layouts; {} where none were kept."""
        for phase in reversed(self.phases):
            weights = self.checkpoint(phase["name"])
            if weights:
                return weights
        return {}

    @cached_property
    def inspection(self) -> Inspection | None:
        """What a look at the final weights found; None where nobody looked. Raises CorruptRecordError."""
        data = self.data.get(INSPECTION)
        if not isinstance(data, Mapping):
            return None
        try:
            return Inspection(data) if self.folder is None else read_inspection(self.folder, data)
        except ValueError as error:
            raise CorruptRecordError(str(error)) from None

    @property
    def history(self) -> dict[str, list[float]]:
        """Keras's `History.history` over the epochs of all phases; NaN where an epoch lacks a metric."""
        rows = [epoch for phase in self.phases for epoch in phase.get("epochs", [])]
        names = list(dict.fromkeys(name for row in rows for name in row if is_metric(name)))
        return {name: [_number(row.get(name)) for row in rows] for name in names}

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The final metrics by Keras's names: loss, accuracy, val_..., and test_... of the test split.

        They are of the weights that were kept: the last epoch's, or the best epoch's where the last phase
        put its weights back ("restored_best").
        """
        found: dict[str, float] = {}
        row = final_epoch(self.phases[-1]) if self.phases else None
        if row is not None:
            found = {name: _number(value) for name, value in row.items() if is_metric(name)}
        for name, value in (self.test or {}).items():
            found[name if name.startswith("test_") else f"test_{name}"] = _number(value)
        return found

    @property
    def train_seconds(self) -> float | None:
        """Seconds inside training windows, warm-up included, evaluation excluded; None if not measured."""
        windows = [window["seconds"] for phase in self.phases for window in phase.get("windows", [])]
        return float(sum(windows)) if windows else None

    @cached_property
    def samples_per_second(self) -> float | None:
        """Examples trained in the windows after warm-up, over their seconds; None without such a window."""
        return self.throughput(self.phases)

    def throughput(self, phases: list[dict[str, Any]]) -> float | None:
        """Examples per second over the non-warm-up windows of these phases; None without such a window."""
        windows = [(p["name"], w) for p in phases for w in p.get("windows", []) if not w.get("warmup")]
        seconds = float(sum(window["seconds"] for _, window in windows))
        if seconds <= 0:
            return None
        examples = sum(self._examples(phase, window) for phase, window in windows)
        return examples / seconds if examples else None

    def _examples(self, phase: str, window: Mapping[str, Any]) -> int:
        """Examples in the steps [start, stop) of the phase."""
        if "examples" in window:
            return int(window["examples"])
        if not self.columns:
            return 0
        sizes = self.columns["batch_size"][self.columns["phase"] == phase]
        return int(np.sum(sizes[window["start"] : window["stop"]]))


def is_metric(name: str) -> bool:
    """Whether a key of an epoch's row is a metric (and not its number, its seconds or the like)."""
    return name not in NOT_METRICS and not name.endswith("_seconds")


def final_epoch(phase: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row of the epoch whose weights the phase ended with."""
    epochs: list[dict[str, Any]] = phase.get("epochs") or []
    if phase.get("restored_best") and phase.get("best_epoch") is not None:
        best = [row for row in epochs if row.get("epoch") == phase["best_epoch"]]
        if best:
            return best[-1]
    return epochs[-1] if epochs else None


def write_record(
    folder: Path | str,
    payload: Mapping[str, Any],
    series: Mapping[str, np.ndarray],
    checkpoints: Mapping[str, Mapping[str, np.ndarray]],
    inspection: Inspection | None = None,
) -> None:
    """Writes one record whole: into a temporary sibling folder, synced to disk, then renamed.

    payload: run.json without "schema". series: column -> one value per step, all of one length.
    checkpoints: phase -> canonical name -> array. inspection: what a look at the model found. A record that
    is already there is replaced; a kill at any moment leaves either the old or the new one to be found
    (`Store.clean` finishes the move).
    """
    for key, kind in REQUIRED.items():
        if not isinstance(payload.get(key), kind):
            raise HarnessError(f"a record needs {key!r} ({kind.__name__}), got {payload.get(key)!r}.")
    if payload["status"] not in STATUSES:
        raise HarnessError(f"a record's status is one of {STATUSES}, got {payload['status']!r}.")
    lengths = {name: len(column) for name, column in series.items()}
    if len(set(lengths.values())) > 1:
        raise HarnessError(f"the columns of a series have one length, got {lengths}.")
    found = {} if inspection is None else {INSPECTION: inspection.data}
    write_folder(Path(folder), {"schema": SCHEMA, **payload, **found}, series, checkpoints, inspection)


def read_record(folder: Path | str) -> Record:
    """Reads run.json and checks it; the series and the weights are read when first asked for.

    Raises CorruptRecordError for an absent, half-written or damaged record, SpecError for a newer schema.
    """
    folder = Path(folder)
    path = folder / RUN_FILE
    try:
        text = path.read_text(encoding="utf-8")
        data = strict_json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptRecordError(f"{path}: no readable record ({error}).") from None
    if not isinstance(data, dict):
        raise CorruptRecordError(f"{path}: expected an object, found {type(data).__name__}.")
    _check(path, data)
    try:
        for section in NUMBERS if strict_json.NOT_FINITE_TEXT.search(text) else ():
            if section in data:
                data[section] = strict_json.to_numbers(data[section])
    except RecursionError:
        raise CorruptRecordError(f"{path}: it is nested too deeply.") from None
    if (problem := shape_problem(data)) is not None:
        raise CorruptRecordError(f"{path}: {problem}.")
    return Record(data, folder)


def _check(path: Path, data: dict[str, Any]) -> None:
    schema = data.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise SpecError(
            f"the record has schema {schema}, this version reads up to {SCHEMA}.",
            where=str(path),
            hint="Update the harness, or point it at another store.",
        )
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < OLDEST_SCHEMA:
        raise CorruptRecordError(f"{path}: schema is {schema!r}, expected {SCHEMA}.")
    for key, kind in REQUIRED.items():
        if not isinstance(data.get(key), kind):
            raise CorruptRecordError(f"{path}: {key!r} is missing or no {kind.__name__}.")
    if data["status"] not in STATUSES:
        raise CorruptRecordError(f"{path}: status is {data['status']!r}, expected one of {STATUSES}.")
    if not all(isinstance(phase, dict) and isinstance(phase.get("name"), str) for phase in data["phases"]):
        raise CorruptRecordError(f"{path}: every phase needs a name.")
    files = data.get("files")
    for name, size in files.items() if isinstance(files, dict) else ():
        file = path.parent / name
        if file.parent != path.parent or not file.is_file() or file.stat().st_size != size:
            raise CorruptRecordError(f"{path}: {str(name)!r} is missing or not the {size} bytes that were written.")


def _read_series(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The columns of these names, all where none is named."""
    import pyarrow
    import pyarrow.parquet

    try:
        # Many small files: what read_table does to find out that it is one file takes longer than reading it.
        with pyarrow.parquet.ParquetFile(path) as file:
            table = file.read(columns=list(names) or None, use_threads=False)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise CorruptRecordError(f"{path}: no readable series ({error}).") from None
    return {name: table.column(name).to_numpy() for name in table.column_names}


def _number(value: Any) -> float:
    """A metric as float; None (not measured) becomes NaN."""
    return float("nan") if value is None else float(value)
