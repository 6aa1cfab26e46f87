"""Faults around PyTorch's optimizers: gradients, clipping, averages of weights, constraints, the learning rate."""

from __future__ import annotations

from typing import Any

from tests.faults.mutant import BACKWARD, LOSS, UPDATE, Expected, Mutant
from tests.faults.patching import wrap
from tests.faults.pytorch_optimizers import RATE, updates


def clip(globally: bool) -> None:
    """By the norm of all gradients in place of each one's, or the other way round."""
    import torch

    from harness.backends.pytorch.optimizers.base import Optimizer

    def _clip(self: Any, present: list[int], gradients: list[Any]) -> None:
        limit = self.spec.clipnorm or self.spec.global_clipnorm
        norms = torch.stack([gradient.norm() for gradient in gradients])
        norms = norms.norm().expand(len(gradients)) if globally else norms
        for gradient, norm in zip(gradients, norms, strict=True):
            gradient.mul_(limit / norm.clamp_min(limit))

    wrap(Optimizer, "_clip", lambda original: _clip)


def average_before_update() -> None:
    from harness.backends.pytorch.optimizers.base import Optimizer
    from harness.backends.pytorch.optimizers.native import Adam

    average = Optimizer._average

    def make(original: Any) -> Any:
        def _update(self: Any, present: list[int], gradients: list[Any], learning_rate: float) -> None:
            average(self)
            original(self, present, gradients, learning_rate)

        return _update

    wrap(Adam, "_update", make)
    wrap(Optimizer, "_average", lambda original: lambda self: None)


def update_removed(name: str) -> None:
    """One variable's update is lost, as compilers have lost it."""
    from harness.backends.pytorch.optimizers.native import Adam

    def make(original: Any) -> Any:
        def _update(self: Any, present: list[int], gradients: list[Any], learning_rate: float) -> None:
            lost = next(self.parameters[index] for index in present
                        if self.variables[self._owners[index]].name == name)
            before = lost.clone()
            original(self, present, gradients, learning_rate)
            lost.copy_(before)

        return _update

    wrap(Adam, "_update", make)


def stale_gradients() -> None:
    from harness.backends.pytorch.optimizers.base import Optimizer

    wrap(Optimizer, "zero_grad", lambda original: lambda self: None)


def accumulated_sum() -> None:
    """The update takes the sum of the batches' gradients, not their mean."""
    from harness.backends.pytorch.optimizers.base import Optimizer

    def make(original: Any) -> Any:
        def _accumulate(self: Any, present: list[int], gradients: list[Any]) -> bool:
            due: bool = original(self, present, gradients)
            for gradient in gradients if due else []:
                gradient.mul_(float(self._accumulates))
            return due

        return _accumulate

    wrap(Optimizer, "_accumulate", make)


def gradient_times_batch() -> None:
    from harness.backends.pytorch.optimizers.base import Optimizer

    wrap(Optimizer, "scaled", lambda original: lambda self, loss: 8.0 * original(self, loss))


def multipliers_ignored() -> None:
    from harness.backends.pytorch.optimizers.base import Optimizer

    def make(original: Any) -> Any:
        def _prepare(self: Any) -> None:
            self.multipliers = [1.0] * len(self.multipliers)
            original(self)

        return _prepare

    from harness.backends.pytorch.optimizers.native import Adam

    wrap(Adam, "_prepare", make)
    assert Optimizer in Adam.__mro__


def constraint_ignored() -> None:
    from harness.backends.pytorch.optimizers.base import Optimizer

    wrap(Optimizer, "_constrain", lambda original: lambda self, present: None)


def late_rate() -> None:
    """Each step has the learning rate of the step before."""
    from harness.backends.pytorch.optimizers.base import Optimizer

    def make(original: Any) -> Any:
        def step(self: Any, learning_rate: float) -> None:
            rates = vars(self).setdefault("rates_of_steps", {})
            rates[self.iterations] = learning_rate
            original(self, rates.get(self.iterations - 1, learning_rate))

        return step

    wrap(Optimizer, "step", make)


MUTANTS = (
    Mutant("clipped globally", "sgd", "pytorch", clip, updates("clip"), (True,)),
    Mutant("clipped by variable", "adamw", "pytorch", clip, updates("clip"), (False,)),
    Mutant("average before the update", "adamw", "pytorch", average_before_update, updates("ema|average")),
    Mutant("update removed for one variable", "mlp", "pytorch", update_removed,
           Expected(UPDATE, "third", "third/kernel"), ("third/kernel",)),
    Mutant("stale gradients", "mlp", "pytorch", stale_gradients,
           Expected((*BACKWARD, *UPDATE, *LOSS), says="gradient")),
    Mutant("accumulated gradients summed", "gru", "pytorch", accumulated_sum, updates("accumul")),
    Mutant("gradient times the batch size", "cnn", "pytorch", gradient_times_batch,
           Expected(("loss", *BACKWARD, *UPDATE))),
    Mutant("multipliers ignored", "finetune", "pytorch", multipliers_ignored, updates("multiplier", "block")),
    Mutant("constraint ignored", "sgd", "pytorch", constraint_ignored, updates("constraint|kernel", "shared")),
    Mutant("schedule a step late", "adamw", "pytorch", late_rate, Expected((*UPDATE, "schedule"), says=RATE)),
)
