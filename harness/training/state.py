"""A State as the tensors of a canonical checkpoint, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.backends.contract import State
from harness.records.checkpoint import ITERATIONS, OPTIMIZER, load_checkpoint


def to_tensors(state: State) -> dict[str, np.ndarray]:
    """Weights under their names, slots as "optimizer/<slot>/<variable>", iterations."""
    tensors = dict(state.weights)
    for slot, arrays in state.slots.items():
        tensors.update({f"{OPTIMIZER}{slot}/{name}": array for name, array in arrays.items()})
    tensors[ITERATIONS] = np.asarray(state.iterations, np.int64)
    return tensors


def read_state(path: Path | str) -> State:
    """The state in a checkpoint file. Raises SpecError if it is none."""
    checkpoint = load_checkpoint(path)
    slots: dict[str, dict[str, np.ndarray]] = {}
    for name, array in checkpoint.optimizer.items():
        slot, _, variable = name.partition("/")
        if variable:
            slots.setdefault(slot, {})[variable] = array
    return State(dict(checkpoint.weights), slots, checkpoint.iterations or 0)
