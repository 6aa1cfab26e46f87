"""Optimizers whose update is Keras's formula, element by element, in torch's for-each kernels: torch.optim has no
such optimizer, or one that means something else (semantics.md 9)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from harness.backends.pytorch.optimizers.base import Optimizer

DECAY = float(np.float32(0.96))  # Nadam's, which Keras rounds in float64 runs as well


class ForEach(Optimizer):
    """Base: one tensor per slot and parameter, in the parameter's layout."""

    def _prepare(self) -> None:
        self.states = {
            slot: [torch.zeros_like(parameter) for parameter in self.parameters] for slot in self.spec.own_slots()
        }

    def _present(self, present: list[int]) -> tuple[list[Tensor], dict[str, list[Tensor]]]:
        """(the parameters, {slot: its tensors}) of those that have a gradient."""
        states = {name: [kept[index] for index in present] for name, kept in self.states.items()}
        return [self.parameters[index] for index in present], states

    def _complement(self, beta: float) -> float:
        """1 - beta where Keras subtracts tensors: in float32 runs the difference of rounded numbers."""
        return self.rounded(1.0 - self.rounded(beta))

    def _slots(self) -> dict[str, list[Tensor]]:
        return self.states


class RMSprop(ForEach):
    """Keras's formula in for-each kernels: torch.optim.RMSprop has epsilon outside of the square root and the
    learning rate outside of the momentum."""

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        rho = self.spec.rho
        parameters, states = self._present(present)
        torch._foreach_mul_(states["velocity"], rho)
        torch._foreach_addcmul_(states["velocity"], gradients, gradients, value=1 - rho)
        if self.spec.centered:
            mean = states["average_gradient"]
            torch._foreach_mul_(mean, rho)
            torch._foreach_add_(mean, gradients, alpha=1 - rho)
            denominator = torch._foreach_addcmul(states["velocity"], mean, mean, value=-1.0)
            torch._foreach_add_(denominator, self.spec.epsilon)
        else:
            denominator = torch._foreach_add(states["velocity"], self.spec.epsilon)
        torch._foreach_sqrt_(denominator)
        increment = torch._foreach_mul(gradients, self._rates(present, learning_rate))
        torch._foreach_div_(increment, denominator)
        if self.spec.momentum:
            torch._foreach_mul_(states["momentum"], self.spec.momentum)
            torch._foreach_add_(states["momentum"], increment)
        torch._foreach_sub_(parameters, states["momentum"] if self.spec.momentum else increment)


class Adamax(ForEach):
    """u = max(beta_2 u, |g|); w -= lr m / ((1 - beta_1^t) (u + epsilon)); torch's has epsilon inside of the max."""

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        parameters, states = self._present(present)
        torch._foreach_lerp_(states["m"], gradients, 1 - self.spec.beta_1)
        torch._foreach_mul_(states["u"], self.spec.beta_2)
        torch._foreach_maximum_(states["u"], torch._foreach_abs(gradients))
        correction = 1 - self.rounded(self.spec.beta_1) ** (self.updates + 1)
        increment = torch._foreach_mul(states["m"], self._rates(present, learning_rate))
        denominator = torch._foreach_add(states["u"], self.spec.epsilon)
        torch._foreach_mul_(denominator, correction)
        torch._foreach_div_(increment, denominator)
        torch._foreach_sub_(parameters, increment)


class Nadam(ForEach):
    """Keras's schedule of the momentum; torch's NAdam takes 0.96 to another power, and keeps it exact."""

    def _prepare(self) -> None:
        super()._prepare()
        self.product = 1.0

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        parameters, states = self._present(present)
        step, beta_1, beta_2 = self.updates + 1, self.rounded(self.spec.beta_1), self.rounded(self.spec.beta_2)
        self.product *= self.spec.beta_1 * (1.0 - 0.5 * 0.96**step)
        now, following = (beta_1 * (1.0 - 0.5 * DECAY**power) for power in (step, step + 1))
        torch._foreach_lerp_(states["m"], gradients, self._complement(self.spec.beta_1))
        torch._foreach_mul_(states["v"], beta_2)
        torch._foreach_addcmul_(states["v"], gradients, gradients, value=self._complement(self.spec.beta_2))
        increment = torch._foreach_mul(states["m"], following / (1.0 - self.product * following))
        torch._foreach_add_(increment, gradients, alpha=(1.0 - now) / (1.0 - self.product))
        torch._foreach_mul_(increment, self._rates(present, learning_rate))
        denominator = torch._foreach_div(states["v"], 1.0 - beta_2**step)
        torch._foreach_sqrt_(denominator)
        torch._foreach_add_(denominator, self.spec.epsilon)
        torch._foreach_div_(increment, denominator)
        torch._foreach_sub_(parameters, increment)

    def load(self, slots: Mapping[str, Mapping[str, np.ndarray]], iterations: int) -> None:
        super().load(slots, iterations)
        self.product = self.spec.momentum_product(self.updates)


class Ftrl(ForEach):
    """Keras's formula; torch has none. A learning rate of 0 is a division by 0, in Keras too."""

    def _prepare(self) -> None:
        super()._prepare()
        for accumulator in self.states["accumulator"]:
            accumulator.fill_(self.rounded(self.spec.initial_accumulator_value))

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        parameters, states = self._present(present)
        rates, power = self._rates(present, learning_rate), -self.spec.learning_rate_power
        linear, sums = states["linear"], states["accumulator"]
        before = torch._foreach_pow(sums, power)
        torch._foreach_addcmul_(sums, gradients, gradients)
        after = torch._foreach_pow(sums, power)
        pull = torch._foreach_sub(after, before)
        torch._foreach_div_(pull, rates)
        torch._foreach_mul_(pull, parameters)
        torch._foreach_add_(linear, gradients)
        if self.spec.l2_shrinkage_regularization_strength:
            torch._foreach_add_(linear, parameters, alpha=2 * self.spec.l2_shrinkage_regularization_strength)
        torch._foreach_sub_(linear, pull)
        l1, l2 = self.spec.l1_regularization_strength, self.spec.l2_regularization_strength
        torch._foreach_div_(after, rates)
        torch._foreach_add_(after, [2 * l2 + self.spec.beta / rate if rate else float("nan") for rate in rates])
        clipped = torch._foreach_clamp_max(torch._foreach_clamp_min(linear, -l1), l1)
        torch._foreach_sub_(clipped, linear)
        torch._foreach_div_(clipped, after)
        torch._foreach_copy_(parameters, clipped)


class Lion(ForEach):
    """w -= lr sign(beta_1 m + (1 - beta_1) g); then the momentum."""

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        parameters, states = self._present(present)
        increment = torch._foreach_mul(states["momentum"], self.rounded(self.spec.beta_1))
        torch._foreach_add_(increment, gradients, alpha=self._complement(self.spec.beta_1))
        torch._foreach_sign_(increment)
        torch._foreach_mul_(increment, self._rates(present, learning_rate))
        torch._foreach_sub_(parameters, increment)
        torch._foreach_mul_(states["momentum"], self.rounded(self.spec.beta_2))
        torch._foreach_add_(states["momentum"], gradients, alpha=self._complement(self.spec.beta_2))


class Lamb(ForEach):
    """Adam's step, times the norm of the variable over the step's: of the Keras variable, that is."""

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        parameters, states = self._present(present)
        step = self.updates + 1
        torch._foreach_lerp_(states["m"], gradients, 1 - self.spec.beta_1)
        torch._foreach_mul_(states["v"], self.spec.beta_2)
        torch._foreach_addcmul_(states["v"], gradients, gradients, value=1 - self.spec.beta_2)
        denominator = torch._foreach_div(states["v"], 1.0 - self.rounded(self.spec.beta_2) ** step)
        torch._foreach_sqrt_(denominator)
        torch._foreach_add_(denominator, self.spec.epsilon)
        increment = torch._foreach_div(states["m"], 1.0 - self.rounded(self.spec.beta_1) ** step)
        torch._foreach_div_(increment, denominator)
        of_weights, owners = self._norms(present, parameters)
        of_steps, _ = self._norms(present, list(increment))
        ratios = torch.where((of_weights > 0) & (of_steps > 0), of_weights / of_steps, torch.ones_like(of_steps))
        torch._foreach_mul_(increment, list(ratios[owners].unbind()))
        torch._foreach_mul_(increment, self._rates(present, learning_rate))
        torch._foreach_sub_(parameters, increment)


class ScheduleFreeAdamW(ForEach):
    """Keras's on TensorFlow, where the old average is recovered with the z of after its update: what is called
    momentum_old there is the live variable."""

    def _prepare(self) -> None:
        super()._prepare()
        torch._foreach_copy_(self.states["z"], [parameter.detach() for parameter in self.parameters])

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        parameters, states = self._present(present)
        step, beta_1, beta_2 = self.updates + 1, self.rounded(self.spec.beta_1), self.rounded(self.spec.beta_2)
        if self.spec.warmup_steps:
            learning_rate *= min(step / self.spec.warmup_steps, 1.0)
        torch._foreach_mul_(states["v"], beta_2)
        torch._foreach_addcmul_(states["v"], gradients, gradients, value=self._complement(self.spec.beta_2))
        denominator = torch._foreach_div(states["v"], 1.0 - beta_2**step)
        torch._foreach_sqrt_(denominator)
        torch._foreach_add_(denominator, self.spec.epsilon)
        increment = torch._foreach_mul(gradients, self._rates(present, learning_rate))
        torch._foreach_div_(increment, denominator)
        torch._foreach_sub_(states["z"], increment)
        # x = (y - (1 - beta_1) z) / beta_1, drawn towards z by 1 / t; y = (1 - beta_1) z + beta_1 x.
        rest = self._complement(self.spec.beta_1)
        torch._foreach_add_(parameters, states["z"], alpha=-rest)
        torch._foreach_div_(parameters, beta_1)
        torch._foreach_lerp_(parameters, states["z"], 1.0 / step)
        torch._foreach_mul_(parameters, beta_1)
        torch._foreach_add_(parameters, states["z"], alpha=rest)
