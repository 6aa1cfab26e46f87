"""harness.explain: variants as cells of one experiment; a planted cause must be found."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import harness
from harness import Input, Sequential, layers
from harness.cli.main import main
from harness.errors import HarnessError
from harness.records.store import Store
from harness.runner import explain as module
from harness.runner.driver import Settings, execute
from harness.spec.model import ModelSpec

FAST = {"compile": "none", "device": "cpu"}
# Two defaults are left: the first kernels and the first biases.
RECIPE = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], "optimizer": {"Adam": {"epsilon": 1e-7}}}
VARIANTS = 2 * 2 + 4
# Of two defaults, Keras's with the one switched is PyTorch's without the other: trained once.
CELLS = VARIANTS - 2


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A folder with data and results: what one test trains the others find there."""
    folder = tmp_path_factory.mktemp("explain")
    chance = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=chance.normal(size=(120, 8)).astype("float32"), y=np.arange(120) % 10)
    return folder


@pytest.fixture
def fake(monkeypatch, shared):
    """Cells whose figures follow from their ids, in processes without a framework."""
    def run(experiment, cells, folder, on_event, settings):
        execute(experiment, cells, folder, on_event,
                Settings(function="tests.runner.jobs:fake_cell", backend_of=lambda cell: "none", lock=settings.lock))

    monkeypatch.chdir(shared)
    monkeypatch.setattr(module, "execute", run)
    return shared


def go(fake, events=None, out="out", **given):
    return harness.explain("mlp_64_64", RECIPE, "data.npz", out=fake / out,
                           on_event=None if events is None else events.append, **{"seeds": 2, **given})


def test_all_variants_are_trained_once_and_kept(fake):
    events = []
    found = go(fake, events, metric="loss")
    assert list(found.changes) == ["kernel_initializer", "bias_initializer"]
    assert events[0]["cells"] == 2 * CELLS
    assert found.attribution.metric == "test_loss"
    assert set(found.finals[("keras", "tensorflow")]) == {0, 1}
    assert len(found.finals) == VARIANTS
    data = json.loads((fake / "out" / "explanation.json").read_text())
    assert data["attribution"]["gap"]["n"] == 2
    assert len(data["finals"]) == 2 * VARIANTS
    again = []
    assert go(fake, again, metric="loss").attribution == found.attribution
    assert again[0]["skipped"] == 2 * CELLS


def test_one_cell_that_is_gone_is_trained_again(fake):
    found = go(fake)
    gone = Store(fake / "out").ids()[0]
    shutil.rmtree(fake / "out" / "cells" / gone)
    events = []
    assert go(fake, events).attribution == found.attribution
    assert [event["id"] for event in events if event["event"] == "cell_finished"] == [gone]


def test_every_variant_can_be_run_again_from_experiment_json(fake):
    go(fake)
    experiment = json.loads((fake / "out" / "experiment.json").read_text())
    variant = next(item for item in experiment["variants"] if item["name"] == "keras + bias_initializer")
    layer = ModelSpec.from_data(variant["model"]).layers["hidden_1"]
    assert layer.bias_initializer.maxval == pytest.approx(8**-0.5)
    assert {tuple(item["backend"]) for item in experiment["exclude"]} == {("tensorflow",)}


def test_the_other_backend(fake):
    found = go(fake, backend="tensorflow", out="other", seeds=1)
    assert ("keras + bias_initializer", "tensorflow") in found.finals
    assert ("keras + bias_initializer", "pytorch") not in found.finals
    with pytest.raises(harness.SpecError, match="Did you mean 'pytorch'"):
        go(fake, backend="pytorsh")


def test_failed_trainings_are_said(fake):
    found = go(fake, seeds=[0, 13], out="failing")
    assert {item[2] for item in found.failed} == {13}
    assert found.attribution.gap.n == 1
    assert "the loss became nan" in found.to_markdown()
    with pytest.raises(HarnessError, match="every training failed"):
        go(fake, seeds=[13], out="failing")


def test_metrics_that_there_are_not(fake):
    with pytest.raises(harness.SpecError, match="accuracy"):
        go(fake, metric="acuracy")
    assert go(fake, metric="val_loss").attribution.metric == "val_loss"
    with pytest.raises(harness.SpecError, match="seeds"):
        go(fake, seeds=[])


def test_markdown_says_it_all(fake):
    text = go(fake, command="harness explain mlp_64_64").to_markdown()
    for words in ("first biases of Dense", "sum of the parts", "remainder", "the whole gap", "the framework itself",
                  "the place of epsilon", "```\nharness explain mlp_64_64\n```"):
        assert words in text


def test_the_verb(fake, capsys):
    recipe = "{optimizer: {Adam: {epsilon: 1.0e-7}}}"
    arguments = ["explain", "mlp_64_64", "--data", "data.npz", "--recipe", recipe, "--seeds", "2"]
    assert main([*arguments, "--dry-run", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [item["name"] for item in data["defaults"]] == ["kernel_initializer", "bias_initializer"]
    assert data["attribution"] is None
    assert not (fake / "results").exists()
    assert main([*arguments, "-o", "out"]) == 0
    streams = capsys.readouterr()
    assert "the whole gap" in streams.out
    assert f"{2 * CELLS} cells" in streams.err
    assert main(["explain", "mlp_64_64", "--recipe", "adam"]) == 4
    assert "a recipe is a mapping" in capsys.readouterr().err


@pytest.mark.frameworks
def test_a_planted_cause_is_found(tmp_path):
    """Twenty steps from inputs up to 16: moving averages that keep 0.99 are still near 0 and 1, and inference fails.
    The gap is that default's and of no other."""
    model = Sequential([
        Input((8, 8)), layers.Flatten(), layers.Dense(64, use_bias=False, kernel_initializer="he_normal"),
        layers.BatchNormalization(), layers.Activation("relu"),
        layers.Dense(10, activation="softmax", use_bias=False, kernel_initializer="he_normal"),
    ], name="planted")
    recipe = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], "batch_size": 128, "epochs": 2,
              "optimizer": {"Adam": {"learning_rate": 0.01, "epsilon": 1e-7}}}
    found = harness.explain(model, recipe, "digits", seeds=[1, 2], out=tmp_path, execution=FAST)
    assert list(found.changes) == ["batch_normalization_momentum", "batch_normalization_epsilon"]
    assert not found.failed
    attribution = found.attribution
    assert attribution.metric == "test_accuracy"
    gap = attribution.gap.value
    assert gap > 0.1
    first, second = attribution.defaults
    assert first.name == "batch_normalization_momentum"
    for side in (first.from_keras, first.from_torch, first.mean):
        assert side.value == pytest.approx(gap, rel=0.1)
    # The other default, and rounding in the other framework, are nothing beside it; the parts are the whole.
    assert abs(second.mean.value) < 0.1 * gap
    assert abs(attribution.framework.mean.value) < 0.1 * gap
    assert attribution.sum.mean.value == pytest.approx(gap, rel=0.1)
