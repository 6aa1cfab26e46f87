"""Keras's weight constraints in PyTorch (keras/src/constraints/constraints.py), on weights seen in Keras's layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.backends.pytorch.optimizers.layout import Layout
from harness.spec import constraints as spec

if TYPE_CHECKING:
    from harness.backends.pytorch.optimizers.base import OptimizedVariable

EPSILON = 1e-7  # keras.config.epsilon()
Projection = Callable[[Tensor], Tensor]


def constraints(variables: Sequence[OptimizedVariable]) -> dict[int, Callable[[], None]]:
    """Index of each variable that has a constraint -> what applies it, in place."""
    return {index: _applied(variable, variable.constraint)
            for index, variable in enumerate(variables) if variable.constraint is not None}


def _applied(variable: OptimizedVariable, constraint: spec.Constraint) -> Callable[[], None]:
    layout, project = Layout(variable), projection(constraint)

    def apply() -> None:
        for parameter, piece in zip(variable.parameters, layout.split(project(layout.join(variable.parameters))),
                                    strict=True):
            parameter.copy_(piece)

    return apply


def projection(constraint: spec.Constraint) -> Projection:
    """weight in Keras's layout -> the weight that the constraint allows."""
    if isinstance(constraint, spec.NonNeg):
        return lambda w: w.clamp_min(0.0)
    if isinstance(constraint, spec.UnitNorm):
        axes = constraint.axis
        return lambda w: w / (EPSILON + _norms(w, axes))
    if isinstance(constraint, spec.MaxNorm):
        return _bounded(0.0, constraint.max_value, 1.0, constraint.axis)
    assert isinstance(constraint, spec.MinMaxNorm), constraint
    return _bounded(constraint.min_value, constraint.max_value, constraint.rate, constraint.axis)


def _bounded(low: float, high: float, rate: float, axes: int | tuple[int, ...] | None) -> Projection:
    def project(w: Tensor) -> Tensor:
        norms = _norms(w, axes)
        wanted = norms.clamp(low, high)
        if rate != 1.0:
            wanted = rate * wanted + (1 - rate) * norms
        return w * (wanted / (EPSILON + norms))

    return project


def _norms(w: Tensor, axes: int | tuple[int, ...] | None) -> Tensor:
    return torch.sqrt(w.square().sum(axes, keepdim=True))
