"""Keras's optimizers as data: the signatures and defaults of Keras 3.15.1 (keras/src/optimizers); the table, and those
that most recipes need."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.configured import Family
from harness.spec.optimizer_base import Fraction, NotNegative, Optimizer
from harness.spec.schedules import LearningRate

if TYPE_CHECKING:
    from harness.spec.classic_optimizers import Adadelta, Adagrad, Adamax, Ftrl, Nadam
    from harness.spec.recent_optimizers import Adafactor, Lamb, Lion, Muon, ScheduleFreeAdamW

__all__ = [
    "OPTIMIZERS", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion", "Muon",
    "Nadam", "Optimizer", "OptimizerArgument", "RMSprop", "ScheduleFreeAdamW", "loss_scaled",
]


class SGD(Optimizer):
    """v = momentum * v - lr * g; w += v (Nesterov: w += momentum * v - lr * g)."""

    learning_rate: LearningRate = 0.01
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.0
    nesterov: bool = False

    def own_slots(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()


class Adam(Optimizer):
    """Kingma and Ba 2014, with epsilon outside of the bias correction ("epsilon hat")."""

    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: NotNegative = 1e-7
    amsgrad: bool = False

    def own_slots(self) -> tuple[str, ...]:
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

    def own_slots(self) -> tuple[str, ...]:
        momentum = ("momentum",) if self.momentum else ()
        return ("velocity", *momentum, *(("average_gradient",) if self.centered else ()))


# Keras's wrappers of optimizers that no single optimizer stands for, and the way out.
_WRAPPERS = {
    "MultiOptimizer": "Use one optimizer, with learning_rate_multipliers for layers that learn at another rate.",
    "OptimizerMap": "Use one optimizer, with learning_rate_multipliers for layers that learn at another rate.",
}


class Optimizers(Family[Optimizer]):
    """The table of optimizers, and the reader of Keras's LossScaleOptimizer: its inner optimizer.

    Dynamic loss scaling keeps the gradients of half precision from vanishing. In float32 and float64, all that the
    harness trains in, a scale of a power of two leaves every number as it is.
    """

    def _build(self, name: object, arguments: Any) -> Optimizer:
        kind = str(name).lower().replace("_", "")
        if kind == "lossscaleoptimizer":
            return loss_scaled(**{str(key): item for key, item in dict(arguments or {}).items()})
        for wrapper, hint in _WRAPPERS.items():
            if kind == wrapper.lower():
                raise SpecError(f"{wrapper} is not supported: its optimizers have a learning rate each.", hint=hint)
        return super()._build(name, arguments)


def loss_scaled(
    inner_optimizer: Any = None, initial_scale: float = 2.0**15, dynamic_growth_steps: int = 2000,
    name: str | None = None, **inherited: Any,
) -> Optimizer:
    """Keras's LossScaleOptimizer(inner_optimizer, ...) as the optimizer that it is here. `inherited`: the arguments
    of the base class that older configurations hold, all of them off."""
    off = {"use_ema": False, "ema_momentum": 0.99, "dynamic": True, "learning_rate": 0.0}
    for argument, value in inherited.items():
        if value not in (None, off.get(argument)):
            raise SpecError(f"LossScaleOptimizer has no argument {argument}={value!r}.",
                            hint="Give it to the inner optimizer.")
    if inner_optimizer is None:
        raise SpecError("LossScaleOptimizer needs an inner_optimizer.")
    return OPTIMIZERS.parse(inner_optimizer)


# Module -> its optimizers: imported when one of them is first asked for.
LATER = {
    "harness.spec.classic_optimizers": ("Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl"),
    "harness.spec.recent_optimizers": ("Lion", "Lamb", "Adafactor", "Muon", "ScheduleFreeAdamW"),
}
OPTIMIZERS: Family[Optimizer] = Optimizers(
    "optimizer",
    (SGD, Adam, AdamW, RMSprop),
    later=LATER,
)


def _parse(value: Any) -> Optimizer:
    return OPTIMIZERS.parse(value)


OptimizerArgument = Annotated[Optimizer, BeforeValidator(_parse)]

if not TYPE_CHECKING:  # a type checker sees the imports above

    def __getattr__(name):
        return OPTIMIZERS.attribute(name, __name__)
