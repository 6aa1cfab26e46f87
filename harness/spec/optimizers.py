"""Keras's optimizers as data: the signatures and defaults of Keras 3.15.1 (keras/src/optimizers)."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.configured import Family
from harness.spec.optimizer_base import Finite, Fraction, NotNegative, Optimizer, Patterns, Positive, Share
from harness.spec.schedules import LearningRate

__all__ = ["OPTIMIZERS", "Optimizer", "OptimizerArgument"]


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


class Adagrad(Optimizer):
    """Duchi et al. 2011; epsilon stands inside of the square root."""

    initial_accumulator_value: NotNegative = 0.1
    epsilon: NotNegative = 1e-7

    def own_slots(self) -> tuple[str, ...]:
        return ("accumulator",)


class Adadelta(Optimizer):
    """Zeiler 2012: steps by the ratio of two running root mean squares, epsilon inside of both roots."""

    rho: Fraction = 0.95
    epsilon: NotNegative = 1e-7

    def own_slots(self) -> tuple[str, ...]:
        return ("accumulated_grad", "accumulated_delta_var")


class Adamax(Optimizer):
    """Kingma and Ba 2014, section 7: Adam with the largest gradient in place of the root mean square."""

    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: NotNegative = 1e-7

    def own_slots(self) -> tuple[str, ...]:
        return ("m", "u")


class Nadam(Optimizer):
    """Dozat 2016: Adam with Nesterov's momentum, beta_1 warmed up by 1 - 0.96^t / 2."""

    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: NotNegative = 1e-7

    def own_slots(self) -> tuple[str, ...]:
        return ("m", "v")

    def momentum_product(self, updates: int) -> float:
        """The product of the warmed-up beta_1 of all updates so far."""
        product = 1.0
        for step in range(1, updates + 1):
            product *= self.beta_1 * (1.0 - 0.5 * 0.96**step)
            if product == 0.0:
                break
        return product


class Ftrl(Optimizer):
    """McMahan et al. 2013, follow the regularized leader; as in Keras, NaN where the learning rate is 0."""

    learning_rate_power: Annotated[float, Field(le=0, allow_inf_nan=False)] = -0.5
    initial_accumulator_value: NotNegative = 0.1
    l1_regularization_strength: NotNegative = 0.0
    l2_regularization_strength: NotNegative = 0.0
    l2_shrinkage_regularization_strength: NotNegative = 0.0
    beta: Finite = 0.0

    def own_slots(self) -> tuple[str, ...]:
        return ("accumulator", "linear")


class Lion(Optimizer):
    """Chen et al. 2023: steps by the sign of an interpolated momentum."""

    beta_1: Annotated[float, Field(gt=0, le=1)] = 0.9
    beta_2: Share = 0.99

    def own_slots(self) -> tuple[str, ...]:
        return ("momentum",)


class Lamb(Optimizer):
    """You et al. 2019: Adam's step scaled to the norm of each variable."""

    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: NotNegative = 1e-7

    def own_slots(self) -> tuple[str, ...]:
        return ("m", "v")


class Adafactor(Optimizer):
    """Shazeer and Stern 2018. The second moment is kept as its means over the last axis (slot "r") and over the
    one before (slot "c"); variables with less than two axes have neither.

    relative_step changes nothing: Keras takes the smaller of learning_rate and 1 / sqrt(t) either way.
    """

    beta_2_decay: Finite = -0.8
    epsilon_1: NotNegative = 1e-30
    epsilon_2: NotNegative = 1e-3
    clip_threshold: Positive = 1.0
    relative_step: bool = True

    def own_slots(self) -> tuple[str, ...]:
        return ("r", "c", "v")


class Muon(Optimizer):
    """Jordan 2024: orthogonalized momentum for matrices, Adam for all other variables.

    Variables of other than two axes go to Adam, and those whose name "layer/role" holds "embedding" (unless
    exclude_embeddings is off) or fits one of the patterns exclude_layers. Only Adam's have the slot "v".
    """

    keyword_only: ClassVar[frozenset[str]] = Optimizer.keyword_only | {
        "exclude_layers", "exclude_embeddings", "muon_a", "muon_b", "muon_c", "adam_lr_ratio", "momentum", "ns_steps",
        "nesterov", "rms_rate",
    }

    adam_beta_1: Fraction = 0.9
    adam_beta_2: Fraction = 0.999
    adam_weight_decay: NotNegative | None = 0.004
    epsilon: NotNegative = 1e-7
    weight_decay: NotNegative | None = 0.004
    exclude_layers: Patterns = ()
    exclude_embeddings: bool = True
    muon_a: Finite = 3.4445
    muon_b: Finite = -4.7750
    muon_c: Finite = 2.0315
    adam_lr_ratio: NotNegative = 1.0
    momentum: Share = 0.95
    ns_steps: Annotated[int, Field(ge=0)] = 5
    nesterov: bool = True
    rms_rate: NotNegative | None = 0.2

    def uses_adam(self, name: str, axes: int) -> bool:
        """Whether the variable of this canonical name and number of axes goes to Adam."""
        if axes != 2 or (self.exclude_embeddings and "embedding" in name.lower()):
            return True
        return any(re.search(pattern, name) for pattern in self.exclude_layers)

    def decays(self, name: str) -> bool:
        if not self.weight_decay and not self.adam_weight_decay:
            return False
        return not any(re.search(pattern, name) for pattern in self.exclude_from_weight_decay)

    def own_slots(self) -> tuple[str, ...]:
        return ("momentum", "v")


class ScheduleFreeAdamW(Optimizer):
    """Defazio et al. 2024, as Keras 3.15.1 computes it on TensorFlow: the old average is recovered with the
    sequence z of after the update. The slot "z" starts as the variable itself."""

    learning_rate: LearningRate = 0.0025
    beta_1: Annotated[float, Field(gt=0, le=1)] = 0.9
    beta_2: Fraction = 0.999
    epsilon: NotNegative = 1e-8
    warmup_steps: Annotated[int, Field(ge=0)] = 0

    def own_slots(self) -> tuple[str, ...]:
        return ("z", "v")


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


OPTIMIZERS: Family[Optimizer] = Optimizers(
    "optimizer",
    (SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta, Adamax, Nadam, Ftrl, Lion, Lamb, Adafactor, Muon, ScheduleFreeAdamW),
)


def _parse(value: Any) -> Optimizer:
    return OPTIMIZERS.parse(value)


OptimizerArgument = Annotated[Optimizer, BeforeValidator(_parse)]
