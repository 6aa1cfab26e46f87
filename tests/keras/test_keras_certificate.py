"""A Keras script's fits are certified where the environment asks for it."""

from __future__ import annotations

import pytest

from harness import keras
from harness.keras.certifying import CERTIFY


@pytest.mark.frameworks
def test_a_fit_is_certified_once(data, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit():
        model = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(4, activation="relu"),
                                  keras.layers.Dropout(0.25), keras.layers.Dense(3, activation="softmax")])
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model.fit(*data, epochs=2, batch_size=16, verbose=0).comparison

    plain = fit()
    assert plain.which().comparisons[0].certification.sentence.endswith("there is no certificate beside these runs")
    assert "HARNESS_CERTIFY=1 certifies" in str(plain)
    assert "Speed is decided by timed blocks: fit times none" in str(plain)
    monkeypatch.setenv(CERTIFY, "1")
    keras.utils.set_random_seed(1)
    certified = fit()
    (key, made), = certified.certificates().items()
    assert (made["sentence"], made["key"]) == ("same to rounding", key)
    assert [rung["name"] for rung in made["phases"][0]["rungs"]] == ["R0", "R1", "R2", "R3", "R4"]
    layers = made["phases"][0]["rungs"][1]["details"]["layers"]
    assert [row["type"] for row in layers.values()] == ["Dense", "Dropout", "Dense"]
    assert all(row["beyond"] == [] and 0 <= row["output"] < 1e-10 for row in layers.values())
    assert certified.which().comparisons[0].certification.certified
    assert "no blocks were measured; fit times none, an experiment does" in certified.which().sentence
    assert str(certified).count("fit times none") == 1
    keras.utils.set_random_seed(2)
    assert fit().certificates() == {key: made}
