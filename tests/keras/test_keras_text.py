"""Models that begin with text under harness.keras: what the host computes, learned by adapt or given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness import keras
from harness.errors import DataError, SpecError

TEXTS = np.array(["A good film!", "a bad film", "good, good", "bad and bad", "the film was good", "so bad"] * 4)
LABELS = np.array([1, 0, 1, 0, 1, 0] * 4)


def learned(**arguments: Any) -> Any:
    layer = keras.layers.TextVectorization(max_tokens=8, output_sequence_length=4, **arguments)
    layer.adapt(TEXTS)
    return layer


def compiled(model: Any) -> Any:
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", metrics=["accuracy"])
    return model


def classifier(*first: Any) -> Any:
    return compiled(keras.Sequential([
        *first, keras.layers.Embedding(8, 3), keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(1, activation="sigmoid"),
    ]))


def test_a_layer_of_text_learns_before_it_is_called() -> None:
    layer = learned()
    # By how often they occur, the last in order first among equals, as Keras's adapt.
    assert layer.get_vocabulary() == ["", "[UNK]", "good", "bad", "film", "a", "was", "the"]
    assert layer.get_vocabulary(include_special_tokens=False)[0] == "good"
    assert layer.vocabulary_size() == 8
    layer.adapt(["word"])
    assert layer.get_vocabulary() == ["", "[UNK]", "word"]
    layer.set_vocabulary(["x", "y"])
    assert layer.vocabulary_size() == 4
    lookup = keras.layers.StringLookup()
    lookup.adapt(["x", "y", "y"])
    assert lookup.get_vocabulary() == ["[UNK]", "y", "x"]
    scale = keras.layers.Normalization()
    scale.adapt(np.array([[1.0, 2.0], [3.0, 6.0]]))
    assert (scale.spec.mean, scale.spec.variance) == ((2.0, 4.0), (1.0, 4.0))


def test_what_a_layer_that_learns_refuses() -> None:
    unlearned = keras.layers.TextVectorization(output_sequence_length=4)
    with pytest.raises(SpecError, match=r"knows no vocabulary yet.*Call adapt"):
        keras.Sequential([keras.Input((1,), dtype="string"), unlearned])
    with pytest.raises(SpecError, match="knows no mean and variance yet"):
        keras.layers.Normalization()(keras.Input((2,)))
    with pytest.raises(SpecError, match="no argument 'max_token'"):
        keras.layers.TextVectorization(max_token=3)
    with pytest.raises(SpecError, match="was given what it would learn"):
        keras.layers.StringLookup(vocabulary=["x"]).adapt(["y"])
    with pytest.raises(DataError, match="only arrays"):
        unlearned.adapt(iter(["x"]))
    layer = learned()
    layer(keras.Input((1,), dtype="string"))
    with pytest.raises(SpecError, match="part of a model already"):
        layer.adapt(["x"])
    with pytest.raises(SpecError, match="knows no vocabulary yet"):
        keras.models.clone_model(keras.Sequential([unlearned]))


@pytest.mark.frameworks
def test_texts_are_trained_on_in_both_frameworks() -> None:
    model = classifier(keras.Input((1,), dtype="string"), learned())
    losses = model.fit(TEXTS, LABELS, epochs=8, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    for one, other in zip(model.get_weights(), model.get_weights(framework="pytorch"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    # "a good film": the places of the words, by hand.
    table, kernel, bias = model.get_weights()
    expected = 1 / (1 + np.exp(-(table[[5, 2, 4, 0]].mean(0) @ kernel + bias)))
    for texts in (TEXTS[:1], TEXTS[:1, None], ["a GOOD film?"], TEXTS[:1].astype(object), TEXTS[:1].astype(bytes)):
        for framework in ("tensorflow", "pytorch"):
            np.testing.assert_allclose(model.predict(texts, verbose=0, framework=framework), expected[None], rtol=1e-9)
    assert model.evaluate(TEXTS, LABELS, verbose=0, return_dict=True)["loss"] < losses[0]
    with pytest.raises(DataError, match="expected text"):
        model.fit(np.zeros((24, 1)), LABELS, verbose=0)


@pytest.mark.frameworks
def test_text_beside_numbers_and_without_an_input() -> None:
    kind, size = keras.Input((1,), dtype="string", name="kind"), keras.Input((3,), name="size")
    place = keras.layers.StringLookup(vocabulary=["x", "y"], output_mode="one_hot")(kind)
    model = keras.Model([kind, size], keras.layers.Dense(1)(keras.layers.Concatenate()([place, size])))
    model.compile("sgd", "mse")
    x = {"kind": np.array([["x"], ["y"], ["?"], ["x"]] * 3), "size": np.arange(36.0).reshape(12, 3) / 36}
    model.fit(x, np.ones((12, 1)), validation_split=0.25, verbose=0)
    kernel, bias = model.get_weights()
    row = np.concatenate([[0.0, 1.0, 0.0], x["size"][0]])
    np.testing.assert_allclose(model.predict(x, verbose=0)[0], row @ kernel + bias, rtol=1e-9)
    built = classifier(learned())
    built.fit(TEXTS, LABELS, verbose=0)
    assert built.input_shape == (None,)


def test_text_that_no_layer_reads_is_refused() -> None:
    model = compiled(keras.Sequential([keras.layers.Dense(1, input_shape=(1,))]))
    for call in (lambda: model.fit(TEXTS, LABELS, verbose=0), lambda: model.predict(TEXTS, verbose=0)):
        with pytest.raises(DataError, match="begin the model with a TextVectorization"):
            call()
