"""Targets of the losses that read them as numbers of classes without one prediction for each: CTC and Circle."""

from __future__ import annotations

import numpy as np

from harness.errors import DataError
from harness.plan.plan import Output
from harness.spec.layers.base import Shape
from harness.spec.losses import CTC


def label_target(array: np.ndarray, output: Output, shape: Shape, where: str) -> np.ndarray:
    """int32 labels: [n, length] for CTC, [n] for Circle. Raises DataError for what Keras would read otherwise.

    shape: the output's, batch first.
    """
    name, kind = output.name, type(output.loss).__name__
    if not np.issubdtype(array.dtype, np.integer) and not np.array_equal(array, np.floor(array)):
        raise DataError(f"{kind} needs integer labels, the data has {array.dtype} values.", where=where)
    if isinstance(output.loss, CTC):
        if array.ndim != 2 or len(shape) != 3:
            raise DataError(
                f"CTC needs labels [examples, length] and an output of (steps, classes), got {array.shape} and "
                f"{shape[1:]} at {name!r}.", where=where)
        _check_sequences(array, name, shape, where)
        return np.ascontiguousarray(array, dtype=np.int32)
    if array.shape[1:] not in ((), (1,)) or len(shape) != 2:
        raise DataError(f"{kind} needs one label per example and an output of (features,), got {array.shape[1:]} and "
                        f"{shape[1:]} at {name!r}.", where=where)
    return np.ascontiguousarray(array.reshape(len(array)), dtype=np.int32)


def _check_sequences(labels: np.ndarray, name: str, shape: Shape, where: str) -> None:
    steps, classes = shape[1:]
    if classes is not None and labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise DataError(f"labels out of range: the output {name!r} has the classes 1 to {classes - 1} and the blank 0, "
                        f"the data has labels from {labels.min()} to {labels.max()}.", where=where)
    present = labels != 0
    if (np.diff(present.astype(np.int8), axis=1) > 0).any():
        raise DataError("0 is CTC's blank: among the labels it may only stand behind the last.", where=where,
                        hint="Number the classes from 1.")
    # Between two equal labels there must be a blank.
    needed = present.sum(1) + ((labels[:, 1:] == labels[:, :-1]) & present[:, 1:]).sum(1)
    if steps is not None and len(labels) and needed.max() > steps:
        raise DataError(f"the output {name!r} has {steps} steps, an example's labels need {needed.max()}: its loss "
                        "would be infinite.", where=where, hint="Give the model more steps.")
