"""Optimizers that look at a variable's rows, columns or matrix, and so work variable by variable in Keras's shape."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from harness.backends.pytorch.optimizers.base import OptimizedVariable, Optimizer, Slots
from harness.backends.pytorch.optimizers.layout import Layout


class ByVariable(Optimizer):
    """Base: one update per Keras variable. Slots are kept in Keras's layout."""

    def _prepare(self) -> None:
        self.layouts = [Layout(variable) for variable in self.variables]
        ends = np.cumsum([len(variable.parameters) for variable in self.variables]).tolist()
        self.spans = list(zip([0, *ends[:-1]], ends, strict=True))
        # {slot: tensor in Keras's layout} of each variable.
        self.states: list[dict[str, Tensor]] = [
            {
                slot: torch.zeros(shape, dtype=variable.parameters[0].dtype, device=variable.parameters[0].device)
                for slot, shape in self._shapes(variable, layout.shape).items()
            }
            for variable, layout in zip(self.variables, self.layouts, strict=True)
        ]

    def _shapes(self, variable: OptimizedVariable, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """The slots of a variable of this shape."""
        raise NotImplementedError

    def _increment(self, state: dict[str, Tensor], gradient: Tensor, value: Tensor, rate: float) -> Tensor:
        """What is subtracted from the variable; all in Keras's shape."""
        raise NotImplementedError

    def _update(self, present: list[int], gradients: list[Tensor], learning_rate: float) -> None:
        found = dict(zip(present, gradients, strict=True))
        for variable, layout, state, (start, stop) in zip(
            self.variables, self.layouts, self.states, self.spans, strict=True
        ):
            if not all(index in found for index in range(start, stop)):
                continue
            gradient = layout.join([found[index] for index in range(start, stop)])
            value = layout.join(self.parameters[start:stop])
            increment = self._increment(state, gradient, value, learning_rate * variable.multiplier)
            torch._foreach_sub_(self.parameters[start:stop], layout.split(increment))

    def slots(self) -> Slots:
        kept: Slots = {slot: {} for slot in self.spec.own_slots()}
        for variable, state in zip(self.variables, self.states, strict=True):
            for slot, tensor in state.items():
                kept[slot][variable.name] = np.array(tensor.cpu().numpy())
        return kept | super().slots()

    @torch.no_grad()
    def load(self, slots: Mapping[str, Mapping[str, np.ndarray]], iterations: int) -> None:
        super().load(slots, iterations)
        for variable, state in zip(self.variables, self.states, strict=True):
            for slot, tensor in state.items():
                if variable.name in slots.get(slot, {}):
                    tensor.copy_(torch.from_numpy(np.array(slots[slot][variable.name], order="C")))


class Adafactor(ByVariable):
    """Keras's formula; torch's agrees where the last two axes are Keras's, which those of a convolution are not."""

    def _shapes(self, variable: OptimizedVariable, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        if len(shape) < 2:
            return {"v": shape}
        return {"r": shape[:-1], "c": (*shape[:-2], shape[-1]), "v": shape}

    def _increment(self, state: dict[str, Tensor], gradient: Tensor, value: Tensor, rate: float) -> Tensor:
        step = self.updates + 1
        rate = min(rate, 1 / step**0.5)
        kept = 1 - step**self.spec.beta_2_decay
        squares = gradient.square() + self.spec.epsilon_1
        if "r" in state:
            state["r"].mul_(kept).add_(squares.mean(-1), alpha=1 - kept)
            state["c"].mul_(kept).add_(squares.mean(-2), alpha=1 - kept)
            rows = state["r"] / state["r"].mean(-1, keepdim=True)
            torch.mul(rows[..., None], state["c"][..., None, :], out=state["v"])
        else:
            state["v"].mul_(kept).add_(squares, alpha=1 - kept)
        increment = gradient / state["v"].sqrt()
        increment = increment / (_root_mean_square(increment) / self.spec.clip_threshold).clamp_min(1.0)
        scale = _root_mean_square(value).clamp_min(self.rounded(self.spec.epsilon_2))
        return increment * (scale * rate)


def _root_mean_square(values: Tensor) -> Tensor:
    return values.square().mean().sqrt()


class Muon(ByVariable):
    """Keras's formula in the variables' own dtype; torch's computes the orthogonal matrix in bfloat16."""

    def _shapes(self, variable: OptimizedVariable, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        if self.spec.uses_adam(variable.name, len(shape)):
            return {"momentum": shape, "v": shape}
        return {"momentum": shape}

    def _weight_decay_of(self, variable: OptimizedVariable) -> float:
        adam = self.spec.uses_adam(variable.name, len(Layout(variable).shape))
        return (self.spec.adam_weight_decay if adam else self.spec.weight_decay) or 0.0

    def _increment(self, state: dict[str, Tensor], gradient: Tensor, value: Tensor, rate: float) -> Tensor:
        if "v" in state:
            return self._adam(state, gradient, rate * self.spec.adam_lr_ratio)
        momentum = state["momentum"]
        momentum.add_(gradient + momentum * (self.spec.momentum - 1))
        direction = gradient + self.spec.momentum * momentum if self.spec.nesterov else momentum
        increment = rate * self._orthogonalized(direction)
        if self.spec.rms_rate is not None:
            increment = increment * (max(increment.shape) ** 0.5 * self.spec.rms_rate)
        return increment

    def _adam(self, state: dict[str, Tensor], gradient: Tensor, rate: float) -> Tensor:
        step, mean, square = self.updates + 1, state["momentum"], state["v"]
        beta_1, beta_2 = self.spec.adam_beta_1, self.spec.adam_beta_2
        correction = (1 - self.rounded(beta_2) ** step) ** 0.5 / (1 - self.rounded(beta_1) ** step)
        mean.add_(gradient - mean, alpha=1 - beta_1)
        square.add_(gradient.square() - square, alpha=1 - beta_2)
        return mean * (rate * correction) / (square.sqrt() + self.spec.epsilon)

    def _orthogonalized(self, matrix: Tensor) -> Tensor:
        """Newton and Schulz's iteration towards the nearest matrix with orthonormal rows or columns."""
        a, b, c = self.spec.muon_a, self.spec.muon_b, self.spec.muon_c
        tall = matrix.shape[0] > matrix.shape[1]
        x = matrix.T if tall else matrix
        x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
        for _ in range(self.spec.ns_steps):
            square = x @ x.T
            x = a * x + (b * square + c * square @ square) @ x
        return x.T if tall else x
