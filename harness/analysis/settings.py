"""Which records may be compared: the same in everything but the backend and the seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.records import strict_json
from harness.records.record import Record
from harness.records.store import EXECUTION, data_label, extra_labels, model_label

BACKEND_TITLES = {"tensorflow": "TensorFlow", "pytorch": "PyTorch"}


def backend_title(backend: str) -> str:
    """ "TensorFlow" for "tensorflow"."""
    return BACKEND_TITLES.get(backend, backend)


@dataclass
class Setting:
    """One model, data set, recipe and execution, run in some backends over some seeds.

    done: backend -> seed -> record. failed: the records of runs that ended without a result.
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


def settings(records: Iterable[Record]) -> list[Setting]:
    """Groups records; the titles tell the groups apart. Sorted by title."""
    found: dict[str, Setting] = {}
    for record in sorted(records, key=lambda record: (str(record.data.get("finished_at")), record.id)):
        key = _key(record)
        setting = found.setdefault(key, _new(key, record))
        if record.status != "done":
            setting.failed.append(record)
            continue
        runs, seed = setting.done.setdefault(record.backend, {}), int(record.seed or 0)
        if seed in runs:
            setting.notes.append(
                f"{record.backend}, seed {seed}: {record.id} (the latest) is used, {runs[seed].id} is not"
            )
        runs[seed] = record
    ordered = list(found.values())
    _give_titles(ordered)
    return sorted(ordered, key=lambda setting: (setting.title, setting.id))


def _key(record: Record) -> str:
    cell = record.cell
    model = cell.get("model") or {}
    identity = {
        "model": model.get("digest") or model.get("spec") or model.get("name"),
        "data": cell.get("data"),
        "recipe": cell.get("recipe"),
        "execution": cell.get("execution"),
        "labels": {a: t for a, t in (cell.get("labels") or {}).items() if a not in ("backend", "seed")},
    }
    return hashlib.sha256(strict_json.canonical(identity).encode(errors="backslashreplace")).hexdigest()[:12]


def _new(key: str, record: Record) -> Setting:
    execution = record.cell.get("execution") or {}
    return Setting(
        id=key,
        model=model_label(record),
        data=data_label(record),
        execution={name: execution.get(name) for name in EXECUTION},
        labels=extra_labels(record),
    )


def _give_titles(found: Sequence[Setting]) -> None:
    """Model, data and whatever else differs between the settings; the id where nothing else does."""
    varying = [name for name in EXECUTION if len({strict_json.canonical(s.execution.get(name)) for s in found}) > 1]
    for setting in found:
        parts = [setting.model, setting.data]
        parts += [f"{name} {setting.execution.get(name)}" for name in varying]
        parts += [f"{axis} {text}" for axis, text in sorted(setting.labels.items())]
        setting.title = ", ".join(parts)
    titles = [setting.title for setting in found]
    for setting in found:
        if titles.count(setting.title) > 1:
            setting.title += f" [{setting.id[:6]}]"
