"""One stretch of a training: what is trained from where, with which optimizer, for how long.

harness/spec/recipe.py puts phases in a row and fills in what they leave to the recipe; what a phase makes of the model
and its weights stands in harness/plan/finetune.py.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from harness.errors import SpecError
from harness.spec.configured import Configured
from harness.spec.initializers import INITIALIZERS, Initializer
from harness.spec.lora import LoRA
from harness.spec.optimizers import OPTIMIZERS, Optimizer
from harness.spec.outputs import LossSpec, LossWeights, MetricSpec, parse_loss, parse_metrics

Count = Annotated[int, Field(ge=1, strict=True)]
T = TypeVar("T", bound=Configured)
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


class LayerDecay(Configured):
    """Learning rates that fall from the output towards the input, by `factor` from one group of layers to the next
    (discriminative fine-tuning: Howard and Ruder 2018; the layer-wise decay of ELECTRA and BEiT).

    order: patterns (fnmatch) for layer names, from the input to the output: the last group's rate is multiplied by
    factor, the one before by factor^2, and so on; layers in no group (the head) keep theirs, and of several groups that
    a layer fits the first counts. "depth": every layer with weights is a group of its own, factor^n with n such layers
    on the longest way from it to an output.
    """

    factor: Annotated[float, Field(gt=0, le=1)]
    order: Annotated[Literal["depth"] | tuple[str, ...], BeforeValidator(lambda value: value if value == "depth"
                                                                         else _as_patterns(value))] = "depth"

    @classmethod
    def parse(cls, value: Any) -> "LayerDecay":
        return _read(cls, value, "{factor: 0.9, order: [embedding, block_1*, block_2*]}")

    def to_data(self) -> Any:
        return self.config()


def _parse_rows(value: Any) -> Any:
    return value if value in ("mean", "initializer") else INITIALIZERS.parse(value)


class Resize(Configured):
    """An Embedding with another number of rows: the old ones stay, new ones come behind them.

    new_rows: "mean" (the mean of the old ones), "initializer" (drawn as the layer's own), or an initializer.
    """

    input_dim: Count
    new_rows: Annotated[Literal["mean", "initializer"] | Initializer, BeforeValidator(_parse_rows)] = "mean"

    @classmethod
    def parse(cls, value: Any) -> "Resize":
        return _read(cls, value, "{input_dim: 30524, new_rows: mean}")

    def to_data(self) -> Any:
        return self.config()


def _read(cls: type[T], value: Any, example: str) -> T:
    """An instance as it is, a mapping of the arguments read."""
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise SpecError(f"cannot read {value!r} as {cls.__name__}.", hint=f"Write {example}.")
    return cls(**{str(key): item for key, item in value.items()})


EarlyStoppingArgument = Annotated[EarlyStopping | None, BeforeValidator(_parse_early_stopping)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(_as_patterns)]
Sizes = dict[str, Annotated[Resize, BeforeValidator(Resize.parse)]]


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

    lora: adapters for some layers; everything else is frozen but what this phase replaces or unfreezes. They stay until
    merge_lora: true of a later phase, which begins by adding them to the weights that they stand beside.
    unfreeze_schedule: {epoch: patterns}, epochs counted from 0: layers that train from that epoch on. The phase becomes
    one phase for each stretch, with one optimizer (see `stages`). layer_decay: multiplies the learning rates of this
    phase by group, beside learning_rate_multipliers. resize: {Embedding: {input_dim: rows}}.
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
    lora: Annotated[LoRA | None, _optional(LoRA.parse)] = None
    merge_lora: bool = False
    unfreeze_schedule: dict[Annotated[int, Field(ge=0)], Patterns] = Field(default_factory=dict)
    layer_decay: Annotated[LayerDecay | None, _optional(LayerDecay.parse)] = None
    resize: Sizes = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_fine_tuning(self) -> "Phase":
        if self.unfreeze_schedule and self.steps is not None:
            raise SpecError("unfreeze_schedule counts epochs: it does not go with steps.", hint="Give epochs alone.")
        late = [epoch for epoch in self.unfreeze_schedule if epoch >= self.epochs]
        if late:
            raise SpecError(f"unfreeze_schedule: there is no epoch {late[0]} in a phase of {self.epochs}; they are "
                            "counted from 0.")
        both = sorted(set(self.replace) & set(self.resize))
        if both:
            raise SpecError(f"the layer {both[0]!r} is both replaced and resized.", hint="Choose one of them.")
        return self

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

    merges: the adapters that merge_lora merges. of_epochs, epochs_before: of the phase that a stage is a part of, its
    epochs, and those before this stage; None, 0 for a phase in one piece. pretraining: played by the backend that the
    recipe's pretrained_in names alone.
    """

    continues_optimizer: bool = False
    merges: LoRA | None = None
    of_epochs: int | None = None
    epochs_before: int = 0
    pretraining: bool = False


def stages(phase: Phase) -> list[tuple[Phase, int]]:
    """(stretch, epochs before it) of a phase with an unfreeze_schedule; the phase itself without one.

    All stretches are phases with one optimizer, which goes on: what begins to train late begins with fresh slots and
    with the iteration count as it stands, as in Keras, whose count is one for all variables. The last stretch has the
    phase's name, those before it "<name>.epoch_<first epoch>".
    """
    if not phase.unfreeze_schedule:
        return [(phase, 0)]
    begins = sorted({0, *phase.unfreeze_schedule})
    found = []
    for begin, end in zip(begins, [*begins[1:], phase.epochs], strict=True):
        given = {key: getattr(phase, key) for key in Phase.model_fields}
        given |= {"epochs": end - begin, "unfreeze_schedule": {}}
        if end < phase.epochs:
            given["name"] = f"{phase.name}.epoch_{begin}"
        if begin:
            given |= {"optimizer": None, "start_from": "previous", "freeze": (), "unfreeze": (), "replace": {},
                      "resize": {}, "lora": None, "merge_lora": False}
        given["unfreeze"] = (*given["unfreeze"], *phase.unfreeze_schedule.get(begin, ()))
        found.append((Phase(**given), begin))
    return found
