"""Cross-entropies and their like as operations in PyTorch (keras/src/backend/tensorflow/nn.py)."""

from __future__ import annotations

import math
from typing import Any

import torch

from harness.backends.pytorch.layers.operations import Operation

# keras.config.epsilon()
EPSILON = 1e-7


class BinaryCrossentropy(Operation):
    def __init__(self, from_logits: bool = False, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.from_logits = from_logits

    def compute(self, target: Any, output: Any) -> torch.Tensor:
        target, output = self.tensors(target, output, strict=True)
        if self.from_logits:
            # Not F.binary_cross_entropy_with_logits, whose gradient by the target differs at 0.
            return torch.relu(output) - output * target + torch.log1p(torch.exp(-torch.abs(output)))
        output = output.clamp(EPSILON, 1.0 - EPSILON)
        return -(target * output.log() + (1 - target) * (1 - output).log())


class CategoricalCrossentropy(Operation):
    def __init__(self, from_logits: bool = False, axis: int = -1, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.from_logits, self.axis = from_logits, axis

    def compute(self, target: Any, output: Any) -> torch.Tensor:
        target, output = self.tensors(target, output, strict=True)
        if self.from_logits:
            return -(target * torch.log_softmax(output, self.axis)).sum(self.axis)
        output = (output / output.sum(self.axis, True)).clamp(EPSILON, 1.0 - EPSILON)
        return -(target * output.log()).sum(self.axis)


class SparseCategoricalCrossentropy(Operation):
    """Of whole numbers as targets."""

    def __init__(self, from_logits: bool = False, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.from_logits = from_logits

    def compute(self, target: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        if target.dim() == output.dim() and target.shape[-1] == 1:
            target = target.squeeze(-1)
        logits = output if self.from_logits else output.clamp(EPSILON, 1 - EPSILON).log()
        return -torch.log_softmax(logits, -1).gather(-1, target.long().unsqueeze(-1)).squeeze(-1)


class PSNR(Operation):
    """The peak signal-to-noise ratio of all values."""

    def __init__(self, max_val: float, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.max_val = max_val

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        return 20 * math.log10(self.max_val) - 10 * torch.log10(torch.square(a - b).mean())


BUILDERS: dict[str, tuple[type[Operation], dict[str, Any]]] = {
    "binary_crossentropy": (BinaryCrossentropy, {}), "categorical_crossentropy": (CategoricalCrossentropy, {}),
    "psnr": (PSNR, {}),
}
