"""Keras's optimizers as data: the signatures and defaults of Keras 3.15.1 (keras/src/optimizers).

One argument is ours: `exclude_from_weight_decay`, which in Keras is a method of the same name. The order of
a step is Keras's: clip, decoupled weight decay, update, iterations + 1.
"""

from __future__ import annotations

import re
import warnings
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, field_validator, model_validator

from harness.errors import SpecError
from harness.spec.configured import Configured, Family
from harness.spec.schedules import LearningRate

Fraction = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

# Keras's arguments that would change training and that the harness does not carry, with the value that
# leaves them off (a serialized Keras optimizer names them all).
_REFUSED: dict[str, Any] = {
    "use_ema": False, "gradient_accumulation_steps": None, "loss_scale_factor": None,
}
_COMPANIONS = frozenset({"ema_momentum", "ema_overwrite_frequency"})


class Optimizer(Configured):
    """Base of all optimizers: learning rate, decoupled weight decay and clipping."""

    ignored: ClassVar[frozenset[str]] = frozenset({"name"}) | _COMPANIONS
    keyword_only: ClassVar[frozenset[str]] = frozenset(
        {"weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "exclude_from_weight_decay"}
    )

    learning_rate: LearningRate = 0.001
    weight_decay: NotNegative | None = None
    clipnorm: Positive | None = None
    clipvalue: Positive | None = None
    global_clipnorm: Positive | None = None
    # Keras's rule for `var_names`: regular expressions that are searched for in the variable's name.
    exclude_from_weight_decay: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        for name, off in _REFUSED.items():
            if kwargs.pop(name, off) not in (off, None):
                raise SpecError(
                    f"the argument {name!r} is not supported.",
                    where=type(self).__name__,
                    hint=f"Leave {name!r} out: both frameworks would have to carry it, and only Keras does.",
                )
        if kwargs.pop("decay", None) is not None:
            # Keras 3's own behaviour (base_optimizer.py).
            warnings.warn("Argument `decay` is no longer supported and will be ignored.", stacklevel=2)
        super().__init__(*args, **kwargs)

    @field_validator("exclude_from_weight_decay", mode="before")
    @classmethod
    def _patterns(cls, value: Any) -> Any:
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

    @model_validator(mode="after")
    def _one_way_of_clipping(self) -> Optimizer:
        given = [name for name in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(self, name) is not None]
        if len(given) > 1:
            raise SpecError(f"only one of clipnorm, clipvalue and global_clipnorm can be set, got {', '.join(given)}.")
        return self

    def decays(self, name: str) -> bool:
        """Whether weight decay acts on the variable of this canonical name ("layer/role")."""
        if not self.weight_decay:
            return False
        return not any(re.search(pattern, name) for pattern in self.exclude_from_weight_decay)

    def slots(self) -> tuple[str, ...]:
        """Canonical names of what is kept per variable between steps; each has the variable's shape."""
        return ()


class SGD(Optimizer):
    """v = momentum * v - lr * g; w += v (Nesterov: w += momentum * v - lr * g)."""

    learning_rate: LearningRate = 0.01
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.0
    nesterov: bool = False

    def slots(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()


class Adam(Optimizer):
    """Kingma and Ba 2014, with epsilon outside of the bias correction ("epsilon hat")."""

    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: NotNegative = 1e-7
    amsgrad: bool = False

    def slots(self) -> tuple[str, ...]:
        return ("m", "v", "v_hat") if self.amsgrad else ("m", "v")


def _weight_decay(value: Any) -> Any:
    if value is None:
        raise SpecError("AdamW needs a number; Adam is AdamW without weight decay.")
    return value


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2017)."""

    keyword_only: ClassVar[frozenset[str]] = Optimizer.keyword_only - {"weight_decay"}

    weight_decay: Annotated[NotNegative, BeforeValidator(_weight_decay)] = 0.004


class RMSprop(Optimizer):
    """Tieleman and Hinton 2012; epsilon stands inside of the square root."""

    rho: Fraction = 0.9
    momentum: NotNegative = 0.0
    epsilon: NotNegative = 1e-7
    centered: bool = False

    def slots(self) -> tuple[str, ...]:
        momentum = ("momentum",) if self.momentum else ()
        return ("velocity", *momentum, *(("average_gradient",) if self.centered else ()))


class Adagrad(Optimizer):
    """Duchi et al. 2011; epsilon stands inside of the square root."""

    initial_accumulator_value: NotNegative = 0.1
    epsilon: NotNegative = 1e-7

    def slots(self) -> tuple[str, ...]:
        return ("accumulator",)


OPTIMIZERS: Family[Optimizer] = Family("optimizer", (SGD, Adam, AdamW, RMSprop, Adagrad))


def _parse(value: Any) -> Optimizer:
    return OPTIMIZERS.parse(value)


OptimizerArgument = Annotated[Optimizer, BeforeValidator(_parse)]
