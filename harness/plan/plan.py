"""Plan: one phase of a training with nothing left to choose. Frozen; NumPy only.

Both backends play the same plan: the same first weights, the same batches, the same learning rate and the
same random keys at every step.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness.spec.constraints import Constraint
from harness.spec.losses import Loss
from harness.spec.model import ModelSpec
from harness.spec.optimizers import Optimizer
from harness.spec.regularizers import Regularizer


@dataclass(frozen=True)
class Variable:
    """One weight of the model as this phase treats it.

    trainable: the optimizer updates it. multiplier: of the learning rate. decay: decoupled weight decay
    applies to it. penalty: (l1, l2) of its regularizer; (0, 0) for none or while frozen, as in Keras.
    regularizer: of a kind that has no such factors. constraint: what the weight is projected to after each update.
    (The spec, and so its digest, holds these two as well.)
    """

    name: str
    layer: str
    role: str
    shape: tuple[int, ...]
    trainable: bool
    multiplier: float = 1.0
    decay: bool = True
    penalty: tuple[float, float] = (0.0, 0.0)
    regularizer: Regularizer | None = field(default=None, repr=False)
    constraint: Constraint | None = field(default=None, repr=False)

    @property
    def penalized(self) -> bool:
        """Whether the loss holds a term of this weight alone."""
        return self.regularizer is not None or any(self.penalty)


@dataclass(frozen=True)
class Output:
    """One output and its loss. recovered: "softmax" or "sigmoid" if Keras's loss recovers the logits from
    the layer's activation and computes the loss from them (keras/src/backend/tensorflow/nn.py)."""

    name: str
    node: str
    loss: Loss
    weight: float = 1.0
    recovered: str | None = None


@dataclass(frozen=True)
class Tape:
    """The steps of a phase.

    indices int32 [steps, batch]: examples of each batch, -1 beyond the end of a partial one.
    sizes int32 [steps]; learning_rates float64 [steps]; epochs int32 [steps], from 0;
    keys int32 [steps, stochastic calls, 2].
    """

    indices: np.ndarray
    sizes: np.ndarray
    learning_rates: np.ndarray
    epochs: np.ndarray
    keys: np.ndarray

    def __len__(self) -> int:
        return len(self.sizes)

    def runs(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """(start, stop, batch size) of the stretches of equal batch size inside [start, stop)."""
        while start < stop:
            size = int(self.sizes[start])
            different = np.nonzero(self.sizes[start:stop] != size)[0]
            end = start + int(different[0]) if len(different) else stop
            yield start, end, size
            start = end

    def epoch_bounds(self) -> list[tuple[int, int]]:
        """(first step, step after the last) of every epoch."""
        edges = np.nonzero(np.diff(self.epochs))[0] + 1
        bounds = [0, *edges.tolist(), len(self)]
        return list(itertools.pairwise(bounds))


@dataclass(frozen=True)
class Plan:
    """A phase. stochastic: the calls that draw random numbers, in the order of the tape's keys.

    first_iteration: updates made before this phase (an optimizer that goes on keeps counting).
    collect_outputs: training-mode predictions are wanted, for Keras's training metrics.
    """

    name: str
    spec: ModelSpec
    dtype: str
    seed: int
    variables: tuple[Variable, ...]
    outputs: tuple[Output, ...]
    optimizer: Optimizer
    tape: Tape
    stochastic: tuple[str, ...]
    first_iteration: int = 0
    collect_outputs: bool = False
    weighted: bool = False

    @cached_property
    def trainable(self) -> tuple[Variable, ...]:
        return tuple(variable for variable in self.variables if variable.trainable)

    @property
    def recovered(self) -> dict[str, str]:
        """Output call -> activation, where the loss is computed from what comes before it."""
        return {output.node: output.recovered for output in self.outputs if output.recovered}

    @cached_property
    def digest(self) -> str:
        """sha256 over everything that decides the training, first weights apart."""
        parts = hashlib.sha256()
        for text in (self.spec.digest, self.dtype, self.variables, self.outputs, self.optimizer.to_data(),
                     self.stochastic, self.first_iteration, self.weighted):
            parts.update(repr(text).encode())
        for array in (self.tape.indices, self.tape.sizes, self.tape.learning_rates, self.tape.epochs, self.tape.keys):
            parts.update(f"{array.dtype}{array.shape}".encode())
            parts.update(np.ascontiguousarray(array).tobytes())
        return parts.hexdigest()
