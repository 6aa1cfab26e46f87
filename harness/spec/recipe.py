"""How to train: loss, optimizer, schedule, batches, epochs, metrics, early stopping, fine-tuning phases.

A Recipe holds what a plain `fit` needs and the defaults of its phases. A Phase is one stretch of training:
`pretrain`, then any number of fine-tuning phases. `Recipe.resolved_phases()` is what a plan is made from.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from harness.errors import SpecError
from harness.spec.configured import Configured
from harness.spec.deep_q import DeepQLearning
from harness.spec.optimizers import Adam, OptimizerArgument
from harness.spec.outputs import (
    LossArgument,
    LossSpec,
    LossWeights,
    MetricsArgument,
    MetricSpec,
    loss_weights_by_output,
    losses_by_output,
    metrics_by_output,
)
from harness.spec.phase import Count, EarlyStopping, EarlyStoppingArgument, Phase, ResolvedPhase, Weights, stages

__all__ = [
    "EarlyStopping", "LossSpec", "LossWeights", "MetricSpec", "Phase", "Recipe", "ResolvedPhase",
    "check_metrics", "loss_weights_by_output", "losses_by_output", "metrics_by_output",
]

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
    the phase's result. pretrained_in: the first phase is played in this backend alone; in both, the second one begins
    with the checkpoint that it left. (As an axis of a matrix: pretrained in A, fine-tuned in B, for all pairs.)
    weights: what the model begins with in place of drawn weights: "hf:<folder, package:NAME/folder or hub name>" of
    weights that another program saved (docs/pretrained.md), a canonical .safetensors, a .keras or legacy .h5 file. new:
    layers that these need not have, whose weights are drawn. deep_q_learning: the data is a game, which the model
    plays and learns from (spec/deep_q.py).
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
    pretrained_in: Literal["tensorflow", "pytorch"] | None = None
    weights: str | None = None
    new: Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)] = ()
    deep_q_learning: Annotated[DeepQLearning | None, BeforeValidator(DeepQLearning.parse)] = None

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

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("hf:") and not value.endswith((".safetensors", ".keras", ".h5")):
            raise SpecError(f"weights is hf:FOLDER, or a .safetensors, .keras or .h5 file, got {value!r}.",
                            hint="A pickle (.bin, .pt) runs code when it is opened: save it as safetensors.")
        return value

    @model_validator(mode="after")
    def _first_phase_has_nothing_before_it(self) -> "Recipe":
        if self.phases and self.phases[0].start_from in ("tensorflow", "pytorch"):
            raise SpecError(
                f"the first phase cannot start from {self.phases[0].start_from!r}: nothing was trained before it."
            )
        if self.new and self.weights is None:
            raise SpecError("new names layers that `weights` need not have, and there is no weights.")
        if self.pretrained_in is not None and (len(self.phases) < 2 or self.phases[1].start_from != "previous"):
            raise SpecError(
                "pretrained_in needs a second phase, which starts from the first.",
                hint="Write phases: [{name: pretrain, ...}, {name: finetune, ...}], without start_from.",
            )
        return self

    def to_data(self) -> dict[str, Any]:
        """Canonical plain data: what differs from the defaults, in the order of the fields."""
        return self.config()

    def resolved_phases(self) -> tuple[ResolvedPhase, ...]:
        """The phases with everything that they leave to the recipe filled in, one for each stretch of an
        unfreeze_schedule. Raises SpecError where they do not follow on each other."""
        resolved: list[ResolvedPhase] = []
        optimizer, adapters = self.optimizer, None
        for index, phase in enumerate(self.phases or (Phase(name="pretrain", epochs=self.epochs),)):
            merges = adapters if phase.merge_lora else None
            if phase.merge_lora and adapters is None:
                raise SpecError("merge_lora: no phase before this one has lora.", where=f"phase {phase.name!r}")
            adapters = phase.lora or (None if phase.merge_lora else adapters)
            for stage, before in stages(phase):
                given = self._filled(stage)
                if index == 1 and not before and self.pretrained_in is not None:
                    given["start_from"] = self.pretrained_in
                # A checkpoint of elsewhere brings no slots; those of this run's own phases do.
                goes_on = stage.optimizer is None and given["start_from"] in ("previous", "tensorflow", "pytorch")
                optimizer = stage.optimizer or optimizer
                resolved.append(ResolvedPhase(**given | {
                    "optimizer": optimizer, "continues_optimizer": goes_on and bool(resolved),
                    "merges": None if before else merges,
                    "of_epochs": phase.epochs if phase.unfreeze_schedule else None, "epochs_before": before,
                    "pretraining": index == 0 and self.pretrained_in is not None,
                }))
                if phase.unfreeze_schedule:
                    _check_stage(resolved[-1], phase.name)
        return tuple(resolved)

    def _filled(self, phase: Phase) -> dict[str, Any]:
        given = {key: getattr(phase, key) for key in Phase.model_fields}
        return given | {key: getattr(self, key) for key in _FROM_RECIPE if given[key] is None}


def _check_stage(stage: ResolvedPhase, name: str) -> None:
    """What looks back over epochs cannot look over the end of a stretch."""
    for key in ("early_stopping", "keep_best"):
        if getattr(stage, key) is not None:
            raise SpecError(f"unfreeze_schedule does not go with {key}: each of its stretches is a phase of its own.",
                            where=f"phase {name!r}", hint="Write a phase after it, with early stopping.")


_FROM_RECIPE = (
    "loss", "loss_weights", "metrics", "weighted_metrics", "batch_size", "shuffle", "drop_last", "class_weight",
    "early_stopping", "keep_best",
)
