"""What regularizers add to the loss: of weights, and of what layers put out (keras/src/regularizers/regularizers.py;
keras/src/layers/layer.py: __call__).

Keras rounds the factors to float32, in float64 trainings as well (semantics ledger, rule 0.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.backends.pytorch.activations import ACTIVATIONS, r32
from harness.backends.pytorch.model import Network
from harness.spec.layers.attention import GroupQueryAttention, MultiHeadAttention
from harness.spec.layers.base import Layer
from harness.spec.regularizers import OrthogonalRegularizer, Regularizer

Penalty = Callable[[Tensor], Tensor]


def penalty_function(regularizer: Regularizer) -> Penalty:
    """tensor in Keras's layout -> its penalty, a scalar."""
    if isinstance(regularizer, OrthogonalRegularizer):
        return _orthogonal(r32(regularizer.factor), by_rows=regularizer.mode == "rows")
    return _powers(*(r32(factor) for factor in regularizer.factors()))


def _powers(l1: float, l2: float) -> Penalty:
    def penalty(x: Tensor) -> Tensor:
        total = x.new_zeros(())
        if l1:
            total = total + l1 * x.abs().sum()
        if l2:
            total = total + l2 * x.square().sum()
        return total

    return penalty


def _orthogonal(factor: float, by_rows: bool) -> Penalty:
    def penalty(x: Tensor) -> Tensor:
        rows = x if by_rows else x.t()
        # ops/nn.py: _normalize with keras.config.epsilon().
        rows = rows * torch.rsqrt(rows.square().sum(1, keepdim=True)).clamp_max(1e7)
        size = len(rows)
        different = (rows @ rows.t()) * (1.0 - torch.eye(size, dtype=x.dtype, device=x.device))
        return factor * 0.5 * different.abs().sum() / (size * (size - 1.0) / 2.0)

    return penalty


def _projections(attention: Any) -> list[tuple[nn.Module, str | None]]:
    """The projections, to which Keras hands activity_regularizer on, and the activations of those that have one."""
    parts = (attention.query, attention.key_projection, attention.value, attention.attention_output)
    return [*((part, None) for part in parts), *([(attention.gate, "sigmoid")] if attention.gate is not None else [])]


# Spec class -> its module's parts, where Keras regularizes what those put out.
PARTS: dict[type[Layer], Callable[[nn.Module], list[tuple[nn.Module, str | None]]]] = {
    MultiHeadAttention: _projections, GroupQueryAttention: _projections,
}


class ActivityPenalties:
    """Collects, while a network runs, what the activity regularizers of its layers add to the loss: for every call and
    every output the penalty over the batch size. Masked steps count like all others, as in Keras.

    A layer that is asked for what comes before its activation does not pass here: `of_output` does it.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._terms: list[Tensor] | None = None  # None outside of a pass that wants them
        for name, layer in network.spec.layers.items():
            module, penalties = network.layer(name), [penalty_function(item) for item in layer.activity_penalties]
            if penalties:
                self._watch(module, penalties)
            if layer.activity_regularizer is not None and layer.regularizes_parts:
                for part, activation in PARTS[type(layer)](module):
                    self._watch(part, [penalty_function(layer.activity_regularizer)], activation)

    def _watch(self, module: nn.Module, penalties: Sequence[Penalty], activation: str | None = None) -> None:
        def hook(_module: nn.Module, _inputs: Any, result: Any) -> None:
            for output in result if isinstance(result, tuple) else (result,):
                self._add(output if activation is None else ACTIVATIONS[activation](output), penalties)

        module.register_forward_hook(hook)

    def _add(self, output: Tensor, penalties: Sequence[Penalty]) -> None:
        again = self._network.remat is not None and self._network.remat.again
        if self._terms is None and not again:
            return
        # Also where a row of calls is computed again: what it keeps for the gradient has to be the same.
        terms = [penalty(output) / len(output) for penalty in penalties]
        if self._terms is not None:
            self._terms += terms

    def of_output(self, penalties: Sequence[Penalty], output: Tensor) -> None:
        """Adds what the call of a layer adds whose output is at hand."""
        self._add(output, penalties)

    def start(self) -> None:
        """A pass begins."""
        self._terms = []

    def total(self) -> Tensor | float:
        """The sum over the calls of the pass, which is over; a scalar."""
        terms, self._terms = self._terms, None
        return torch.stack(terms).sum() if terms else 0.0


def activity_penalties(network: Network) -> ActivityPenalties | None:
    """None where no layer has an activity regularizer: such a network runs as it does without this module."""
    regularized = any(layer.regularizes_activity for layer in network.spec.layers.values())
    return ActivityPenalties(network) if regularized else None
