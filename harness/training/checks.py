"""What can be known to go wrong after a phase's first epoch, found before its first step."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from harness.errors import SpecError, did_you_mean
from harness.plan.binding import Arrays
from harness.plan.plan import Output, Plan
from harness.spec.recipe import ResolvedPhase
from harness.training.metrics import MetricSet


def check_log(
    plan: Plan, metrics: dict[str, MetricSet], phase: ResolvedPhase, train: Arrays, validation: Arrays | None
) -> None:
    """Raises SpecError for a metric that does not fit its output, or where the epochs' log will lack the entry
    that early stopping or keep_best looks at."""
    measured: set[str] = set()
    for output in plan.outputs:
        measured |= _measured(plan, output, metrics[output.name], train.y[output.name])
    known = {"loss", *(measured if plan.collect_outputs else ())}
    known |= {f"val_{name}" for name in ("loss", *measured)} if validation is not None else set()
    monitors = {"early_stopping": phase.early_stopping and phase.early_stopping.monitor, "keep_best": phase.keep_best}
    for what, monitor in monitors.items():
        if monitor and monitor not in known:
            hint = "There is no validation split." if monitor.startswith("val_") and validation is None else \
                did_you_mean(monitor, known)
            raise SpecError(f"{what}: the epochs' log will have no {monitor!r} to look at.",
                            where=f"phase {plan.name!r}", hint=hint)


def _measured(plan: Plan, output: Output, metrics: MetricSet, targets: np.ndarray) -> set[str]:
    """The names that an output's metrics report; each metric is tried on the first targets."""
    shape = [targets.shape[axis] if size is None and axis < targets.ndim else size or 1
             for axis, size in enumerate(plan.spec.tensors[output.node])]
    # Another number of examples than any dimension has: nothing fits by chance.
    examples = next(number for number in count(2) if number not in {*shape, *targets.shape[1:]})
    y_true = targets[np.arange(examples) % len(targets)]
    y_pred = np.full((examples, *shape[1:]), 0.5)
    names: set[str] = set()
    for name, metric in metrics.metrics.items():
        trial: Any = MetricSet([metric])
        try:
            trial.update(y_true, y_pred)
            results = trial.result()
        except (ValueError, IndexError) as error:
            raise SpecError(
                f"the metric {name!r} does not fit the output {output.name!r} of shape {tuple(shape[1:])} with targets "
                f"of shape {targets.shape[1:]}: {error}", where=f"phase {plan.name!r}") from None
        names |= {name + key.removeprefix(metric.reported_name) for key in results}
    return names
