"""What decides between two backends, and which difference matters: the key `verdict` of an experiment."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.configured import Configured

Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Target = float | dict[str, float]


def read_target(value: Any) -> Target | None:
    """A number, of the metric that is validated; {metric: number}, or "metric=number"; None for none."""
    if value is None:
        return None
    metric, wanted = None, value
    if isinstance(value, Mapping) and len(value) == 1:
        ((metric, wanted),) = value.items()
    elif isinstance(value, str):
        metric, equals, wanted = value.rpartition("=")
        metric = metric.strip() if equals else None
    try:
        number = math.nan if isinstance(wanted, bool) else float(wanted)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or metric == "" or not isinstance(metric, str | None):
        raise SpecError(f"the target is {value!r}, expected a number or a metric with one.",
                        hint="For example val_accuracy=0.9, or in a file {val_accuracy: 0.9}.")
    return number if metric is None else {metric: number}


class Judging(Configured):
    """What decides, and which difference matters.

    primary: a measure (`samples_per_second`, `time_to_accuracy`, `latency_p99`, ...) or a final metric. margin: the
    share of a measure below which a difference does not matter; accuracy_margin: the same for accuracy, as a
    difference. target: of `time_to_accuracy`, {metric: value} or a value; None takes the hardest that every run
    reached, and says so. tier: judge only this one.
    """

    primary: Annotated[str, Field(min_length=1)] = "samples_per_second"
    margin: Share = 0.03
    accuracy_margin: Share = 0.005
    target: Annotated[Target | None, BeforeValidator(read_target)] = None
    tier: Literal["tuned", "idiomatic"] | None = None

    @classmethod
    def canonical_name(cls) -> str:
        return "verdict"

    def to_data(self) -> Any:
        return self.config()
