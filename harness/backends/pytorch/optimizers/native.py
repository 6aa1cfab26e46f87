"""Optimizers whose update is torch.optim's own kernel, with per-step arguments that make it mean what Keras's means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.backends.pytorch.optimizers.base import Optimizer


class Native(Optimizer):
    """Base of those that torch.optim computes: one parameter group for each learning-rate multiplier."""

    native: torch.optim.Optimizer

    def _groups(self) -> list[dict[str, Any]]:
        groups: dict[float, list[Tensor]] = {}
        for parameter, multiplier in zip(self.parameters, self.multipliers, strict=True):
            groups.setdefault(multiplier, []).append(parameter)
        return [{"params": parameters, "multiplier": multiplier} for multiplier, parameters in groups.items()]

    def _kernels(self) -> dict[str, bool]:
        return {"fused": True} if self.fused else {"foreach": True}

    def _states(self, key: str) -> list[Tensor]:
        return [self.native.state[parameter][key] for parameter in self.parameters]


class SGD(Native):
    """torch.optim.SGD. Keras's momentum holds the learning rate, v = m v - lr g, and torch's does not: the buffer
    is v / -scale, where `scale` is the first step's learning rate, and later steps scale the gradients by theirs
    over it (by 1, and so not at all, as long as the learning rate is constant)."""

    def _prepare(self) -> None:
        momentum = self.rounded(self.spec.momentum)
        nesterov = self.spec.nesterov and momentum != 0
        groups = self._groups() if not momentum else self.parameters
        self.native = torch.optim.SGD(groups, lr=1.0, momentum=momentum, nesterov=nesterov, **self._kernels())
        self.scale: float | None = None
        if momentum:
            for parameter in self.parameters:
                self.native.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        if self.spec.momentum:
            self._scale_gradients(present, gradients, learning_rate)
        else:
            for group in self.native.param_groups:
                group["lr"] = learning_rate * group["multiplier"]
        self.native.step()

    def _scale_gradients(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        if self.scale is None:
            self.scale = learning_rate or 1.0
            torch._foreach_div_(self._states("momentum_buffer"), self.scale)
            self.native.param_groups[0]["lr"] = self.scale
        factors = [learning_rate / self.scale * self.multipliers[index] for index in present]
        if any(factor != 1.0 for factor in factors):
            torch._foreach_mul_(gradients, factors)

    def _slots(self) -> dict[str, list[Tensor]]:
        if not self.spec.momentum:
            return {}
        return {"momentum": [buffer * -(self.scale or 1.0) for buffer in self._states("momentum_buffer")]}

    def _write(self, name: str, tensors: list[Tensor]) -> None:
        for buffer, tensor in zip(self._states("momentum_buffer"), tensors, strict=True):
            buffer.copy_(-tensor)
        self.scale = None


class Adam(Native):
    """torch.optim.Adam, with epsilon and learning rate of each step such that epsilon stands outside of the bias
    correction, as Keras has it."""

    SLOTS = {"m": "exp_avg", "v": "exp_avg_sq", "v_hat": "max_exp_avg_sq"}

    _lists: tuple[list[Tensor], ...] | None = None

    def _prepare(self) -> None:
        betas = (self.spec.beta_1, self.spec.beta_2)
        self.native = torch.optim.Adam(self._groups(), betas=betas, amsgrad=self.spec.amsgrad, **self._kernels())
        for parameter in self.parameters:
            device = parameter.device if self.fused else torch.device("cpu")
            state: dict[str, Tensor] = {"step": torch.zeros((), dtype=torch.float32, device=device)}
            for slot in self.spec.own_slots():
                state[self.SLOTS[slot]] = torch.zeros_like(parameter)
            self.native.state[parameter] = state

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        step = self.updates + 1
        beta_1, beta_2 = self.spec.beta_1, self.spec.beta_2
        # torch corrects by the exact betas, Keras in float32 runs by the rounded ones.
        theirs = (1 - beta_2**step) ** 0.5 / (1 - beta_1**step)
        keras = (1 - self.rounded(beta_2) ** step) ** 0.5 / (1 - self.rounded(beta_1) ** step)
        epsilon = self.spec.epsilon / (1 - beta_2**step) ** 0.5
        rate = learning_rate * (keras / theirs)
        if self.fused and len(gradients) == len(self.parameters) and len(self.native.param_groups) == 1:
            self._fused_update(gradients, rate, epsilon)
            return
        for group in self.native.param_groups:
            group["lr"] = rate * group["multiplier"]
            group["eps"] = epsilon
        self.native.step()

    def _fused_update(self, gradients: list[Tensor], rate: float, epsilon: float) -> None:
        """torch.optim.Adam's own kernel without its Python around it, which takes as long as a small model's
        update. All parameters share one step count."""
        if self._lists is None:
            steps = self._states("step")
            kept = {slot: self._states(self.SLOTS[slot]) for slot in self.spec.own_slots()}
            self._lists = (kept["m"], kept["v"], kept.get("v_hat", []), steps)
        means, squares, largest, steps = self._lists
        torch._foreach_add_(steps, 1.0)
        torch._fused_adam_(
            self.parameters, gradients, means, squares, largest, steps, lr=rate * self.multipliers[0],
            beta1=self.spec.beta_1, beta2=self.spec.beta_2, weight_decay=0.0, eps=epsilon,
            amsgrad=self.spec.amsgrad, maximize=False,
        )

    def _slots(self) -> dict[str, list[Tensor]]:
        return {slot: self._states(self.SLOTS[slot]) for slot in self.spec.own_slots()}

    def load(self, slots: Mapping[str, Mapping[str, np.ndarray]], iterations: int) -> None:
        super().load(slots, iterations)
        for step in self._states("step"):
            step.fill_(self.updates)


class Adagrad(Native):
    """torch.optim.Adagrad, with epsilon inside of the square root: its sum starts at Keras's plus epsilon."""

    def _prepare(self) -> None:
        initial = self.rounded(self.spec.initial_accumulator_value) + self.spec.epsilon
        # torch's fused kernel for Adagrad runs on the CPU only.
        on_cpu = all(parameter.device.type == "cpu" for parameter in self.parameters)
        kernels = {"fused": True} if self.fused and on_cpu else {"foreach": True}
        self.native = torch.optim.Adagrad(self._groups(), initial_accumulator_value=initial, eps=0.0, **kernels)

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        for group in self.native.param_groups:
            group["lr"] = learning_rate * group["multiplier"]
        self.native.step()

    def _slots(self) -> dict[str, list[Tensor]]:
        return {"accumulator": [total - self.spec.epsilon for total in self._states("sum")]}

    def _write(self, name: str, tensors: list[Tensor]) -> None:
        for total, tensor in zip(self._states("sum"), tensors, strict=True):
            total.copy_(tensor + self.spec.epsilon)


class Adadelta(Native):
    """torch.optim.Adadelta as it is."""

    SLOTS = {"accumulated_grad": "square_avg", "accumulated_delta_var": "acc_delta"}

    def _prepare(self) -> None:
        self.native = torch.optim.Adadelta(self._groups(), rho=self.spec.rho, eps=self.spec.epsilon, foreach=True)
        for parameter in self.parameters:
            state: dict[str, Tensor] = {"step": torch.zeros((), dtype=torch.float32)}
            self.native.state[parameter] = state | {key: torch.zeros_like(parameter) for key in self.SLOTS.values()}

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        for group in self.native.param_groups:
            group["lr"] = learning_rate * group["multiplier"]
        self.native.step()

    def _slots(self) -> dict[str, list[Tensor]]:
        return {slot: self._states(key) for slot, key in self.SLOTS.items()}
