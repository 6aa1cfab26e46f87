"""What one framework or both would break off on in the middle of a training is refused before it."""

from types import SimpleNamespace

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.errors import DataError, SpecError
from harness.plan.binding import bind
from harness.plan.compiler import compile_outputs, compile_phase
from harness.plan.masking import may_be_masked
from harness.spec.recipe import Recipe


def sequences(*after, steps=4):
    """(batch, steps, 3) with a mask, then these layers."""
    x = image = Input((steps, 3), name="x")
    for layer in (layers.Masking(), *after):
        x = layer(x)
    return Model(image, x)


def bound(spec, loss, y, weights=None, examples=5, steps=4, class_weight=None):
    split = SimpleNamespace(x={"x": np.ones((examples, steps, 3))}, y={"y": y}, sample_weight=weights)
    return bind(split, spec, compile_outputs(spec, Recipe(loss=loss).loss), "float64", class_weight=class_weight)


def compiled(spec, **recipe):
    phase = Recipe(**{"loss": "mse", **recipe}).resolved_phases()[0]
    return compile_phase(spec, phase, index=0, examples=8, seed=0)


def test_weights_of_examples_with_several_losses_are_refused():
    spec, y = sequences(layers.Dense(2)), np.zeros((5, 4, 2))
    assert bound(spec, "mse", y).sample_weight is None
    with pytest.raises(SpecError, match="one number per example"):
        bound(spec, "mse", y, weights=np.ones(5))
    with pytest.raises(SpecError, match="one number per example"):
        bound(spec, "sparse_categorical_crossentropy", np.zeros((5, 4), int), class_weight={0: 2.0})


def test_weights_of_examples_with_one_loss_are_not():
    assert bound(sequences(layers.Flatten(), layers.Dense(2)), "mse", np.zeros((5, 2)), np.ones(5)) is not None
    one_step = sequences(layers.Dense(2), steps=1)
    assert bound(one_step, "mse", np.zeros((5, 1, 2)), np.ones(5), steps=1) is not None


def test_losses_that_a_mask_does_not_fit_are_refused():
    spec = sequences(layers.Dense(1))
    assert bound(spec, "mse", np.zeros((5, 4, 1))) is not None
    with pytest.raises(SpecError, match="carries a mask"):
        bound(spec, "mse", np.zeros((5, 4)))
    with pytest.raises(SpecError, match="carries a mask"):
        bound(sequences(layers.Dense(2)), {"CategoricalCrossentropy": {"axis": 1}}, np.zeros((5, 4, 2)))


@pytest.mark.parametrize(("after", "masked"), [
    ((layers.Dense(2),), True),
    ((layers.BatchNormalization(),), True),
    ((layers.Conv1D(2, 1),), False),
    ((layers.LSTM(2, return_sequences=True),), True),
    ((layers.GlobalAveragePooling1D(),), False),
])
def test_how_far_a_mask_may_come(after, masked):
    spec = sequences(*after)
    assert may_be_masked(spec, spec.outputs[0]) is masked


def test_a_softmax_layer_on_masked_steps_is_refused():
    with pytest.raises(SpecError, match="reaches this Softmax"):
        compiled(sequences(layers.Dense(2), layers.Softmax()))
    assert compiled(sequences(layers.Dense(2), layers.Activation("softmax")))


@pytest.mark.parametrize("axis", [0, 3, -3])
def test_a_loss_along_an_axis_that_is_none_is_refused(axis):
    x = Input((3, 2))
    with pytest.raises(SpecError, match="no such axis"):
        compiled(Model(x, layers.Dense(2)(x)), loss={"CategoricalCrossentropy": {"axis": axis}})


def test_whole_numbers_in_a_convolution_are_refused():
    x = Input((4, 4, 1), dtype="uint8")
    with pytest.raises(SpecError, match="takes no whole numbers"):
        compiled(Model(x, layers.Conv2D(2, 2)(x)))
    assert compiled(Model(x, layers.Conv2D(2, 2)(layers.Rescaling(0.1)(x))))


def test_a_loss_behind_which_nothing_is_trained_is_refused():
    x = Input((4,))
    spec = Model(x, [layers.Activation("tanh", name="still")(x), layers.Dense(2, name="learning")(x)])
    with pytest.raises(SpecError, match="no loss depends on a trainable weight"):
        compiled(spec, loss={"still": "mse"})
    assert compiled(spec, loss={"learning": "mse"})


def test_targets_of_another_length_than_the_data_are_refused():
    spec = sequences(layers.LSTM(2, return_sequences=True), steps=None)
    assert bound(spec, "mse", np.zeros((5, 4, 2))) is not None
    with pytest.raises(DataError, match=r"the output 'lstm' has the shape \(4, 2\)"):
        bound(spec, "mse", np.zeros((5, 3, 2)))


def test_class_weights_are_those_of_the_labels_that_are_named():
    x = Input((4, 3), name="x")
    spec = Model(x, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    loss = {"SparseCategoricalCrossentropy": {"ignore_class": -1}}
    weights = bound(spec, loss, np.array([0, 2, -1, 1, 2]), class_weight={2: 3.0, 1: 0.5}).sample_weight
    assert weights.tolist() == [1.0, 3.0, 1.0, 0.5, 3.0]


def test_names_that_keras_could_not_tell_apart_are_refused():
    x = Input((4,))
    with pytest.raises(SpecError, match="would have one name in Keras"):
        Model(x, layers.Dense(2, name="a_b")(layers.Dense(2, name="a/b")(x)))
