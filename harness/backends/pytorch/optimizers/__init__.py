"""Optimizers of the PyTorch backend: torch.optim's kernels where they can be made to mean what Keras's optimizers
mean (native.py), Keras's formulas elsewhere (foreach.py; matrices.py for those that see rows and columns)."""

from __future__ import annotations

from collections.abc import Sequence

from harness.backends.pytorch.optimizers.base import OptimizedVariable, Optimizer, Slots
from harness.backends.pytorch.optimizers.foreach import Adamax, Ftrl, Lamb, Lion, Nadam, RMSprop, ScheduleFreeAdamW
from harness.backends.pytorch.optimizers.matrices import Adafactor, Muon
from harness.backends.pytorch.optimizers.native import SGD, Adadelta, Adagrad, Adam
from harness.spec import optimizers as spec

__all__ = ["OPTIMIZERS", "OptimizedVariable", "Optimizer", "Slots", "build_optimizer"]


def build_optimizer(
    optimizer: spec.Optimizer, variables: Sequence[OptimizedVariable], dtype: str = "float32", fused: bool = True
) -> Optimizer:
    """The optimizer over these variables. fused: torch's fused kernels, else its for-each ones."""
    return OPTIMIZERS[type(optimizer)](optimizer, variables, dtype, fused)


OPTIMIZERS: dict[type[spec.Optimizer], type[Optimizer]] = {
    spec.SGD: SGD,
    spec.Adam: Adam,
    spec.AdamW: Adam,
    spec.RMSprop: RMSprop,
    spec.Adagrad: Adagrad,
    spec.Adadelta: Adadelta,
    spec.Adamax: Adamax,
    spec.Nadam: Nadam,
    spec.Ftrl: Ftrl,
    spec.Lion: Lion,
    spec.Lamb: Lamb,
    spec.Adafactor: Adafactor,
    spec.Muon: Muon,
    spec.ScheduleFreeAdamW: ScheduleFreeAdamW,
}
