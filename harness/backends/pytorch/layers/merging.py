"""Merging layers in PyTorch (keras/src/layers/merging).

Masks follow base_merge.py: a step of a merge is masked where it is masked in every input, and there is a mask
only if every input has one; Multiply, Maximum and Minimum leave masked steps out (multiply.py, base_merge.py).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import nn

from harness.backends.pytorch.activations import in_memory_of
from harness.backends.pytorch.masks import Masks
from harness.spec.layers import merging as spec
from harness.spec.layers.base import Shape


def same_rank(tensors: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Tensors of fewer dimensions get new axes at position 1, as in base_merge.py."""
    rank = max(tensor.dim() for tensor in tensors)
    return [tensor.reshape(tensor.shape[0], *(1,) * (rank - tensor.dim()), *tensor.shape[1:])
            if tensor.dim() < rank else tensor for tensor in tensors]


def joint_mask(masks: Masks) -> torch.Tensor | None:
    present = [mask for mask in masks if mask is not None]
    if len(present) < len(masks):
        return None
    return functools.reduce(torch.logical_or, present)


def maximum(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The larger one. Equal values: the gradient goes to the first, as in TensorFlow (torch.maximum halves it)."""
    return torch.where(a >= b, a, b)


def minimum(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The smaller one, with the same rule."""
    return torch.where(a <= b, a, b)


class Joining(nn.Module):
    """Base of the merges whose output is masked where every input is."""

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return joint_mask(masks)


class Merge(Joining):
    """Elementwise merge whose inputs' masks play no part in the values: "add", "subtract" or "average".

    inplace, inplace_training: the input, 0 or 1, that a sum is written over where no gradient is asked for, and where
    one is.
    """

    def __init__(self, operation: str, inplace: int | None = None, inplace_training: int | None = None) -> None:
        super().__init__()
        self.operation = operation
        self.inplace, self.inplace_training = inplace, inplace_training

    def extra_repr(self) -> str:
        return self.operation

    def forward(self, *inputs: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:
        tensors = same_rank(inputs)
        if self.operation == "subtract":
            return tensors[0] - tensors[1]
        over = self.inplace_training if torch.is_grad_enabled() else self.inplace
        if over is None or len({(x.shape, x.dtype) for x in tensors}) > 1:
            total = _sum(*tensors)
        else:
            total = in_memory_of(tensors[over], _add_each, _sum, tensors[1 - over], *tensors[2:])
        return total / len(tensors) if self.operation == "average" else total


def _sum(*tensors: torch.Tensor) -> torch.Tensor:
    return functools.reduce(torch.add, tensors)


def _add_each(x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
    return functools.reduce(torch.Tensor.add_, others, x)


class Multiply(Joining):
    """The product; a masked step counts as 1, and gives 0 where it is masked in every input (multiply.py)."""

    def forward(self, *inputs: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:
        factors = same_rank(inputs)
        if masks is None:
            return functools.reduce(torch.mul, factors)
        factors = [x if mask is None else torch.where(mask.unsqueeze(-1), x, torch.ones_like(x))
                   for x, mask in zip(factors, masks, strict=True)]
        output, joint = functools.reduce(torch.mul, factors), joint_mask(masks)
        return output if joint is None else torch.where(joint.unsqueeze(-1), output, torch.zeros_like(output))


class Extreme(Joining):
    """Maximum or Minimum; a masked step does not compete (base_merge.py: _apply_merge_op_and_or_mask)."""

    def __init__(self, largest: bool) -> None:
        super().__init__()
        self.operation = maximum if largest else minimum

    def extra_repr(self) -> str:
        return self.operation.__name__

    def forward(self, *inputs: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:
        tensors = same_rank(inputs)
        if masks is None:
            return functools.reduce(self.operation, tensors)
        output, joint = tensors[0], masks[0]
        for x, mask in zip(tensors[1:], masks[1:], strict=True):
            if mask is not None:
                x = torch.where(mask.unsqueeze(-1), x, output)
            if joint is not None:
                output = torch.where(joint.unsqueeze(-1), output, x)
            joint = joint | mask if joint is not None and mask is not None else None
            output = self.operation(output, x)
        return output


class Concatenate(nn.Module):
    """torch.cat along Keras's axis."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *inputs: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:
        return torch.cat(inputs, self.axis)

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        if all(mask is None for mask in masks):
            return None
        # concatenate.py: a missing mask is all True; a step is masked if all its features are.
        full = [torch.ones_like(x, dtype=torch.bool) if mask is None
                else mask.unsqueeze(-1).expand_as(x) if mask.dim() < x.dim() else mask
                for x, mask in zip(inputs, masks, strict=True)]
        return torch.cat(full, self.axis).any(-1)


class Dot(nn.Module):
    """Products of two inputs summed over an axis of each: torch.bmm between what is left of them.

    Shape letters: M, T all other dimensions of the first and of the second input, D the one that is summed over.
    """

    def __init__(self, axes: tuple[int, int], normalize: bool) -> None:
        super().__init__()
        self.axes = axes
        self.normalize = normalize

    def extra_repr(self) -> str:
        return f"{self.axes}, normalize={self.normalize}"

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if self.normalize:
            a, b = _unit(a, self.axes[0]), _unit(b, self.axes[1])
        a, b = a.movedim(self.axes[0], -1), b.movedim(self.axes[1], 1)
        a_BMD, b_BDT = a.reshape(a.shape[0], -1, a.shape[-1]), b.reshape(*b.shape[:2], -1)
        shape = (*a.shape[:-1], *b.shape[2:])
        return torch.bmm(a_BMD, b_BDT).reshape(shape if len(shape) > 1 else (*shape, 1))


def _unit(x: torch.Tensor, axis: int) -> torch.Tensor:
    # ops/nn.py: _normalize, epsilon 1e-7. Not the root of 0, clamped: its gradient is not a number.
    return x * torch.rsqrt(x.square().sum(axis, keepdim=True).clamp_min(1e-14))


def _build_merge(operation: str, layer: object, *shapes: Shape, **inplace: int) -> nn.Module:
    return Merge(operation, **inplace)


def _build_extreme(largest: bool, layer: object, *shapes: Shape) -> nn.Module:
    return Extreme(largest)


def build_multiply(layer: spec.Multiply, *shapes: Shape) -> nn.Module:
    return Multiply()


def build_concatenate(layer: spec.Concatenate, *shapes: Shape) -> nn.Module:
    return Concatenate(layer.axis % len(shapes[0]))


def build_dot(layer: spec.Dot, *shapes: Shape) -> nn.Module:
    return Dot(layer.places(*shapes), layer.normalize)


BUILDERS = {
    spec.Add: functools.partial(_build_merge, "add"),
    spec.Subtract: functools.partial(_build_merge, "subtract"),
    spec.Multiply: build_multiply,
    spec.Average: functools.partial(_build_merge, "average"),
    spec.Maximum: functools.partial(_build_extreme, True),
    spec.Minimum: functools.partial(_build_extreme, False),
    spec.Concatenate: build_concatenate,
    spec.Dot: build_dot,
}
