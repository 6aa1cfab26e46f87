"""How fast: examples per second after warm-up, per record and per phase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.analysis.settings import Setting
from harness.analysis.statistics import Figure, student_interval
from harness.records.record import Record, final_epoch, is_metric

MEASURES = {
    "samples_per_second": "examples/s",
    "train_seconds": "s",
    "first_step_seconds": "s",
    "total_seconds": "s",
    "peak_bytes": "bytes",
    "process_peak_bytes": "bytes",
}


def measure(record: Record, name: str) -> float | None:
    """One of MEASURES, or a final metric by Keras's name; None where it was not measured."""
    value: Any
    if name in ("samples_per_second", "train_seconds"):
        value = getattr(record, name)
    elif name in ("first_step_seconds", "total_seconds"):
        value = (record.data.get("timing") or {}).get(name)
    elif name in ("peak_bytes", "process_peak_bytes"):
        value = (record.data.get("memory") or {}).get(name)
    else:
        value = record.metrics.get(name)
    return None if value is None else float(value)


def mean_figure(records: Sequence[Record], name: str, unit: str) -> Figure | None:
    """Mean over the records with Student's t interval; None where no record has the measure."""
    values = [value for record in records if (value := measure(record, name)) is not None and np.isfinite(value)]
    if not values:
        return None
    mean, low, high = student_interval(np.asarray(values))
    return Figure(mean, low, high, len(values), unit, "mean over seeds, Student t, 95% interval")


def throughput_table(setting: Setting) -> list[dict[str, Any]]:
    """One row per backend: backend, seeds, and a Figure or None for each of MEASURES."""
    return [
        {
            "backend": backend,
            "n": len(setting.records(backend)),
            **{name: mean_figure(setting.records(backend), name, unit) for name, unit in MEASURES.items()},
        }
        for backend in setting.backends()
        if setting.records(backend)
    ]


def phase_table(setting: Setting) -> list[dict[str, Any]]:
    """One row per backend and phase, means over seeds: epochs, samples_per_second, final metrics."""
    rows = []
    for backend in setting.backends():
        records = setting.records(backend)
        names = list(dict.fromkeys(phase["name"] for record in records for phase in record.phases))
        for name in names:
            pairs = [(r, p) for r in records for p in r.phases if p["name"] == name]
            rows.append(_phase_row(backend, name, pairs))
    return rows


def _phase_row(backend: str, name: str, pairs: list[tuple[Record, dict[str, Any]]]) -> dict[str, Any]:
    finals = [row for _, phase in pairs if (row := final_epoch(phase)) is not None]
    metrics = dict.fromkeys(metric for row in finals for metric in row if is_metric(metric))
    speeds = [speed for record, phase in pairs if (speed := record.throughput([phase])) is not None]
    return {
        "backend": backend,
        "phase": name,
        "n": len(pairs),
        "epochs": _mean([len(phase.get("epochs") or []) for _, phase in pairs]),
        "stopped_early": sum(bool(phase.get("stopped_early")) for _, phase in pairs),
        "samples_per_second": _mean(speeds),
        "metrics": {
            metric: _mean([float(row[metric]) for row in finals if row.get(metric) is not None]) for metric in metrics
        },
        "programs": sorted({str(p["program"]) for _, p in pairs if p.get("program")}),
        # The same in every run: of a record that was written before they were kept, None.
        "parameters": pairs[0][1].get("parameters"),
        "trainable_parameters": pairs[0][1].get("trainable_parameters"),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
