"""Optimizers of the PyTorch backend: torch.optim's kernels, made to mean what Keras's optimizers mean.

A step is Keras's: clip, decoupled weight decay, update, iterations + 1 (semantics.md 9, where each lowering
stands with its measured error). Clipping by norm counts a Keras variable as one, though it may be several
tensors here. The gradients in `parameter.grad` are overwritten by a step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.spec import optimizers as spec

Slots = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class OptimizedVariable:
    """One trainable Keras variable and the parameters that hold it.

    multiplier: factor of the learning rate. decay: whether weight decay acts on it. to_keras: the parameters'
    values -> the array in Keras's layout; to_torch: the inverse.
    """

    name: str
    parameters: tuple[torch.nn.Parameter, ...]
    multiplier: float
    decay: bool
    to_keras: Callable[[tuple[np.ndarray, ...]], np.ndarray]
    to_torch: Callable[[np.ndarray], tuple[np.ndarray, ...]]


def build_optimizer(
    optimizer: spec.Optimizer, variables: Sequence[OptimizedVariable], dtype: str = "float32", fused: bool = True
) -> Optimizer:
    """The optimizer over these variables. fused: torch's fused kernels, else its for-each ones."""
    return OPTIMIZERS[type(optimizer)](optimizer, variables, dtype, fused)


class Optimizer:
    """Base: clipping, weight decay, the iteration count, and slots in canonical form."""

    def __init__(
        self, optimizer: Any, variables: Sequence[OptimizedVariable], dtype: str, fused: bool
    ) -> None:
        self.spec = optimizer
        self.variables = tuple(variables)
        self.fused = fused
        self.iterations = 0
        # In float32 runs Keras rounds some constants to float32 first; float64 runs keep them whole.
        self.rounded: Callable[[float], float] = (
            (lambda constant: constant) if dtype == "float64" else (lambda constant: float(np.float32(constant)))
        )
        self.parameters: list[Tensor] = [parameter for variable in variables for parameter in variable.parameters]
        self.multipliers = [variable.multiplier for variable in variables for _ in variable.parameters]
        self._owners = [index for index, variable in enumerate(variables) for _ in variable.parameters]
        decayed = [variable.decay for variable in variables for _ in variable.parameters]
        self._decayed = decayed if optimizer.weight_decay else [False] * len(decayed)
        self._prepare()

    def _prepare(self) -> None:
        """Makes the slots."""

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        """The update itself, for the parameters (by index) that have a gradient."""
        raise NotImplementedError

    def _slots(self) -> dict[str, list[Tensor]]:
        """Canonical slot name -> its tensor for each parameter."""
        return {}

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """One update from the gradients in the parameters' `.grad`."""
        found = {index: parameter.grad for index, parameter in enumerate(self.parameters)}
        gradients = [gradient for gradient in found.values() if gradient is not None]
        present = [index for index, gradient in found.items() if gradient is not None]
        if present:
            self._clip(present, gradients)
            self._decay(present, learning_rate)
            self._update(present, gradients, learning_rate)
        self.iterations += 1

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def _clip(self, present: list[int], gradients: list[Tensor]) -> None:
        if self.spec.clipvalue is not None:
            torch._foreach_clamp_min_(gradients, -self.spec.clipvalue)
            torch._foreach_clamp_max_(gradients, self.spec.clipvalue)
        elif self.spec.global_clipnorm is not None:
            limit = self.spec.global_clipnorm
            norm = torch.stack(torch._foreach_norm(gradients)).norm()
            torch._foreach_mul_(gradients, limit * torch.clamp_max(1.0 / norm, 1.0 / limit))
        elif self.spec.clipnorm is not None:
            limit = self.spec.clipnorm
            squares = torch.stack(torch._foreach_norm(gradients)).square()
            owners = self._owners_of(tuple(present), squares.device)
            norms = torch.zeros(len(self.variables), dtype=squares.dtype, device=squares.device)
            norms = norms.index_add(0, owners, squares).sqrt()
            scales = limit / norms.clamp_min(limit)
            torch._foreach_mul_(gradients, list(scales[owners].unbind()))

    @functools.lru_cache(maxsize=4)  # noqa: B019 (an optimizer lives as long as its session)
    def _owners_of(self, present: tuple[int, ...], device: torch.device) -> Tensor:
        """int64 [parameters]: the variable of each; kept, because a copy to a GPU would halt the host."""
        return torch.tensor([self._owners[index] for index in present], device=device)

    def _decay(self, present: list[int], learning_rate: float) -> None:
        rate = learning_rate * self.rounded(self.spec.weight_decay or 0.0)
        for multiplier in {self.multipliers[index] for index in present if self._decayed[index]}:
            decayed = [
                self.parameters[index]
                for index in present
                if self._decayed[index] and self.multipliers[index] == multiplier
            ]
            # As w + alpha * w, because 1 - alpha rounded to float32 would lose a hundredth of the decay.
            torch._foreach_add_(decayed, decayed, alpha=-rate * multiplier)

    def slots(self) -> Slots:
        """{slot: {variable name: array in Keras's layout}}, with Keras's values."""
        return {name: self._gather(tensors) for name, tensors in self._slots().items()}

    def _gather(self, tensors: list[Tensor]) -> dict[str, np.ndarray]:
        pieces = iter([tensor.detach().cpu().numpy() for tensor in tensors])
        return {
            variable.name: np.array(variable.to_keras(tuple(next(pieces) for _ in variable.parameters)))
            for variable in self.variables
        }

    @torch.no_grad()
    def load(self, slots: Mapping[str, Mapping[str, np.ndarray]], iterations: int) -> None:
        """The inverse of `slots`. What is absent keeps its value."""
        for name, tensors in self._slots().items():
            own = iter(tensors)
            for variable in self.variables:
                targets = [next(own) for _ in variable.parameters]
                if variable.name in slots.get(name, {}):
                    pieces = variable.to_torch(np.asarray(slots[name][variable.name]))
                    for target, piece in zip(targets, pieces, strict=True):
                        target.copy_(torch.from_numpy(np.ascontiguousarray(piece)))
            self._write(name, tensors)
        self.iterations = iterations

    def _write(self, name: str, tensors: list[Tensor]) -> None:
        """Takes over a slot's loaded tensors, where `_slots` gave copies."""


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
            for slot in self.spec.slots():
                state[self.SLOTS[slot]] = torch.zeros_like(parameter)
            self.native.state[parameter] = state

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        step = self.iterations + 1
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
            kept = {slot: self._states(self.SLOTS[slot]) for slot in self.spec.slots()}
            self._lists = (kept["m"], kept["v"], kept.get("v_hat", []), steps)
        means, squares, largest, steps = self._lists
        torch._foreach_add_(steps, 1.0)
        torch._fused_adam_(
            self.parameters, gradients, means, squares, largest, steps, lr=rate * self.multipliers[0],
            beta1=self.spec.beta_1, beta2=self.spec.beta_2, weight_decay=0.0, eps=epsilon,
            amsgrad=self.spec.amsgrad, maximize=False,
        )

    def _slots(self) -> dict[str, list[Tensor]]:
        return {slot: self._states(self.SLOTS[slot]) for slot in self.spec.slots()}

    def load(self, slots: Mapping[str, Mapping[str, np.ndarray]], iterations: int) -> None:
        super().load(slots, iterations)
        for step in self._states("step"):
            step.fill_(iterations)


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


class RMSprop(Optimizer):
    """Keras's formula in for-each kernels: torch.optim.RMSprop has epsilon outside of the square root and the
    learning rate outside of the momentum."""

    def _prepare(self) -> None:
        self.states = {
            slot: [torch.zeros_like(parameter) for parameter in self.parameters] for slot in self.spec.slots()
        }

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        rho, states = self.spec.rho, {name: [kept[index] for index in present] for name, kept in self.states.items()}
        parameters = [self.parameters[index] for index in present]
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
        increment = torch._foreach_mul(gradients, [learning_rate * self.multipliers[index] for index in present])
        torch._foreach_div_(increment, denominator)
        if self.spec.momentum:
            torch._foreach_mul_(states["momentum"], self.spec.momentum)
            torch._foreach_add_(states["momentum"], increment)
        torch._foreach_sub_(parameters, states["momentum"] if self.spec.momentum else increment)

    def _slots(self) -> dict[str, list[Tensor]]:
        return self.states


OPTIMIZERS: dict[type[spec.Optimizer], type[Optimizer]] = {
    spec.SGD: SGD,
    spec.Adam: Adam,
    spec.AdamW: Adam,
    spec.RMSprop: RMSprop,
    spec.Adagrad: Adagrad,
}
