"""Keras's rarely used optimizers of 2018 and later, as data (keras/src/optimizers)."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import Field

from harness.spec.optimizer_base import Finite, Fraction, NotNegative, Optimizer, Patterns, Positive, Share
from harness.spec.schedules import LearningRate


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
