"""What all of Keras's optimizers have in common, as data (keras/src/optimizers/base_optimizer.py).

One argument is ours: `exclude_from_weight_decay`, which in Keras is a method of the same name. The order of
a step is Keras's: clip, decoupled weight decay, update, moving average, iterations + 1. With gradient
accumulation every batch is an iteration, and each k-th of them an update from the mean of k gradients.
"""

import re
import warnings
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from harness.errors import SpecError
from harness.spec.configured import Configured
from harness.spec.schedules import LearningRate

Fraction = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Accumulation = Annotated[int, Field(ge=2, strict=True)]


def _patterns(value: Any) -> Any:
    patterns = (value,) if isinstance(value, str) else tuple(value or ())
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, TypeError):
            raise SpecError(
                f"{pattern!r} is not a regular expression.",
                hint="As in Keras, patterns are searched for in the name layer/role: write 'bias', not '*bias'.",
            ) from None
    return patterns


Patterns = Annotated[tuple[str, ...], BeforeValidator(_patterns)]


class Optimizer(Configured):
    """Base of all optimizers: learning rate, decoupled weight decay, clipping, moving average, accumulation.

    use_ema: the moving average of the weights takes their place when a phase ends, and before that every
    ema_overwrite_frequency updates. loss_scale_factor: the gradients are those of the loss times this factor, and
    are divided by it first of all.
    """

    # jit_compile and is_legacy_optimizer stand in the configurations of Keras 2 and change no number.
    ignored: ClassVar[frozenset[str]] = frozenset({"name", "jit_compile", "is_legacy_optimizer"})
    keyword_only: ClassVar[frozenset[str]] = frozenset(
        {"weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "exclude_from_weight_decay", "use_ema",
         "ema_momentum", "ema_overwrite_frequency", "gradient_accumulation_steps", "loss_scale_factor"}
    )

    learning_rate: LearningRate = 0.001
    weight_decay: NotNegative | None = None
    clipnorm: Positive | None = None
    clipvalue: Positive | None = None
    global_clipnorm: Positive | None = None
    use_ema: bool = False
    ema_momentum: Share = 0.99
    ema_overwrite_frequency: Count | None = None
    gradient_accumulation_steps: Accumulation | None = None
    loss_scale_factor: Positive | None = None
    # Keras's rule for `var_names`: regular expressions that are searched for in the variable's name.
    exclude_from_weight_decay: Patterns = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.pop("decay", None) is not None:
            # Keras 3's own behaviour (base_optimizer.py).
            warnings.warn("Argument `decay` is no longer supported and will be ignored.", stacklevel=2)
        super().__init__(*args, **kwargs)

    @model_validator(mode="after")
    def _one_way_of_clipping(self) -> "Optimizer":
        given = [name for name in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(self, name) is not None]
        if len(given) > 1:
            raise SpecError(f"only one of clipnorm, clipvalue and global_clipnorm can be set, got {', '.join(given)}.")
        return self

    def decays(self, name: str) -> bool:
        """Whether weight decay acts on the variable of this canonical name ("layer/role")."""
        if not self.weight_decay:
            return False
        return not any(re.search(pattern, name) for pattern in self.exclude_from_weight_decay)

    def updates(self, iterations: int) -> int:
        """Updates made after so many batches."""
        return iterations // (self.gradient_accumulation_steps or 1)

    def own_slots(self) -> tuple[str, ...]:
        """Canonical names of what this kind of optimizer keeps per variable between steps."""
        return ()

    def slots(self) -> tuple[str, ...]:
        """Canonical names of all that is kept per variable; with the variable's shape where nothing else is said."""
        average = ("average",) if self.use_ema else ()
        return (*self.own_slots(), *average, *(("accumulated_gradient",) if self.gradient_accumulation_steps else ()))
