"""Trainings that every program must play alike: what test_programs.py runs in each framework. No framework here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import Input, Model, layers
from harness.backends.contract import Backend, Session, State
from harness.certify.controls import one_half_ulp, one_ulp
from harness.plan.binding import Arrays
from harness.plan.compiler import compile_phase
from harness.plan.initial import initial_weights
from harness.spec.execution import MIXED, Execution
from harness.spec.recipe import Recipe

# Batches of 8, 8 and 4, twice: both sizes come back.
EXAMPLES, BATCH, EPOCHS = 20, 8, 2
CLASSES = 3


def mlp() -> Any:
    h = image = Input((4, 4), name="image")
    h = layers.Dense(8, activation="relu", kernel_regularizer="l2")(layers.Flatten()(h))
    return Model(image, layers.Dense(CLASSES, activation="softmax", name="label")(layers.Dropout(0.3)(h)), name="mlp")


def cnn() -> Any:
    h = image = Input((8, 8, 2), name="image")
    h = layers.Conv2D(4, 3, padding="same", use_bias=False)(h)
    h = layers.MaxPooling2D(2)(layers.ReLU()(layers.BatchNormalization()(h)))
    h = layers.Dropout(0.3)(layers.Flatten()(h))
    return Model(image, layers.Dense(CLASSES, activation="softmax", name="label")(h), name="cnn")


def lstm() -> Any:
    words = Input((5,), dtype="int32", name="words")
    h = layers.LSTM(6)(layers.Embedding(9, 4, mask_zero=True)(words))
    return Model(words, layers.Dense(CLASSES, activation="softmax", name="label")(h), name="lstm")


def plain_lstm() -> Any:
    steps = Input((5, 4), name="steps")
    return Model(steps, layers.Dense(CLASSES, activation="softmax", name="label")(layers.LSTM(6)(steps)), name="plain")


def transformer() -> Any:
    words = Input((5,), dtype="int32", name="words")
    h = layers.Embedding(9, 8)(words)
    # Without biases: a key's bias moves no softmax, its gradient is rounding and nothing else.
    attended = layers.MultiHeadAttention(2, 4, dropout=0.1, use_bias=False)(h, h)
    h = layers.LayerNormalization()(layers.Add()([h, attended]))
    h = layers.LayerNormalization()(layers.Add()([h, layers.Dense(8)(layers.Dense(16, activation="gelu")(h))]))
    pooled = layers.GlobalAveragePooling1D()(h)
    return Model(words, [layers.Dense(CLASSES, activation="softmax", name="label")(pooled),
                         layers.Dense(1, name="value")(pooled)], name="transformer")


SCHEDULE = {"ExponentialDecay": {"initial_learning_rate": 0.05, "decay_steps": 2, "decay_rate": 0.8}}
RECIPES: dict[str, Any] = {
    "adam": {"Adam": {"learning_rate": 0.01}},
    "schedule, clipping, average": {"SGD": {
        "learning_rate": SCHEDULE, "momentum": 0.9, "nesterov": True, "clipnorm": 0.5, "use_ema": True,
        "ema_overwrite_frequency": 4, "weight_decay": 1e-3}},
    "accumulation": {"AdamW": {"gradient_accumulation_steps": 2, "global_clipnorm": 1.0}},
    "loss scale": {"RMSprop": {"loss_scale_factor": 8.0, "clipvalue": 0.1}},
}
MODELS: dict[str, Callable[[], Any]] = {
    "mlp": mlp, "cnn": cnn, "lstm": lstm, "plain lstm": plain_lstm, "transformer": transformer}


@dataclass
class Case:
    """A plan with its data. dtype: a precision. weighted: examples have weights."""

    model: str
    recipe: str = "adam"
    dtype: str = "float64"
    weighted: bool = False

    def __post_init__(self) -> None:
        self.spec = MODELS[self.model]()
        kept = Execution(precision=self.dtype).dtype
        rng = np.random.default_rng(0)
        x = {item.name: rng.integers(0, 9, (EXAMPLES, *item.shape[1:])).astype(np.int32)
             if item.dtype == "int32" else rng.normal(size=(EXAMPLES, *item.shape[1:])).astype(kept)
             for item in self.spec.inputs}
        losses = {"label": "sparse_categorical_crossentropy", "value": "mse"}
        names = self.spec.outputs
        loss = {name: losses[name] for name in names} if len(names) > 1 else losses[names[0]]
        recipe = Recipe(loss=loss, optimizer=RECIPES[self.recipe], batch_size=BATCH, epochs=EPOCHS)
        self.plan = compile_phase(
            self.spec, recipe.resolved_phases()[0], index=0, examples=EXAMPLES, seed=0, dtype=kept,
            collect_outputs=True, weighted=self.weighted)
        y = {"label": rng.integers(0, CLASSES, EXAMPLES).astype(np.int32),
             "value": rng.normal(size=(EXAMPLES, 1)).astype(kept)}
        weight = rng.random(EXAMPLES).astype(kept) if self.weighted else None
        self.arrays = Arrays(x, {name: y[name] for name in names}, weight)
        self.state = State(initial_weights(self.spec, 0))

    def open(self, backend: Backend, **execution: Any) -> Session:
        wanted = Execution(device="cpu", precision=self.dtype, **execution)
        backend.configure(wanted)
        return backend.open(self.plan, self.state, self.arrays, wanted)

    def played(self, session: Session, *, lock_step: bool = False, moved: bool = False) -> dict[str, np.ndarray]:
        """Everything that a training leaves, by name. moved: from weights that are one ulp away."""
        first = session.state()
        if moved:
            half = MIXED.get(self.dtype)
            near = one_half_ulp(first.weights, half, 0) if half else one_ulp(first.weights, self.dtype, 0)
            session.load(State(near, {}, 0))
        played = []
        for begin, end in self.plan.tape.epoch_bounds():
            for start, stop in [(step, step + 1) for step in range(begin, end)] if lock_step else [
                    (begin, begin + 1), (begin + 1, end)]:
                session.train(start, stop)
            session.wait()
            played.append(session.collect())
        if self.plan.optimizer.use_ema:
            session.finish()
        left = session.state()
        found = {"losses": np.concatenate([item.losses for item in played]),
                 "iterations": np.asarray(left.iterations), **left.weights}
        found |= {f"slot {slot} {name}": array for slot, arrays in left.slots.items() for name, array in arrays.items()}
        for index in range(len(self.plan.outputs)):
            found[f"output {index}"] = np.concatenate([item.outputs[index] for item in played if item.outputs])
        if len(self.plan.outputs) > 1:
            found["parts"] = np.concatenate([item.parts for item in played if item.parts is not None])
        return {name: np.array(array) for name, array in found.items()}


def furthest(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> tuple[float, str]:
    """(largest difference of an array, relative to its largest number; whose)."""
    assert set(ours) == set(theirs), set(ours) ^ set(theirs)
    apart = {}
    for name, array in theirs.items():
        assert ours[name].shape == array.shape, name
        scale = max(float(np.max(np.abs(array), initial=0.0)), 1e-6)
        apart[name] = float(np.max(np.abs(ours[name].astype(np.float64) - array), initial=0.0)) / scale
    worst = max(apart, key=lambda name: apart[name])
    return apart[worst], worst


def same(backend: Backend, case: Case, program: str) -> str | None:
    """What is wrong with a program: in float64 it is the lock-step training to 1e-9, else to ten times what one ulp
    (in mixed precision: of the half type) in the first weights makes of it."""
    reference = case.played(case.open(backend, compile="none"), lock_step=True)
    session = case.open(backend, program=program)
    apart, name = furthest(case.played(session), reference)
    limit = 1e-9
    if case.dtype != "float64":
        control, _ = furthest(case.played(case.open(backend, compile="none"), lock_step=True, moved=True), reference)
        limit = max(10 * control, 1e-5)
    session.close()
    return None if apart <= limit else f"{name} differs by {apart:.3g}, {limit:.3g} is allowed"
