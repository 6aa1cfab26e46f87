"""The program of test_session_trace_tensorflow.py: what a session tells of itself against what its training does.

python session_trace_tensorflow.py FILE writes {check: None or what went wrong} as JSON. TensorFlow alone.
"""

from __future__ import annotations

import json
import sys
import traceback
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

from harness import Input, Model, layers
from harness.backends.contract import State
from harness.backends.tensorflow.backend import BACKEND
from harness.plan import randomness
from harness.plan.binding import bind
from harness.plan.compiler import compile_phase
from harness.plan.initial import initial_weights
from harness.spec.execution import Execution
from harness.spec.recipe import Recipe

EXAMPLES, BATCH, STEPS = 10, 6, 4
L2 = float(np.float32(0.01))  # Keras keeps the factor in float32
OPTIMIZER = {"learning_rate": 0.01, "epsilon": 1e-5, "clipnorm": 0.5}


def model():
    """Images and words: a shared layer, a mask, states, a tensor passed on as it is, one multiplied by itself."""
    image, words = Input((6, 6, 2), name="image"), Input((3,), dtype="int32", name="words")
    x = layers.Conv2D(3, 3, activation="relu", kernel_regularizer="l2", name="conv")(image)
    x = layers.Flatten(name="flat")(layers.BatchNormalization(name="bn")(x))
    shared, norm, drop = (layers.Dense(4, activation="tanh", name="shared"), layers.BatchNormalization(name="norm"),
                          layers.Dropout(0.4, name="drop"))
    first = drop(norm(shared(layers.Dense(4, name="narrow")(x))))
    second = drop(norm(shared(first)))
    e = layers.Embedding(7, 4, mask_zero=True, name="embedding")(words)
    y, h, c = layers.LSTM(4, return_sequences=True, return_state=True, dropout=0.2, name="lstm")(e)
    y = layers.LSTM(4, name="last")(y, initial_state=[h, c])
    kept = layers.Dropout(0.0, activity_regularizer="l2", name="nothing")(h)
    merged = layers.Concatenate(name="merged")([second, y, kept])
    square = layers.Multiply(name="square")([merged, merged])
    return Model([image, words], [layers.Dense(3, activation="softmax", name="label")(merged),
                                  layers.Dense(1, name="value")(square)])


def session(dtype="float64", **changes):
    """A session before its first step: steps of 6, 4, 6 and 4 examples."""
    rng = np.random.default_rng(0)
    x = {"image": rng.normal(size=(EXAMPLES, 6, 6, 2)), "words": rng.integers(0, 7, (EXAMPLES, 3))}
    y = {"label": rng.integers(0, 3, EXAMPLES), "value": rng.normal(size=(EXAMPLES, 1))}
    recipe = {"loss": {"label": "sparse_categorical_crossentropy", "value": "mse"}, "batch_size": BATCH, "epochs": 2,
              "loss_weights": {"label": 1.0, "value": 0.3}, "optimizer": {"Adam": OPTIMIZER}, **changes}
    return opened(model(), x, y, rng.random(EXAMPLES), recipe, dtype)


def opened(spec, x, y, sample_weight, recipe, dtype):
    phase = Recipe(**recipe).resolved_phases()[0]
    plan = compile_phase(spec, phase, index=0, examples=len(next(iter(y.values()))), seed=0, dtype=dtype,
                         weighted=sample_weight is not None)
    split = SimpleNamespace(x=x, y=y, sample_weight=sample_weight)
    execution = Execution(device="cpu", precision=dtype, compile="none")
    BACKEND.configure(execution)
    return BACKEND.open(plan, State(initial_weights(spec, 0)), bind(split, spec, plan.outputs, dtype), execution)


def teacher_of(found):
    return {**found, "forward image": found["data x image"], "forward words": found["data x words"]}


class Checks:
    """Sessions are made once: building them is what takes time."""

    def __init__(self):
        self.session, self.trained = session(), session()
        self.plan = self.session.plan
        self.readback = self.session.readback()
        self.before = self.session.state()
        self.found = self.session.trace(0)
        self.trained.train(0, 1)
        self.after = self.trained.state()
        self.session.load(self.before)
        self.forced = self.session.forced(0, teacher_of(self.found))

    def check_the_readback_is_the_plan(self):
        tape = self.plan.tape
        for name, wanted in (("indices", tape.indices), ("learning_rates", tape.learning_rates), ("keys", tape.keys)):
            np.testing.assert_array_equal(self.readback[name], wanted)
        assert (self.readback["indices"] == -1).sum() == 4
        settings = {name: float(self.readback[f"setting {name}"]) for name in ("epsilon", "clipnorm", "beta_2")}
        assert settings == {"epsilon": 1e-5, "clipnorm": 0.5, "beta_2": 0.999}, settings
        multipliers = [name for name in self.readback if name.startswith("multiplier ")]
        assert multipliers == [f"multiplier {item.name}" for item in self.plan.trainable]

    def check_a_traced_step_is_a_trained_step(self):
        trainable = [item.name for item in self.plan.trainable]
        for name, array in self.after.weights.items():
            assert not np.array_equal(array, self.before.weights[name]), name
            kind = "weight" if name in trainable else "state"
            np.testing.assert_allclose(self.found[f"{kind} {name}"], array, rtol=1e-11, atol=1e-13, err_msg=name)
        for slot, arrays in self.after.slots.items():
            for name, array in arrays.items():
                np.testing.assert_allclose(self.found[f"slot {slot} {name}"], array, rtol=1e-9, atol=1e-15)
        assert self.found["iterations"] == 1
        assert self.found["learning rate"] == 0.01

    def check_the_next_steps_go_on_from_a_traced_one(self):
        self.session.load(self.before)
        self.session.trace(0)
        self.session.train(1, 2)
        self.trained.train(1, 2)
        losses = [item.collect().losses for item in (self.session, self.trained)]
        assert [len(item) for item in losses] == [1, 2]
        np.testing.assert_allclose(losses[0], losses[1][1:], rtol=1e-10)
        self.session.load(self.before)
        np.testing.assert_allclose(self.found["loss"], losses[1][0], rtol=1e-12)
        assert self.session.trace(3)["data x image"].shape == (4, 6, 6, 2)
        self.session.load(self.before)

    def check_the_batch_and_the_loss(self):
        rows = self.plan.tape.indices[0]
        for name, array in (("data x image", self.session.data["x"]["image"]), ("data y label", None),
                            ("data sample_weight", self.session.data["w"])):
            wanted = self.session.data["y"]["label"] if array is None else array
            np.testing.assert_array_equal(self.found[name], wanted.numpy()[rows])
        loss = self.found["loss"]
        parts = self.found["loss part label"] + 0.3 * self.found["loss part value"]
        kernel = self.before.weights["conv/kernel"]
        penalties = L2 * (kernel ** 2).sum() + L2 * (self.found["forward nothing"] ** 2).sum() / BATCH
        np.testing.assert_allclose(parts + penalties, loss, rtol=1e-12)

    def check_every_tensor_has_its_arrays(self):
        tensors = {name for node in self.plan.spec.nodes for name in self.plan.spec.tensors
                   if name.split(":")[0] == node.name}
        for kind in ("forward", "inference"):
            assert {name.removeprefix(kind + " ") for name in self.found if name.startswith(kind + " ")} == tensors
        by = {name.removeprefix("gradient ") for name in self.found if name.startswith("gradient ")}
        assert by == tensors | {"image"}, by
        for name in tensors:
            assert self.found[f"gradient {name}"].shape == self.found[f"forward {name}"].shape

    def check_drawn_bits_are_those_of_the_tape(self):
        for call, node in enumerate(self.plan.stochastic):
            bits = self.found[f"random {node} 0"]
            wanted = randomness.bits(self.plan.tape.keys[0, call], bits.size)
            np.testing.assert_array_equal(bits, wanted)
        assert self.found["random drop 0"].shape == (BATCH * 4,)
        assert "random drop 1" not in self.found

    def check_gradients_of_tensors_add_up(self):
        """A tensor's gradient is the sum of what its readers' calls give back, when forced with the same tensors."""
        readers = {}
        for node in self.plan.spec.nodes:
            for reference, index in {name: index for index, name in enumerate(node.inputs)}.items():
                if f"input gradient {node.name} {index}" in self.forced:
                    readers.setdefault(reference, []).append(self.forced[f"input gradient {node.name} {index}"])
        checked = 0
        for reference, parts in readers.items():
            # Not those that a loss or a state reads as well, nor what a penalty adds to.
            if reference in ("merged", "square", "nothing", "lstm:1", "lstm:2"):
                continue
            wanted = self.found[f"gradient {reference}"]
            np.testing.assert_allclose(sum(parts), wanted, rtol=1e-9, atol=1e-12, err_msg=reference)
            checked += 1
        assert checked >= 9, checked

    def check_forced_outputs_are_the_traced_ones(self):
        for name, array in self.found.items():
            kind, _, reference = name.partition(" ")
            if kind == "forward":
                np.testing.assert_allclose(self.forced[f"output {reference}"], array, rtol=1e-12, atol=1e-14)
            if kind == "state":
                np.testing.assert_allclose(self.forced[name], array, rtol=1e-12, err_msg=name)
        for name in ("narrow/kernel", "shared/kernel", "bn/gamma", "lstm/kernel", "value/kernel"):
            np.testing.assert_allclose(self.forced[f"weight gradient {name}"], self.found[f"weight gradient {name}"],
                                       rtol=1e-9, atol=1e-12, err_msg=name)
        by_penalty = self.forced["weight gradient conv/kernel"] + 2 * L2 * self.before.weights["conv/kernel"]
        np.testing.assert_allclose(by_penalty, self.found["weight gradient conv/kernel"], rtol=1e-9, atol=1e-12)

    def check_forced_feeds_the_teacher_alone(self):
        teacher = teacher_of(self.found)
        teacher["forward narrow"] = teacher["forward narrow"] + 1.0
        moved = self.session.forced(0, teacher)
        changed = {name.removeprefix("output ") for name, array in moved.items()
                   if name.startswith("output ") and not np.array_equal(array, self.forced[name])}
        assert changed == {"shared"}, changed
        np.testing.assert_allclose(moved["inference shared"], moved["output shared"], rtol=1e-12)

    def check_forced_leaves_no_trace(self):
        again = self.session.forced(0, teacher_of(self.found))
        assert again.keys() == self.forced.keys()
        for name, array in self.forced.items():
            np.testing.assert_array_equal(again[name], array, err_msg=name)
        state = self.session.state()
        for name, array in self.before.weights.items():
            np.testing.assert_array_equal(state.weights[name], array)
        assert state.iterations == 0

    def check_scaled_losses_give_plain_gradients(self):
        scaled = session(optimizer={"Adam": {**OPTIMIZER, "loss_scale_factor": 1024.0}}).trace(0)
        for name, array in self.found.items():
            if "gradient " in name or name == "loss":
                np.testing.assert_allclose(scaled[name], array, rtol=1e-9, atol=1e-13, err_msg=name)

    def check_masks_that_attention_takes_are_gone(self):
        """Keras's MultiHeadAttention takes the mask off its inputs, and the loss of such an input counts every step."""
        steps = Input((3, 4), name="steps")
        near = layers.Dense(2, name="near")(layers.Masking()(steps))
        far = layers.Dense(1, name="far")(layers.MultiHeadAttention(1, 2)(near, near))
        rng = np.random.default_rng(1)
        x, y = {"steps": rng.normal(size=(4, 3, 4))}, {"near": rng.normal(size=(4, 3, 2))}
        x["steps"][:2, 1:] = 0.0
        made = opened(Model(steps, [near, far]), x, {**y, "far": rng.normal(size=(4, 3, 1))}, None,
                      {"loss": "mse", "batch_size": 4, "optimizer": "sgd"}, "float64")
        before = made.state()
        found = made.trace(0)
        made.load(before)
        made.train(0, 1)
        np.testing.assert_allclose(found["loss"], made.collect().losses[0], rtol=1e-12)
        rows = made.plan.tape.indices[0]
        np.testing.assert_allclose(found["loss part near"], ((found["forward near"] - y["near"][rows]) ** 2).mean())

    def check_float32_is_near(self):
        found = session("float32").trace(0)
        assert found.keys() == self.found.keys()
        assert found["forward conv"].dtype == np.float32
        for name, array in found.items():
            if name.startswith(("forward", "gradient")):
                np.testing.assert_allclose(array, self.found[name], rtol=1e-3, atol=1e-4, err_msg=name)

    def check_a_planted_fault_shows(self):
        faulty = self.session
        own = type(faulty).update
        try:
            type(faulty).update = lambda self, step, gradients: own(self, step, [-tf.convert_to_tensor(value)
                                                                                for value in gradients])
            found = faulty.trace(0)
        finally:
            type(faulty).update = own
            faulty.load(self.before)
        np.testing.assert_allclose(found["gradient narrow"], self.found["gradient narrow"], rtol=1e-12)
        slot = "slot m value/kernel"
        assert not np.allclose(found[slot], self.found[slot], rtol=1e-3)


def main(file):
    results = {}
    try:
        checks = Checks()
    except Exception:
        results["the sessions"] = traceback.format_exc()
    else:
        for name in dir(checks):
            if name.startswith("check_"):
                try:
                    getattr(checks, name)()
                    results[name] = None
                except Exception:
                    results[name] = traceback.format_exc()
    with open(file, "w") as out:
        json.dump(results, out)


if __name__ == "__main__":
    main(sys.argv[1])
