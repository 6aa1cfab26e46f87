"""Steps that make targets of the inputs themselves: windows over series, and reconstruction."""

from __future__ import annotations

import numpy as np

from harness.data.dataset import Raw
from harness.data.preparation import step_arrays
from harness.errors import DataError, did_you_mean
from harness.spec import sequence_steps as spec
from harness.spec.preparation import Step


def windows(raw: Raw, step: spec.Windows, fitted_on: int) -> None:
    """x [n, length, columns], y [n, horizon] of one target or [n, horizon, targets], within each split alone."""
    where = "data: prepare: windows"
    name = _only_input(raw, step, where)
    targets = _targets(raw, step, raw.train.x[name], where)
    for part, arrays in raw.parts().items():
        series = arrays.x[name]
        series = series[:, None] if series.ndim == 1 else series
        if series.ndim != 2 or series.dtype.kind not in "iufb":
            raise DataError(f"expected a series of numbers [rows, columns], got shape {('rows', *series.shape[1:])}.",
                            where=where, hint="Windows go over a source of series: sunspots, {series: FILE}.")
        if arrays.sample_weight is not None:
            raise DataError("weights of rows are no weights of windows.", where=where, hint="Leave sample_weight out.")
        starts = np.arange(0, len(series) - step.length - step.horizon + 1, step.stride)
        if not len(starts):
            raise DataError(f"{len(series)} rows hold no window of {step.length} + {step.horizon}.",
                            where=f"{where}: {part}", hint="Choose shorter windows, or give the split more rows.")
        past, future = starts[:, None] + np.arange(step.length), starts[:, None] + np.arange(step.horizon)
        ahead = series[future + step.length][..., targets]
        arrays.x[name] = series[past]
        arrays.y.clear()
        arrays.y["y"] = ahead[..., 0] if len(targets) == 1 else ahead
        raw.notes.append(f"{part}: {len(starts)} windows of {len(series)} rows.")


def _only_input(raw: Raw, step: Step, where: str) -> str:
    names = step_arrays(raw, step, "x")
    if len(names) != 1 or len(raw.train.x) != 1:
        raise DataError(f"expected one input, found {', '.join(raw.train.x)}.", where=where,
                        hint="Use a source with one array.")
    return names[0]


def _targets(raw: Raw, step: spec.Windows, series: np.ndarray, where: str) -> list[int]:
    columns = 1 if series.ndim == 1 else series.shape[1]
    if step.targets is None:
        return list(range(columns))
    found = []
    for target in step.targets:
        if isinstance(target, str) and target in raw.features:
            found.append(raw.features.index(target))
        elif isinstance(target, int) and -columns <= target < columns:
            found.append(target % columns)
        else:
            raise DataError(f"there is no column {target!r}.", where=where,
                            hint=did_you_mean(target, raw.features) or f"There are {columns} columns.")
    return found


def reconstruct(raw: Raw, step: spec.Reconstruct, fitted_on: int) -> None:
    """y becomes the input; noise, if any, goes to the input alone."""
    where = "data: prepare: reconstruct"
    name = _only_input(raw, step, where)
    for place, arrays in enumerate(raw.parts().values()):
        values = arrays.x[name]
        if values.dtype.kind in "OU":
            raise DataError("text cannot be its own target.", where=where, hint="Make ids of it: language_model.")
        # Bytes and other whole numbers are values here, not labels.
        values = values if values.dtype == np.float64 else values.astype(np.float32)
        arrays.y.clear()
        arrays.y["y"] = values
        if step.noise:
            drawn = np.random.default_rng([step.seed, place]).standard_normal(values.shape, dtype=np.float32)
            arrays.x[name] = (values + np.float32(step.noise) * drawn).astype(values.dtype)
        else:
            arrays.x[name] = values
