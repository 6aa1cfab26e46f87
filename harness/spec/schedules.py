"""Keras's learning-rate schedules as data (keras/src/optimizers/schedules/learning_rate_schedule.py).

plan/schedule.py computes the rate of every step from them, once, on the host, in float64.
"""

import contextlib
import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from harness.errors import SpecError
from harness.spec.configured import Configured, Family

Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Steps = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Schedule(Configured):
    """Base of all learning-rate schedules."""

    ignored: ClassVar[frozenset[str]] = frozenset({"name"})


class ExponentialDecay(Schedule):
    """initial_learning_rate * decay_rate ^ (step / decay_steps); the exponent is floored by `staircase`."""

    initial_learning_rate: Rate
    decay_steps: Steps
    decay_rate: Rate
    staircase: bool = False


class InverseTimeDecay(Schedule):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps)."""

    initial_learning_rate: Rate
    decay_steps: Steps
    decay_rate: Rate
    staircase: bool = False


class PolynomialDecay(Schedule):
    """From initial_learning_rate to end_learning_rate in decay_steps, as (1 - step / decay_steps) ^ power."""

    initial_learning_rate: Rate
    decay_steps: Steps
    end_learning_rate: Rate = 0.0001
    power: Finite = 1.0
    cycle: bool = False


class PiecewiseConstantDecay(Schedule):
    """values[0] up to and with step boundaries[0], values[1] up to and with boundaries[1], and so on."""

    boundaries: tuple[Finite, ...]
    values: tuple[Rate, ...]

    @model_validator(mode="after")
    def _one_value_more(self) -> "PiecewiseConstantDecay":
        if not self.boundaries or len(self.values) != len(self.boundaries) + 1:
            raise SpecError(
                f"there must be at least one boundary and one value more than boundaries, "
                f"got {len(self.boundaries)} boundaries and {len(self.values)} values."
            )
        if list(self.boundaries) != sorted(self.boundaries):
            raise SpecError(f"the boundaries must ascend, got {list(self.boundaries)}.")
        return self


class CosineDecay(Schedule):
    """Half a cosine from the first rate to alpha times it, in decay_steps; with `warmup_target`, after a
    linear rise from initial_learning_rate to warmup_target in warmup_steps."""

    initial_learning_rate: Rate
    decay_steps: Steps
    alpha: Finite = 0.0
    warmup_target: Rate | None = None
    warmup_steps: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class CosineDecayRestarts(Schedule):
    """Cosine periods of first_decay_steps * t_mul^i steps, each starting m_mul^i as high
    (Loshchilov and Hutter 2016)."""

    initial_learning_rate: Rate
    first_decay_steps: Steps
    t_mul: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    m_mul: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    alpha: Finite = 0.0


class WarmupDecay(Schedule):
    """Rises linearly to learning_rate, then falls to end_learning_rate at the last step of the phase: the schedule of
    BERT and of most fine-tuning since, which Keras has no class for.

    warmup: share of the phase's steps, or warmup_steps. decay: "linear", "cosine" (half a cosine) or "constant". Unlike
    Keras's schedules it counts the steps of the phase, not the optimizer's iterations: the length need not be known.
    """

    learning_rate: Rate
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    warmup_steps: Annotated[int, Field(ge=0, strict=True)] | None = None
    decay: Literal["linear", "cosine", "constant"] = "linear"
    end_learning_rate: Rate = 0.0
    initial_learning_rate: Rate = 0.0

    @model_validator(mode="after")
    def _one_warmup(self) -> "WarmupDecay":
        if self.warmup and self.warmup_steps is not None:
            raise SpecError("the warm-up is given twice: as warmup, a share, and as warmup_steps.",
                            hint="Keep one of them.")
        return self


SCHEDULES: Family[Schedule] = Family(
    "learning-rate schedule",
    (
        ExponentialDecay, InverseTimeDecay, PolynomialDecay, PiecewiseConstantDecay, CosineDecay,
        CosineDecayRestarts, WarmupDecay,
    ),
)


def _parse(value: Any) -> Any:
    """A rate stays a rate (YAML reads 1e-3 as text); everything else is a schedule."""
    if isinstance(value, bool) or value is None:
        raise SpecError(f"expected a number or a learning-rate schedule, got {value!r}.")
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, (int, float)):
        if not 0 <= value < math.inf:
            raise SpecError(f"expected a finite number that is not negative, got {value!r}.")
        return float(value)
    if callable(value) and not isinstance(value, (type, Schedule)):
        raise SpecError(
            "a Python function cannot be a learning rate here, because the plan must be data.",
            hint=f"Use a schedule: {', '.join(SCHEDULES.classes)}.",
        )
    return SCHEDULES.parse(value)


LearningRate = Annotated[float | Schedule, BeforeValidator(_parse)]
