"""Which records may be compared: the same in everything but the backend and the seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.records import strict_json
from harness.records.blocks import Block
from harness.records.record import Record
from harness.records.settings_key import PAIRED
from harness.records.store import EXECUTION, data_label, extra_labels, model_label

BACKEND_TITLES = {"tensorflow": "TensorFlow", "pytorch": "PyTorch"}


def backend_title(backend: str) -> str:
    """ "TensorFlow" for "tensorflow"."""
    return BACKEND_TITLES.get(backend, backend)


@dataclass
class Setting:
    """One model, data set, recipe and execution, run in some backends over some seeds.

    done: backend -> seed -> record. failed: the records of runs that ended without a result. factors: axis of the
    matrix or part of the execution -> what it is here. blocks: its timed blocks, by number.
    """

    id: str
    model: str
    data: str
    execution: dict[str, object]
    labels: dict[str, str]
    title: str = ""
    done: dict[str, dict[int, Record]] = field(default_factory=dict)
    failed: list[Record] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    factors: dict[str, object] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def backends(self) -> list[str]:
        """Backends that were tried here, failed ones included, sorted."""
        return sorted({*self.done, *(record.backend for record in self.failed)})

    def records(self, backend: str) -> list[Record]:
        """The finished records of that backend, by seed."""
        runs = self.done.get(backend, {})
        return [runs[seed] for seed in sorted(runs)]

    def seeds(self, a: str, b: str) -> list[int]:
        """The seeds that both backends finished: the pairs."""
        return sorted(set(self.done.get(a, {})) & set(self.done.get(b, {})))


def settings(records: Iterable[Record], blocks: Mapping[str, Sequence[Block]] | None = None) -> list[Setting]:
    """Groups records; the titles tell the groups apart. Sorted by title. blocks: setting -> its blocks; a setting that
    was timed and has no record is there too."""
    found: dict[str, Setting] = {}
    for record in sorted(records, key=lambda record: (str(record.data.get("finished_at")), record.id)):
        key = record.setting
        setting = found.get(key) or found.setdefault(key, _new(key, record))
        if record.status != "done":
            setting.failed.append(record)
            continue
        runs, seed = setting.done.setdefault(record.backend, {}), int(record.seed or 0)
        if seed in runs:
            setting.notes.append(
                f"{record.backend}, seed {seed}: {record.id} (the latest) is used, {runs[seed].id} is not"
            )
        runs[seed] = record
    for key, timed in (blocks or {}).items():
        if timed:
            bare = Record({"id": key, "status": "done", "cell": timed[0].cell, "phases": []})
            found.setdefault(key, _new(key, bare)).blocks = list(timed)
    ordered = list(found.values())
    _give_titles(ordered)
    return sorted(ordered, key=lambda setting: (setting.title, setting.id))


def _new(key: str, record: Record) -> Setting:
    execution = record.cell.get("execution") or {}
    return Setting(
        id=key,
        model=model_label(record),
        data=data_label(record),
        execution={name: execution.get(name) for name in EXECUTION},
        labels=extra_labels(record),
        factors=_factors(record.cell),
    )


def _factors(cell: Mapping[str, Any]) -> dict[str, object]:
    """The axes of the matrix as they are named there, and the parts of the execution."""
    axes = {str(axis): text for axis, text in (cell.get("labels") or {}).items() if axis not in PAIRED}
    execution = {str(name): value for name, value in (cell.get("execution") or {}).items()}
    return {**execution, **axes}


def _give_titles(found: Sequence[Setting]) -> None:
    """Model, data and whatever else differs between the settings; the id where nothing else does."""
    varying = [name for name in EXECUTION if len({strict_json.canonical(s.execution.get(name)) for s in found}) > 1]
    for setting in found:
        parts = [setting.model, setting.data]
        parts += [f"{name} {setting.execution.get(name)}" for name in varying]
        parts += [f"{axis} {text}" for axis, text in sorted(setting.labels.items())]
        setting.title = ", ".join(parts)
    titles = Counter(setting.title for setting in found)
    for setting in found:
        if titles[setting.title] > 1:
            setting.title += f" [{setting.id[:6]}]"
