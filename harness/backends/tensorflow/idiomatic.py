"""The idiomatic tier in TensorFlow: `compile` and `fit`, as Keras's own tutorials do.

The batches are the tape's, in the tape's order (`shuffle=False` on arrays laid out beforehand), and the
learning rates are the tape's. `fit` reports a running mean; the loss of each step is taken back out of it
in float64, so that it carries that mean's rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.backends.contract import Played
from harness.backends.tensorflow import compilation
from harness.backends.tensorflow.inference import warmed_keras
from harness.backends.tensorflow.optimizers import iterations
from harness.backends.tensorflow.session import Session
from harness.plan.binding import Arrays
from harness.plan.plan import Tape
from harness.spec.remat import in_words


class StepLosses(keras.callbacks.Callback):
    """Sets the rate and the random keys of every step, and takes the step's loss out of fit's running mean. rate: the
    learning rate of a batch of this call of fit."""

    def __init__(
        self, sizes: np.ndarray, rate: Callable[[int], float], keys: tuple[tf.Variable, np.ndarray],
    ) -> None:
        super().__init__()
        self.sizes, self.rate = sizes, rate
        self.keys, self.tape_keys = keys
        self.losses: list[float] = []
        self.total, self.count = 0.0, 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.model.optimizer.learning_rate = self.rate(batch)
        self.keys.assign(self.tape_keys[batch])

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        size = int(self.sizes[batch])
        total = logs["loss"] * (self.count + size)
        self.losses.append((total - self.total) / size)
        self.total, self.count = total, self.count + size


def fits(tape: Tape, start: int, stop: int) -> list[tuple[int, int, int]]:
    """(start, stop, batch size) of the calls of fit: a smaller batch ends one, as the last of an epoch does."""
    found: list[tuple[int, int, int]] = []
    for begin, end, size in tape.runs(start, stop):
        if found and begin > start and end == begin + 1 and size < found[-1][2] == int(tape.sizes[begin - 1]):
            found[-1] = (found[-1][0], end, found[-1][2])
        else:
            found.append((begin, end, size))
    return found


class IdiomaticSession(Session):
    """The same plan through model.fit."""

    data_path = "end_to_end"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.source: Arrays = args[2]  # type: ignore[assignment]
        self.fit_losses: list[float] = []
        # Here fit is called once per window: its end is not yet the training's (see `finish`).
        vars(self.optimizer)["finalize_variable_values"] = lambda variables: None
        self.step_keys = tf.Variable(np.zeros(self.plan.tape.keys.shape[1:], np.int32), trainable=False)
        if self.keys is not None:
            self.keys.start(self.step_keys)
        compiled = self.execution.compile
        self.model.compile(
            optimizer=self.optimizer,
            loss=[self._loss_of(position) for position in range(len(self.model.outputs))],
            loss_weights=[self._factor_of(position) for position in range(len(self.model.outputs))],
            jit_compile="auto" if compiled == "auto" else compiled == "xla",
        )

    def _loss_of(self, position: int) -> object:
        return next((self.losses[i][0] for i, at in enumerate(self.positions) if at == position), None)

    def _factor_of(self, position: int) -> float:
        return next((self.losses[i][1] for i, at in enumerate(self.positions) if at == position), 1.0)

    def train(self, start: int, stop: int) -> None:
        tape = self.plan.tape
        for begin, end, size in fits(tape, start, stop):
            rows = tape.indices[begin:end]
            rows = rows[rows >= 0]
            x = [self.source.x[item.name][rows] for item in self.plan.spec.inputs]
            y = [self.source.y[output.name][rows] for output in self.plan.outputs]
            weights = None if self.source.sample_weight is None else self.source.sample_weight[rows]
            steps = StepLosses(tape.sizes[begin:end], functools.partial(self._rate, begin),
                               (self.step_keys, tape.keys[begin:end]))
            self.model.fit(
                x if len(x) > 1 else x[0], y if len(y) > 1 else y[0], sample_weight=weights, batch_size=size,
                epochs=1, shuffle=False, verbose=0, callbacks=[steps],
            )
            self.fit_losses += steps.losses

    def _rate(self, begin: int, batch: int) -> float:
        step = begin + batch
        if self.execution.scales_loss:  # see Session.update
            step = min(iterations(self.optimizer) - self.plan.first_iteration, step)
        return float(self.plan.tape.learning_rates[step])

    def collect(self) -> Played:
        losses, self.fit_losses = np.asarray(self.fit_losses), []
        return Played(losses, None)

    def inference(self, batch_size: int) -> Callable[[], None]:
        return warmed_keras(self.model, self._inputs(), batch_size)

    def compilation(self) -> dict[str, Any]:
        found = compilation.found(
            compilation.functions_of(self.model.train_function), "xla" if self.model.jit_compile else "graph",
            self.counted)
        self.counted = found["programs"]
        return found

    def program(self) -> str:
        return f"model.fit{in_words(self.plan.spec, self.execution.remat)}"
