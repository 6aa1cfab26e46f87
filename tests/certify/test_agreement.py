"""How differences are counted, and what a model is fed."""

from __future__ import annotations

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.certify.agreement import array_difference, call_differences
from harness.certify.probes import SAMPLE, Probe, every_tensor
from harness.errors import SpecError


@pytest.mark.parametrize(("ours", "theirs", "expected"), [
    ([1.0, 2.0], [1.0, 2.0], 0.0),
    ([1.0, 2.5], [1.0, 2.0], 0.25),
    ([np.nan, 1.0], [np.nan, 1.0], 0.0),
    ([np.inf, 1.0], [np.inf, 2.0], 0.5),
    ([np.nan, 1.0], [0.0, 1.0], np.inf),
    ([np.inf, 1.0], [-np.inf, 1.0], np.inf),
    ([1.0], [1.0, 1.0], np.inf),
    ([], [], 0.0),
    ([True, False], [True, True], 1.0),
])
def test_array_difference(ours: list[float], theirs: list[float], expected: float) -> None:
    assert array_difference(np.array(ours), np.array(theirs)) == expected


def small() -> Model:
    x = Input((4,), name="x")
    hidden = layers.Dense(3, name="hidden")
    return Model(x, layers.Dense(2, name="out")(layers.ReLU(name="relu")(hidden(x))), name="small")


def test_rows_name_the_call_and_the_kind() -> None:
    spec = small()
    theirs = {f"{kind} {name}": np.ones(3) for kind in ("inference", "training", "gradient")
              for name in every_tensor(spec)}
    theirs |= {"weight gradient hidden/kernel": np.ones(12), "weight gradient hidden/bias": np.array([1e-18, 0, 0])}
    ours = {name: array.copy() for name, array in theirs.items()}
    ours["gradient relu"][1] = 1.5
    ours["weight gradient hidden/bias"] = np.array([0.0, 0, 0])  # rounding of what is zero
    rows = {row.call: row.differences for row in call_differences(spec, ours, theirs)}
    assert rows["relu"]["gradient"] == 0.5
    assert rows["hidden"]["weight_gradient"] == pytest.approx(1e-12)
    assert rows["hidden"]["state"] is None
    assert rows["out"]["inference"] == 0.0
    del ours["inference out"]
    rows = {row.call: row.differences for row in call_differences(spec, ours, theirs)}
    assert rows["out"]["inference"] == np.inf


def test_inputs_fit_the_model() -> None:
    ids, image = Input((None,), dtype="int32", name="ids"), Input((None, 4), name="image")
    flag = Input((3,), dtype="bool")
    spec = Model([ids, image, flag], [layers.Embedding(5, 4)(ids), layers.Dense(2)(image), layers.Flatten()(flag)])
    given = Probe(batch=3, size=50).inputs(spec)
    assert given["ids"].shape == (3, 50)
    assert set(np.unique(given["ids"])) == set(range(5))
    assert given["image"].shape == (3, 50, 4)
    assert np.array_equal(given["image"], Probe(batch=3, size=50).inputs(spec)["image"])
    assert not np.array_equal(given["image"], Probe(1, batch=3, size=50).inputs(spec)["image"])


def test_large_tensors_are_sampled_alike() -> None:
    array = np.arange(2.0 * SAMPLE).reshape(2, SAMPLE)
    kept = Probe().sample("training conv", array)
    assert kept.shape == (SAMPLE,)
    assert np.array_equal(kept, Probe().sample("training conv", array))
    assert len(np.unique(kept)) == SAMPLE
    assert Probe().sample("x", array[:1]) is not None
    assert Probe().sample("x", array[:1]).shape == (1, SAMPLE)


def test_text_has_no_generated_inputs() -> None:
    words = Input((), dtype="string", name="words")
    spec = Model(words, layers.Identity()(words))
    with pytest.raises(SpecError, match="text"):
        Probe().inputs(spec)
