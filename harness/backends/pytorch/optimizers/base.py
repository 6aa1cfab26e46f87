"""What all optimizers of the PyTorch backend have in common: everything around the update itself.

A step is Keras's: unscale, accumulate, clip, weight decay, update, moving average, constraints, iterations + 1
(semantics.md 9, where each lowering stands with its measured error). Clipping by norm counts a Keras variable as one,
though it may be several tensors here. The gradients in `parameter.grad` are overwritten by a step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.backends.pytorch.optimizers.loss_scale import SLOT, LossScale
from harness.backends.pytorch.optimizers.projections import constraints
from harness.spec.constraints import Constraint

Slots = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class OptimizedVariable:
    """One trainable Keras variable and the parameters that hold it.

    multiplier: factor of the learning rate. decay: whether weight decay acts on it. to_keras: the parameters'
    values -> the array in Keras's layout; to_torch: the inverse. constraint: what an update is followed by.
    """

    name: str
    parameters: tuple[torch.nn.Parameter, ...]
    multiplier: float
    decay: bool
    to_keras: Callable[[tuple[np.ndarray, ...]], np.ndarray]
    to_torch: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    constraint: Constraint | None = None


class Optimizer:
    """Base: accumulation, clipping, weight decay, moving average, the iteration count, slots in canonical form.

    iterations: batches seen so far; `updates` are fewer where gradients are accumulated. loss_scale: set by the
    session under mixed_float16; the optimizer's own loss_scale_factor is then nothing, as in Keras.
    """

    loss_scale: LossScale | None = None

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
        # Weight decay of each parameter, times its multiplier of the learning rate; 0 where none acts.
        self._decays = [
            self.rounded(self._weight_decay_of(variable)) * variable.multiplier if variable.decay else 0.0
            for variable in variables for _ in variable.parameters
        ]
        self._averages = [torch.zeros_like(item) for item in self.parameters] if optimizer.use_ema else []
        self._accumulates = optimizer.gradient_accumulation_steps
        self._sums = [torch.zeros_like(item) for item in self.parameters] if self._accumulates else []
        self._constraints = constraints(self.variables)
        self._prepare()

    @property
    def updates(self) -> int:
        """Updates made so far."""
        updates: int = self.spec.updates(self.iterations)
        return updates

    def settings(self) -> dict[str, float]:
        """The numbers that this optimizer uses, by the names of Keras's arguments, the learning rate aside."""
        found: dict[str, float] = {}
        for name in type(self.spec).model_fields:
            value = getattr(self.spec, name)
            if isinstance(value, (bool, int, float)) and name != "learning_rate":
                found[name] = float(value)
        return found

    def _weight_decay_of(self, variable: OptimizedVariable) -> float:
        return self.spec.weight_decay or 0.0

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
        """One update from the gradients in the parameters' `.grad`: those of the loss times loss_scale_factor."""
        found = {index: parameter.grad for index, parameter in enumerate(self.parameters)}
        gradients = [gradient for gradient in found.values() if gradient is not None]
        present = [index for index, gradient in found.items() if gradient is not None]
        if self.loss_scale is not None and not self.loss_scale.unscaled(gradients):
            return
        if present:
            if self.spec.loss_scale_factor is not None and self.loss_scale is None:
                torch._foreach_div_(gradients, self.spec.loss_scale_factor)
            if not self._accumulates or self._accumulate(present, gradients):
                self._clip(present, gradients)
                self._decay(present, learning_rate)
                self._update(present, gradients, learning_rate)
            if self._averages:
                self._average()
            if self._constraints:
                self._constrain(present)
        self.iterations += 1

    def scaled(self, loss: Tensor) -> Tensor:
        """What the gradients are those of."""
        if self.loss_scale is not None:
            return loss * self.loss_scale.scale
        factor = self.spec.loss_scale_factor
        return loss if factor is None else loss * factor

    def _accumulate(self, present: list[int], gradients: list[Tensor]) -> bool:
        """Adds the gradients to the sums. Where an update is due they become the mean, and the sums 0."""
        sums = [self._sums[index] for index in present]
        if (self.iterations + 1) % self._accumulates:
            torch._foreach_add_(sums, gradients)
            return False
        torch._foreach_add_(gradients, sums)
        torch._foreach_div_(gradients, float(self._accumulates))
        torch._foreach_zero_(self._sums)
        return True

    def _average(self) -> None:
        """The moving average, after every batch; before the second update it is the weights themselves."""
        updates = self.updates
        momentum = self.spec.ema_momentum if updates else 0.0
        torch._foreach_mul_(self._averages, momentum)
        torch._foreach_add_(self._averages, self.parameters, alpha=1 - momentum)
        if self.spec.ema_overwrite_frequency and (updates + 1) % self.spec.ema_overwrite_frequency == 0:
            torch._foreach_copy_(self.parameters, self._averages)

    def _constrain(self, present: list[int]) -> None:
        """After every batch, whether it made an update or only added to the sums (base_optimizer.py: apply)."""
        seen = {self._owners[index] for index in present}
        for index, constrain in self._constraints.items():
            if index in seen:
                constrain()

    @torch.no_grad()
    def finish(self) -> None:
        """What Keras's fit does at its end: the moving averages take the weights' place."""
        if self._averages:
            torch._foreach_copy_(self.parameters, self._averages)

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
            norms, owners = self._norms(present, gradients)
            scales = limit / norms.clamp_min(limit)
            torch._foreach_mul_(gradients, list(scales[owners].unbind()))

    def _norms(self, present: list[int], tensors: list[Tensor]) -> tuple[Tensor, Tensor]:
        """([variables] the norm of each Keras variable's tensors, [present] the variable of each tensor)."""
        squares = torch.stack(torch._foreach_norm(tensors)).square()
        owners = self._owners_of(tuple(present), squares.device)
        norms = torch.zeros(len(self.variables), dtype=squares.dtype, device=squares.device)
        return norms.index_add(0, owners, squares).sqrt(), owners

    @functools.lru_cache(maxsize=4)  # noqa: B019 (an optimizer lives as long as its session)
    def _owners_of(self, present: tuple[int, ...], device: torch.device) -> Tensor:
        """int64 [parameters]: the variable of each; kept, because a copy to a GPU would halt the host."""
        return torch.tensor([self._owners[index] for index in present], device=device)

    def _decay(self, present: list[int], learning_rate: float) -> None:
        for rate in {self._decays[index] for index in present} - {0.0}:
            decayed = [self.parameters[index] for index in present if self._decays[index] == rate]
            # As w + alpha * w, because 1 - alpha rounded to float32 would lose a hundredth of the decay.
            torch._foreach_add_(decayed, decayed, alpha=-learning_rate * rate)

    def _rates(self, present: list[int], learning_rate: float) -> list[float]:
        """The learning rate of each parameter."""
        return [learning_rate * self.multipliers[index] for index in present]

    def _shared_slots(self) -> dict[str, list[Tensor]]:
        kept = {"average": self._averages, "accumulated_gradient": self._sums}
        return {name: tensors for name, tensors in kept.items() if tensors}

    def slots(self) -> Slots:
        """{slot: {variable name: array in Keras's layout}}, with Keras's values."""
        found = {name: self._gather(tensors) for name, tensors in (self._slots() | self._shared_slots()).items()}
        return found if self.loss_scale is None else {**found, SLOT: self.loss_scale.slot()}

    def _gather(self, tensors: list[Tensor]) -> dict[str, np.ndarray]:
        pieces = iter([tensor.detach().cpu().numpy() for tensor in tensors])
        return {
            variable.name: np.array(variable.to_keras(tuple(next(pieces) for _ in variable.parameters)))
            for variable in self.variables
        }

    @torch.no_grad()
    def load(self, slots: Mapping[str, Mapping[str, np.ndarray]], iterations: int) -> None:
        """The inverse of `slots`. What is absent keeps its value."""
        own = self._slots()
        for name, tensors in (own | self._shared_slots()).items():
            each = iter(tensors)
            for variable in self.variables:
                targets = [next(each) for _ in variable.parameters]
                if variable.name in slots.get(name, {}):
                    pieces = variable.to_torch(np.asarray(slots[name][variable.name]))
                    for target, piece in zip(targets, pieces, strict=True):
                        target.copy_(torch.from_numpy(np.asarray(piece, order="C")))
            if name in own:
                self._write(name, tensors)
        if self.loss_scale is not None:
            self.loss_scale.load(slots.get(SLOT, {}))
        self.iterations = iterations

    def _write(self, name: str, tensors: list[Tensor]) -> None:
        """Takes over a slot's loaded tensors, where `_slots` gave copies."""
