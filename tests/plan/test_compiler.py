"""Plans: batches, what is trained, what a phase makes of the model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import Input, Model, layers
from harness.errors import DataError, SpecError
from harness.plan.binding import bind
from harness.plan.compiler import compile_outputs, compile_phase
from harness.plan.finetune import model_of_phase, starting_weights
from harness.plan.initial import initial_weights
from harness.spec.losses import LOSSES
from harness.spec.recipe import Recipe


def small_model(activation="softmax"):
    x = image = Input((5,), name="x")
    x = layers.Dense(4, activation="relu", kernel_regularizer="l2", name="hidden")(x)
    x = layers.Dropout(0.5, name="drop")(x)
    return Model(image, layers.Dense(3, activation=activation, name="p")(x))


def recipe(**changes):
    return Recipe(**{"loss": "sparse_categorical_crossentropy", "batch_size": 8, "epochs": 2, **changes})


def plan(examples=20, spec=None, **changes):
    phase = recipe(**changes).resolved_phases()[0]
    spec = spec or small_model()
    return compile_phase(model_of_phase(spec, phase), phase, index=0, examples=examples, seed=0)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 3), st.booleans())
def test_an_epoch_shows_every_example_once(examples, batch_size, epochs, drop_last):
    if drop_last and examples < batch_size:
        with pytest.raises(SpecError, match="drop_last leaves nothing"):
            plan(examples, batch_size=batch_size, epochs=epochs, drop_last=True)
        return
    tape = plan(examples, batch_size=batch_size, epochs=epochs, drop_last=drop_last).tape
    for start, stop in tape.epoch_bounds():
        rows = tape.indices[start:stop]
        shown = rows[rows >= 0]
        assert len(set(shown.tolist())) == len(shown)
        assert len(shown) == (examples // batch_size * batch_size if drop_last else examples)
    assert tape.sizes.sum() == (tape.indices >= 0).sum()
    assert len(tape.epoch_bounds()) == epochs


def test_runs_cut_at_partial_batches():
    tape = plan(20).tape
    assert list(tape.runs(0, len(tape))) == [(0, 2, 8), (2, 3, 4), (3, 5, 8), (5, 6, 4)]
    assert list(tape.runs(1, 3)) == [(1, 2, 8), (2, 3, 4)]


def test_epochs_are_shuffled_differently_and_without_shuffle_in_order():
    tape = plan(16).tape
    assert not np.array_equal(tape.indices[:2], tape.indices[2:])
    assert np.array_equal(plan(16, shuffle=False).tape.indices[:2].ravel(), np.arange(16))


def test_the_digest_is_stable_and_depends_on_what_matters():
    assert plan().digest == plan().digest
    assert plan().digest != plan(batch_size=4).digest
    assert plan().digest != plan(optimizer={"Adam": {"learning_rate": 0.01}}).digest


def test_logits_are_recovered_as_keras_does():
    spec = small_model()
    assert compile_outputs(spec, LOSSES.parse("sparse_categorical_crossentropy"))[0].recovered == "softmax"
    assert compile_outputs(spec, LOSSES.parse("mse"))[0].recovered is None
    assert compile_outputs(small_model(None), LOSSES.parse("categorical_crossentropy"))[0].recovered is None


def test_frozen_layers_lose_their_penalty_and_their_place():
    frozen = plan(phases=[{"name": "only", "freeze": ["hid*"]}])
    assert [variable.name for variable in frozen.trainable] == ["p/kernel", "p/bias"]
    assert all(variable.penalty == (0.0, 0.0) for variable in frozen.variables)
    assert plan().variables[0].penalty == (0.0, 0.01)


def test_nothing_left_to_train_is_refused():
    with pytest.raises(SpecError, match="every layer is frozen"):
        plan(phases=[{"name": "only", "freeze": ["*"]}])


def test_multipliers_and_patterns():
    rates = plan(phases=[{"name": "a", "learning_rate_multipliers": {"hidden": 0.1, "p/bias": 2.0}}])
    assert [variable.multiplier for variable in rates.variables] == [0.1, 0.1, 1.0, 2.0]
    with pytest.raises(SpecError, match=r"nothing fits 'hiden'.*Did you mean 'hidden"):
        plan(phases=[{"name": "a", "learning_rate_multipliers": {"hiden": 0.1}}])
    with pytest.raises(SpecError, match="no layer fits 'conv"):
        plan(phases=[{"name": "a", "freeze": ["conv*"]}])


def test_a_replaced_head_is_drawn_anew_and_the_rest_kept():
    spec = small_model()
    before = initial_weights(spec, 0)
    head = {"Dense": {"units": 7, "activation": "softmax"}}
    phase = recipe(phases=[{"name": "a"}, {"name": "b", "replace": {"p": head}}])
    changed = model_of_phase(spec, phase.resolved_phases()[1])
    weights = starting_weights(changed, phase.resolved_phases()[1], 1, 0, before)
    assert weights["p/kernel"].shape == (4, 7)
    assert np.array_equal(weights["hidden/kernel"], before["hidden/kernel"])


def test_weights_of_another_model_are_refused():
    spec = small_model()
    weights = initial_weights(spec, 0)
    weights["q/kernel"] = weights.pop("p/kernel")
    with pytest.raises(SpecError, match=r"missing: p/kernel; unknown: q/kernel"):
        starting_weights(spec, recipe().resolved_phases()[0], 0, 0, weights)


class Split:
    def __init__(self, x, y, sample_weight=None):
        self.x, self.y, self.sample_weight = {"x": x}, {"y": y}, sample_weight


def test_binding_checks_shapes_and_labels():
    spec = small_model()
    outputs = compile_outputs(spec, LOSSES.parse("sparse_categorical_crossentropy"))
    good = bind(Split(np.zeros((4, 5)), np.array([0, 1, 2, 0])), spec, outputs, "float32", class_weight={2: 5.0})
    assert good.sample_weight is not None
    assert good.sample_weight.tolist() == [1, 1, 5, 1]
    with pytest.raises(DataError, match="labels out of range"):
        bind(Split(np.zeros((4, 5)), np.array([0, 1, 3, 0])), spec, outputs, "float32")
    with pytest.raises(DataError, match=r"expects examples of shape \(5,\)"):
        bind(Split(np.zeros((4, 6)), np.zeros(4, int)), spec, outputs, "float32")
    with pytest.raises(DataError, match="number of examples"):
        bind(Split(np.zeros((4, 5)), np.zeros(3, int)), spec, outputs, "float32")


def test_own_batches_are_checked():
    phase = recipe().resolved_phases()[0]
    spec = small_model()
    with pytest.raises(SpecError, match="indices 0 to 19"):
        compile_phase(spec, phase, index=0, examples=20, seed=0, batches=np.array([[0, 20]]))
    made = compile_phase(spec, phase, index=0, examples=20, seed=0, batches=np.array([[3, 4], [5, -1]]))
    assert made.tape.sizes.tolist() == [2, 1]
