"""The experiment as written: defaults, overrides, and the way back from its resolved form."""

from __future__ import annotations

import json

import pytest

from harness.errors import SpecError
from harness.spec.axes import target
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.experiment import Experiment, read_experiment
from harness.spec.explicit import explicit
from harness.spec.places import replaced
from harness.spec.recipe import Recipe

TEXT = """\
question: Which one?
recipe:
  optimizer: adam
  phases:
    - {name: pretrain, epochs: 5}
    - {name: finetune, epochs: 2, freeze: [hidden_1]}
matrix:
  model: [mlp_64_64]
  batch_size: [32, 64]
  seed: [0, 1]
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT)
    return file


def test_defaults(path):
    experiment = read_experiment(path)
    assert experiment.name == "mine"
    assert experiment.axes["backend"] == ("tensorflow", "pytorch")
    assert experiment.folder == path.parent.resolve()
    data = experiment.to_data()
    assert data["data"]["source"] == "digits"
    assert list(data["recipe"]["loss"]) == ["SparseCategoricalCrossentropy"]
    assert data["recipe"]["optimizer"]["Adam"]["learning_rate"] == 0.001
    assert data["execution"]["threads"] == 1
    assert data["verdict"]["margin"] == 0.03


def test_resolved_form_reads_back(path):
    experiment = read_experiment(path, ["recipe.epochs=3"])
    data = json.loads(json.dumps(experiment.to_data()))
    again = Experiment.parse(data)
    assert again.to_data() == data
    assert again.axes == experiment.axes


@pytest.mark.parametrize(("override", "axis", "values"), [
    ("matrix.seed=[5]", "seed", (5,)),
    ("seed=[5, 6]", "seed", (5, 6)),
    ("seed=7", "seed", (7,)),
    ("batch_size=8", "batch_size", (8,)),
    ("recipe.batch_size=8", "batch_size", (8,)),
    ("matrix.recipe.optimizer.learning_rate=[0.1, 0.2]", "recipe.optimizer.learning_rate", (0.1, 0.2)),
    ("tier=idiomatic", "tier", ("idiomatic",)),
    ("backend=pytorch", "backend", ("pytorch",)),
])
def test_overrides_of_axes(path, override, axis, values):
    experiment = read_experiment(path, [override])
    assert experiment.axes[axis] == values
    assert experiment.overrides == (override,)


def test_overrides_of_values(path):
    experiment = read_experiment(path, [
        "recipe.epochs=9", "recipe.optimizer.learning_rate=0.5", "recipe.phases.finetune.batch_size=4",
        "data.split.seed=3", "name=other", "verdict.margin=0.1", "execution.threads=2",
    ])
    settings = experiment.settings({})
    recipe = Recipe.parse(settings["recipe"])
    assert [phase.epochs for phase in recipe.phases] == [9, 9]
    assert recipe.optimizer.learning_rate == 0.5
    assert recipe.phases[1].batch_size == 4
    assert DatasetSpec.parse(settings["data"]).split.seed == 3
    assert Execution.parse(settings["execution"]).threads == 2
    assert (experiment.name, experiment.verdict.margin) == ("other", 0.1)


@pytest.mark.parametrize(("written", "target"), [
    ("0.9", 0.9), ("val_accuracy=0.9", {"val_accuracy": 0.9}), ("{val_loss: 1}", {"val_loss": 1.0}), ("null", None)])
def test_the_target_of_a_verdict(path, written, target):
    experiment = read_experiment(path, [f"verdict.target={written}", "verdict.tier=tuned"])
    assert (experiment.verdict.target, experiment.verdict.tier) == (target, "tuned")
    data = json.loads(json.dumps(experiment.to_data()))
    assert data["verdict"]["target"] == target
    assert Experiment.parse(data).verdict == experiment.verdict


def test_axes_change_a_copy(path):
    experiment = read_experiment(path)
    before = json.dumps(experiment.base)
    changed = experiment.settings({"batch_size": 8, "recipe.phases.0.epochs": 1, "precision": "float64"})
    assert changed["recipe"]["batch_size"] == 8
    assert changed["recipe"]["phases"][0]["epochs"] == 1
    assert changed["execution"]["precision"] == "float64"
    assert json.dumps(experiment.base) == before


@pytest.mark.parametrize(("axis", "path"), [
    ("model", ("model",)), ("tier", ("execution", "tier")), ("batch_size", ("recipe", "batch_size")),
    ("recipe.phases.1.start_from", ("recipe", "phases", "1", "start_from")),
])
def test_where_an_axis_puts_its_value(axis, path):
    assert target(axis) == path


@pytest.mark.parametrize("axis", ["colour", "recipe.colour", "recipe.", "colour.red", "execution.fast"])
def test_what_is_no_axis(axis):
    with pytest.raises(SpecError, match="no axis"):
        target(axis)


@pytest.mark.parametrize(("data", "path", "expected"), [
    ({"a": 1}, "b", {"a": 1, "b": 0}),
    ({"recipe": {"loss": {"Huber": {}}}}, "recipe.epochs", {"recipe": {"loss": {"Huber": {}}, "epochs": 0}}),
    ({"recipe": {"loss": "huber"}}, "recipe.loss.delta", {"recipe": {"loss": {"huber": {"delta": 0}}}}),
    ({"recipe": {"optimizer": {"SGD": None}}}, "recipe.optimizer.momentum",
     {"recipe": {"optimizer": {"SGD": {"momentum": 0}}}}),
    ({"data": "wine"}, "data.split.seed", {"data": {"source": "wine", "split": {"seed": 0}}}),
    ({"model": "mlp"}, "model.num_classes", {"model": {"mlp": {"num_classes": 0}}}),
    ({"x": [{"name": "p"}, {"name": "q"}]}, "x.q.e", {"x": [{"name": "p"}, {"name": "q", "e": 0}]}),
    ({"x": [1, 2]}, "x.1", {"x": [1, 0]}),
])
def test_values_at_places(data, path, expected):
    assert replaced(data, tuple(path.split(".")), 0) == expected


def test_explicit_recipe_reads_back():
    recipe = Recipe.parse({
        "loss": {"Huber": {"delta": 2.0}}, "metrics": ["acc", {"Precision": {"name": "p"}}], "epochs": 2,
        "optimizer": {"SGD": {"learning_rate": {"CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 9}}}},
        "class_weight": {0: 2.0}, "early_stopping": {"patience": 3},
        "phases": [{"name": "a"}, {"name": "b", "replace": {"head": {"Dense": {"units": 3}}}, "freeze": "x*"}],
    })
    text = json.dumps(explicit(recipe))
    again = Recipe.parse(json.loads(text))
    assert again == recipe
    assert json.dumps(explicit(again)) == text  # a cell's id is made of it: 0 and 0.0 are not the same there


def test_importing_the_experiment_loads_no_numpy():
    import subprocess
    import sys

    program = "import sys, harness.spec.experiment; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
