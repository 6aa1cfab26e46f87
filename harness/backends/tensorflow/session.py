"""Plays a plan in TensorFlow: a real keras.Model and a train step whose loop over steps runs inside the
framework (tf.while_loop), compiled by XLA where that pays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from harness.backends.contract import Played, State, Weights
from harness.backends.tensorflow import compilation, inference, programs, runtime, session_trace
from harness.backends.tensorflow.losses import loss_function
from harness.backends.tensorflow.model import build_model, get_weights, set_weights, variables, whole
from harness.backends.tensorflow.optimizers import (
    KERNEL_OPTIMIZERS,
    apply,
    build_optimizer,
    finish,
    inner,
    iterations,
    load_named_slots,
    loss_scaled,
    named_slots,
    schedule_step,
)
from harness.backends.tensorflow.randomness import keys_of
from harness.backends.tensorflow.remat import rematerialize
from harness.backends.tensorflow.resident import (
    data_on_device,
    is_replaceable,
    replace_rows,
    replaceable,
    tape_on_device,
)
from harness.plan.binding import Arrays
from harness.plan.plan import Plan
from harness.spec.execution import Execution
from harness.spec.remat import in_words

# (inputs, targets, sample weights) of a step.
Batch = tuple[list[tf.Tensor], list[tf.Tensor], tf.Tensor | None]


class Session:
    """One phase: see backends/contract.py."""

    data_path = "compute"
    # Programs at the last call of `compilation`.
    counted: int | None = None

    def __init__(self, plan: Plan, state: State, data: Arrays, execution: Execution) -> None:
        self.plan, self.execution = plan, execution
        self.keys = keys_of(plan) if execution.uses_tape else None
        self.model = build_model(plan.spec, state.weights, execution.policy, self.keys)
        self.remat = rematerialize(self.model, execution, self.keys)
        table = variables(self.model)
        self.trainable = [table[variable.name] for variable in plan.trainable]
        self.multipliers = [variable.multiplier for variable in plan.trainable]
        self.program_name = programs.program_of(execution, plan)
        self.xla = self.program_name != programs.GRAPH_LOOP
        self.optimizer = build_optimizer(
            plan.optimizer, plan.dtype, fused=programs.has_kernels(execution, self.program_name),
            no_decay=[table[variable.name] for variable in plan.trainable if not variable.decay],
        )
        if execution.scales_loss:
            self.optimizer = loss_scaled(self.optimizer, execution.initial_scale, execution.dynamic_growth_steps)
        self.optimizer.build(self.trainable)
        self.losses = [(loss_function(output.loss, plan.dtype), output.weight) for output in plan.outputs]
        self.positions = [plan.spec.outputs.index(output.node) for output in plan.outputs]
        self.data = data_on_device(data)
        self.tape = tape_on_device(plan)
        self.kept_losses = tf.Variable(tf.zeros(len(plan.tape), plan.dtype), trainable=False)
        several = len(plan.outputs) > 1
        self.kept_parts = (
            tf.Variable(tf.zeros((len(plan.tape), len(plan.outputs)), plan.dtype), trainable=False) if several else None
        )
        self.part_losses: dict[str, float] = {}
        self.kept_outputs: list[tf.Variable] | None = None
        self.played = (0, 0)
        self._loops: dict[int, Any] = {}
        self._steps: dict[int, Any] = {}  # where each is a program of its own
        self._evaluations: dict[int, Any] = {}
        self.load(state)

    # -- training

    def train(self, start: int, stop: int) -> None:
        first = self._first(start)
        for begin, end, size in self.plan.tape.runs(start, stop):
            self._loop(size)(tf.constant(begin), tf.constant(end), tf.constant(first))
        self.played = (first, stop)

    def play(self, step: int) -> None:
        """One step as `train(step, step + 1)` plays it, but eagerly: every tensor can be looked at."""
        first = self._first(step)
        self._step(tf.constant(step), int(self.plan.tape.sizes[step]), tf.constant(first))
        self.played = (first, step + 1)

    def _first(self, start: int) -> int:
        """The first step whose losses and outputs the next `collect` gives, if the next step is `start`."""
        if self.plan.collect_outputs and self.kept_outputs is None:
            self._reserve_outputs()
        return self.played[0] if self.played[1] == start and self.played[0] < start else start

    def _reserve_outputs(self) -> None:
        longest = max(end - begin for begin, end in self.plan.tape.epoch_bounds())
        rows = longest * self.plan.tape.indices.shape[1]
        self.kept_outputs = [
            tf.Variable(tf.zeros((rows, *self.model.outputs[position].shape[1:]), self.plan.dtype), trainable=False)
            for position in self.positions
        ]

    def _loop(self, size: int) -> Any:
        """The compiled loop over steps of one batch size: (start, stop, first collected step)."""
        if size in self._loops:
            return self._loops[size]

        def one(step: tf.Tensor, first: tf.Tensor) -> None:
            self._step(step, size, first)

        play: Any = one
        if self.program_name == programs.XLA_STEP:
            play = self._steps[size] = tf.function(one, jit_compile=True, autograph=False)

        def loop(start: tf.Tensor, stop: tf.Tensor, first: tf.Tensor) -> None:
            def body(step: tf.Tensor) -> tuple[tf.Tensor]:
                play(step, first)
                return (step + 1,)

            tf.while_loop(lambda step: step < stop, body, (start,), parallel_iterations=1)

        # As in Keras's fit: nothing here or in a layer is Python that has to become graph.
        self._loops[size] = tf.function(
            loop, jit_compile=self.program_name == programs.XLA_LOOP, reduce_retracing=True, autograph=False)
        return self._loops[size]

    def _step(self, step: tf.Tensor, size: int, first: tf.Tensor) -> None:
        batch = self.batch(step, size)
        predictions, total, parts, gradients = self._gradients(step, batch)
        self.update(step, gradients)
        self.kept_losses.scatter_nd_update([[step]], [total])
        if self.kept_parts is not None:
            self.kept_parts.scatter_nd_update([[step]], [tf.stack(parts)])
        if self.kept_outputs is not None:
            width = self.plan.tape.indices.shape[1]
            places = ((step - first) * width + tf.range(size))[:, None]
            for kept, position in zip(self.kept_outputs, self.positions, strict=True):
                kept.scatter_nd_update(places, whole(tf.stop_gradient(predictions[position])))

    def batch(self, step: tf.Tensor, size: int) -> Batch:
        """The examples of a step."""
        rows = self._at("indices", step)[:size]
        rows.set_shape((size,))
        x = [tf.gather(self.data["x"][item.name], rows) for item in self.plan.spec.inputs]
        targets = [tf.gather(self.data["y"][output.name], rows) for output in self.plan.outputs]
        return x, targets, None if self.data["w"] is None else tf.gather(self.data["w"], rows)

    def _at(self, name: str, step: tf.Tensor) -> tf.Tensor:
        """A row of the tape. Not as a slice: a program that XLA compiles for one step would be another at every one."""
        return tf.gather(self.tape[name], step)

    def _gradients(self, step: tf.Tensor, batch: Batch) -> tuple[list[tf.Tensor], tf.Tensor, list[tf.Tensor], Any]:
        """(predictions, total loss, each output's own loss, the scaled loss's gradients by the trainable weights)."""
        x, targets, weights = batch
        if self.keys is not None:
            self.keys.start(self._at("keys", step))
        with self.gradient_tape() as tape:
            predictions = self.predictions(x, training=True)
            total, parts = self.total_loss(predictions, targets, weights)
            scaled = self.optimizer.scale_loss(total)
        return predictions, total, parts, tape.gradient(scaled, self.trainable)

    def gradient_tape(self) -> tf.GradientTape:
        """What a step records its gradients on."""
        return tf.GradientTape()

    def update(self, step: tf.Tensor, gradients: Any) -> None:
        """The optimizer's update of a step."""
        step = schedule_step(self.optimizer, step, self.plan.first_iteration)
        apply(self.optimizer, gradients, self.trainable, self._at("learning_rates", step), self.multipliers)

    def predictions(self, x: list[tf.Tensor], training: bool) -> list[tf.Tensor]:
        outputs = self.model(x if len(x) > 1 else x[0], training=training)
        return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]

    def total_loss(
        self, predictions: list[tf.Tensor], targets: list[tf.Tensor], weights: tf.Tensor | None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """(loss of a batch with regularisation, as keras.Trainer.compute_loss sums it; each output's own loss)."""
        terms, parts = [], []
        for (function, factor), position, target in zip(self.losses, self.positions, targets, strict=True):
            value = function(target, predictions[position], sample_weight=weights)
            parts.append(value)
            terms.append(value if factor == 1.0 else value * tf.constant(factor, self.plan.dtype))
        added = len(terms) + len(self.model.losses) > 1
        return (tf.add_n([*terms, *map(whole, self.model.losses)]) if added else terms[0]), parts

    def replace(self, rows: np.ndarray, data: Arrays) -> None:
        if not is_replaceable(self.data):
            self.data = replaceable(self.data)
            self._loops, self._steps = {}, {}  # compiled for tensors, they would go on with those
        replace_rows(self.data, rows, data)

    def finish(self) -> None:
        finish(self.optimizer, self.trainable)

    def wait(self) -> None:
        runtime.wait()

    def collect(self) -> Played:
        start, stop = self.played
        losses = self.kept_losses.numpy()[start:stop].astype(np.float64)
        outputs = None
        if self.kept_outputs is not None:
            valid = (self.plan.tape.indices[start:stop] >= 0).reshape(-1)
            outputs = tuple(kept.numpy()[: len(valid)][valid] for kept in self.kept_outputs)
        self.played = (stop, stop)
        parts = None if self.kept_parts is None else self.kept_parts.numpy()[start:stop].astype(np.float64)
        return Played(losses, outputs, parts)

    # -- inference

    def evaluate(self, arrays: Arrays, batch_size: int) -> tuple[float, tuple[np.ndarray, ...]]:
        outputs: list[list[np.ndarray]] = [[] for _ in self.plan.outputs]
        total, count = 0.0, len(arrays)
        sums = np.zeros(len(self.plan.outputs))
        function = self._evaluation()
        for begin in range(0, count, batch_size):
            part = slice(begin, begin + batch_size)
            x = [tf.convert_to_tensor(arrays.x[item.name][part]) for item in self.plan.spec.inputs]
            y = [tf.convert_to_tensor(arrays.y[output.name][part]) for output in self.plan.outputs]
            weights = None if arrays.sample_weight is None else tf.convert_to_tensor(arrays.sample_weight[part])
            loss, parts, predictions = function(x, y, weights)
            total += float(loss) * len(x[0])
            if len(parts) > 1:
                sums += np.array([float(part) for part in parts])
            for kept, position in zip(outputs, self.positions, strict=True):
                kept.append(predictions[position].numpy())
        if len(sums) > 1:
            means = sums / -(-count // batch_size)
            self.part_losses = {output.name: float(mean) for output, mean in zip(self.plan.outputs, means, strict=True)}
        return total / count, tuple(np.concatenate(kept) for kept in outputs)

    def _evaluation(self) -> Any:
        if 0 not in self._evaluations:
            def evaluation(x: Any, y: Any, weights: Any) -> Any:
                predictions = self.predictions(x, training=False)
                return *self.total_loss(predictions, y, weights), [whole(item) for item in predictions]

            self._evaluations[0] = tf.function(evaluation, reduce_retracing=False, autograph=False)
        return self._evaluations[0]

    def predict(self, x: Mapping[str, np.ndarray], batch_size: int) -> tuple[np.ndarray, ...]:
        # Kept: what writes a text asks again for every token.
        call = self._evaluations.setdefault(1, inference.calling(self.model))
        return inference.predict(self.model, self.plan.spec, x, batch_size, call)

    def inference(self, batch_size: int) -> Callable[[], None]:
        return inference.warmed(lambda x: self.predictions(x, training=False), self._inputs(), batch_size, xla=self.xla)

    def _inputs(self) -> list[tf.Tensor]:
        return [self.data["x"][item.name] for item in self.plan.spec.inputs]

    # -- state

    def state(self) -> State:
        found = named_slots(self.optimizer, self.trainable, [variable.name for variable in self.plan.trainable])
        return State(get_weights(self.model), found, iterations(self.optimizer))

    def load(self, state: State) -> None:
        set_weights(self.model, state.weights)
        names = [variable.name for variable in self.plan.trainable]
        load_named_slots(self.optimizer, self.trainable, names, state.slots, state.iterations)

    # -- for the certificate

    def readback(self) -> Weights:
        return session_trace.readback(self)

    def trace(self, step: int) -> Weights:
        return session_trace.trace(self, step)

    def forced(self, step: int, teacher: Mapping[str, np.ndarray]) -> Weights:
        return session_trace.forced(self, step, teacher)

    def compilation(self) -> dict[str, Any]:
        found = compilation.found((self._steps or self._loops).values(), "xla" if self.xla else "graph", self.counted)
        self.counted = found["programs"]
        return found

    def peak_bytes(self) -> int | None:
        return runtime.peak_bytes()

    def program(self) -> str:
        update = ", fused optimizer" if isinstance(inner(self.optimizer), KERNEL_OPTIMIZERS) else ", stock optimizer"
        twice = in_words(self.plan.spec, self.execution.remat)
        return f"tf.while_loop over steps, {programs.IN_WORDS[self.program_name]}{update}{twice}"

    def close(self) -> None:
        self._loops.clear()
        self._steps.clear()
        self._evaluations.clear()
