"""How to train: loss, optimizer, schedule, batches, epochs, metrics, early stopping, fine-tuning phases.

A Recipe holds what a plain `fit` needs and the defaults of its phases. A Phase is one stretch of training:
`pretrain`, then any number of fine-tuning phases. `Recipe.resolved_phases()` is what a plan is made from.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from harness.errors import SpecError
from harness.spec.configured import Configured
from harness.spec.optimizers import OPTIMIZERS, Adam, Optimizer, OptimizerArgument
from harness.spec.outputs import (
    LossArgument,
    LossSpec,
    LossWeights,
    MetricsArgument,
    MetricSpec,
    loss_weights_by_output,
    losses_by_output,
    metrics_by_output,
    parse_loss,
    parse_metrics,
)

__all__ = [
    "EarlyStopping", "LossSpec", "LossWeights", "MetricSpec", "Phase", "Recipe", "ResolvedPhase",
    "check_metrics", "loss_weights_by_output", "losses_by_output", "metrics_by_output",
]

Count = Annotated[int, Field(ge=1, strict=True)]
Weights = Annotated[float, Field(allow_inf_nan=False)]


class EarlyStopping(Configured):
    """keras.callbacks.EarlyStopping: training ends when `monitor` has not improved for `patience` epochs.

    `monitor` is a key of the epoch's log: "loss", "val_loss", "val_accuracy"...
    """

    ignored: ClassVar[frozenset[str]] = frozenset({"verbose"})

    monitor: str = "val_loss"
    min_delta: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    patience: Annotated[int, Field(ge=0)] = 0
    mode: Literal["auto", "min", "max"] = "auto"
    baseline: float | None = None
    restore_best_weights: bool = False
    start_from_epoch: Annotated[int, Field(ge=0)] = 0

    @classmethod
    def parse(cls, value: Any) -> "EarlyStopping":
        """Reads an instance, {arguments}, {"EarlyStopping": {arguments}} or "EarlyStopping"."""
        if isinstance(value, cls):
            return value
        if value in ("EarlyStopping", "early_stopping"):
            return cls()
        if isinstance(value, Mapping):
            arguments = value["EarlyStopping"] if set(value) == {"EarlyStopping"} else value
            if isinstance(arguments, Mapping):
                return cls(**{str(key): item for key, item in arguments.items()})
        raise SpecError(f"cannot read {value!r} as early stopping.", hint="Write {monitor: val_loss, patience: 3}.")

    def to_data(self) -> Any:
        return self.config()


def _parse_early_stopping(value: Any) -> EarlyStopping | None:
    return None if value is None or value is False else EarlyStopping.parse(value)


def _as_patterns(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


EarlyStoppingArgument = Annotated[EarlyStopping | None, BeforeValidator(_parse_early_stopping)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(_as_patterns)]


def _optional(parse: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else parse(value))


class Phase(Configured):
    """One stretch of training. What is None here is the recipe's.

    optimizer: None goes on with the phase before, its slots and iteration count included, as Keras's second
    `fit` does; a given one starts fresh. freeze, unfreeze: patterns (fnmatch) for layer names; a layer stays
    frozen in later phases until it is unfrozen. learning_rate_multipliers: {pattern for layer names or
    "layer/role": factor}, this phase only; the first pattern that fits counts. replace: {layer name: the layer
    in its place, or null for the same layer with new initial weights}. start_from: the phase before, the
    checkpoint that the named framework left after it, or a path to a canonical safetensors checkpoint.
    steps: ends the phase after so many steps, whatever `epochs` says.
    """

    name: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9_.-]+$")]
    epochs: Count = 1
    steps: Count | None = None
    optimizer: Annotated[Optimizer | None, _optional(OPTIMIZERS.parse)] = None
    loss: Annotated[LossSpec | None, _optional(parse_loss)] = None
    loss_weights: LossWeights | None = None
    metrics: Annotated[MetricSpec | None, _optional(parse_metrics)] = None
    weighted_metrics: Annotated[MetricSpec | None, _optional(parse_metrics)] = None
    batch_size: Count | None = None
    shuffle: bool | None = None
    drop_last: bool | None = None
    class_weight: dict[int, Weights] | None = None
    early_stopping: EarlyStoppingArgument = None
    keep_best: str | None = None
    freeze: Patterns = ()
    unfreeze: Patterns = ()
    learning_rate_multipliers: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    split: Literal["train", "validation"] = "train"
    data: Any = None
    replace: dict[str, Any] = Field(default_factory=dict)
    start_from: Annotated[str, Field(min_length=1)] = "previous"

    @classmethod
    def parse(cls, value: Any) -> "Phase":
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise SpecError(f"cannot read {value!r} as a phase.", hint="Write {name: finetune, epochs: 5}.")
        return cls(**{str(key): item for key, item in value.items()})

    def to_data(self) -> Any:
        return self.config()


class ResolvedPhase(Phase):
    """A phase in which nothing is left to the recipe.

    optimizer: the one in force. continues_optimizer: whether its slots and iteration count are those that the
    phase before left. loss, metrics, batch_size, shuffle and drop_last are never None.
    """

    continues_optimizer: bool = False


def check_metrics(phase: Phase, outputs: Sequence[str]) -> None:
    """Raises SpecError where the metrics, weighted or not, do not fit these outputs."""
    metrics_by_output(phase.metrics or (), outputs)
    metrics_by_output(phase.weighted_metrics or (), outputs, "weighted_metrics")


def _parse_phases(value: Any) -> Any:
    if value is None:
        return ()
    if isinstance(value, (Mapping, str)) or not isinstance(value, Sequence):
        raise SpecError(f"expected a list of phases, got {value!r}.", hint="Write [{name: pretrain, epochs: 5}].")
    phases = []
    for index, item in enumerate(value):
        try:
            phases.append(Phase.parse(item))
        except SpecError as error:
            raise error.at(f"phases[{index}]") from None
    return tuple(phases)


class Recipe(Configured):
    """How to train. `epochs` counts if there are no `phases`: then there is one, named "pretrain".

    loss: one, or one per output (a list in the outputs' order, or {output name: loss}). metrics: one list, or
    one per output likewise; weighted_metrics: those in which sample and class weights count. shuffle: the order is
    drawn anew for every epoch. drop_last: leaves out an epoch's last batch if it is not full. class_weight: {class:
    factor of its examples' losses}. keep_best: the weights of the epoch in which this entry of the log was best are
    the phase's result.
    """

    loss: LossArgument
    optimizer: OptimizerArgument = Field(default_factory=Adam)
    metrics: MetricsArgument = ()
    weighted_metrics: MetricsArgument = ()
    loss_weights: LossWeights | None = None
    batch_size: Count = 32
    epochs: Count = 1
    shuffle: bool = True
    drop_last: bool = False
    class_weight: dict[int, Weights] | None = None
    early_stopping: EarlyStoppingArgument = None
    keep_best: str | None = None
    phases: Annotated[tuple[Phase, ...], BeforeValidator(_parse_phases)] = ()

    @classmethod
    def parse(cls, value: Any) -> "Recipe":
        """Reads an instance or a mapping of the arguments."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise SpecError(f"cannot read {value!r} as a recipe.", hint="Write {loss: mse, epochs: 5}.")
        return cls(**{str(key): item for key, item in value.items()})

    @field_validator("phases")
    @classmethod
    def _names_differ(cls, phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
        names = [phase.name for phase in phases]
        for name in names:
            if names.count(name) > 1:
                raise SpecError(f"two phases are named {name!r}.", hint="A phase's name must be its own.")
        return phases

    @model_validator(mode="after")
    def _first_phase_has_nothing_before_it(self) -> "Recipe":
        if self.phases and self.phases[0].start_from in ("tensorflow", "pytorch"):
            raise SpecError(
                f"the first phase cannot start from {self.phases[0].start_from!r}: nothing was trained before it."
            )
        return self

    def to_data(self) -> dict[str, Any]:
        """Canonical plain data: what differs from the defaults, in the order of the fields."""
        return self.config()

    def resolved_phases(self) -> tuple[ResolvedPhase, ...]:
        """The phases with everything that they leave to the recipe filled in."""
        resolved: list[ResolvedPhase] = []
        optimizer = self.optimizer
        for index, phase in enumerate(self.phases or (Phase(name="pretrain", epochs=self.epochs),)):
            given = {key: getattr(phase, key) for key in Phase.model_fields}
            for key in _FROM_RECIPE:
                if given[key] is None:
                    given[key] = getattr(self, key)
            # A checkpoint of elsewhere brings no slots; those of this run's own phases do.
            goes_on = phase.optimizer is None and phase.start_from in ("previous", "tensorflow", "pytorch")
            optimizer = phase.optimizer or optimizer
            given["optimizer"] = optimizer
            resolved.append(ResolvedPhase(**given, continues_optimizer=goes_on and index > 0))
        return tuple(resolved)


_FROM_RECIPE = (
    "loss", "loss_weights", "metrics", "weighted_metrics", "batch_size", "shuffle", "drop_last", "class_weight",
    "early_stopping", "keep_best",
)
