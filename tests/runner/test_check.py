"""Mistakes are found before anything runs or is written: one message, with file and line."""

from __future__ import annotations

import pytest
import yaml

from harness.errors import SpecError
from harness.runner.driver import run

BASE = {
    "model": "mlp_64_64",
    "data": {"source": "digits"},
    "recipe": {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"],
               "phases": [{"name": "pretrain", "epochs": 1}, {"name": "finetune", "epochs": 1}]},
    "matrix": {"backend": ["tensorflow", "pytorch"], "seed": [0]},
}
INLINE = {"name": "own", "inputs": [{"name": "image", "shape": [8, 8]}],
          "layers": [{"Flatten": {}}, {"Dense": {"units": 10, "name": "out"}}]}

# (change of BASE, words of the message)
BROKEN = [
    ({"model": "mlp_64_65"}, ["mlp_64_64"]),
    ({"modle": "mlp"}, ["unknown key 'modle'", "'model'", "line"]),
    ({"model": None}, ["no model is given"]),
    ({"matrix": {"model": ["mlp"], "backend": ["pytorch"]}}, ["given twice"]),
    ({"matrix": {"backend": ["pytorhc"]}}, ["unknown backend 'pytorhc'", "'pytorch'", "line"]),
    ({"matrix": {"batchsize": [3]}}, ["no axis", "'batch_size'", "line"]),
    ({"matrix": {"seed": []}}, ["has no values"]),
    ({"matrix": {"seed": [-1]}}, ["a seed is a whole number"]),
    ({"matrix": {"seed": [0, 0]}}, ["twice"]),
    ({"matrix": {"batch_size": [0]}}, ["batch_size", "greater than or equal to 1", "line"]),
    ({"matrix": {"tier": ["fastest"]}}, ["tier", "'tuned' or 'idiomatic'"]),
    ({"matrix": {"recipe.phases.fintune.epochs": [1]}}, ["no 'fintune'", "'finetune'"]),
    ({"matrix": [1, 2]}, ["'matrix' is a mapping"]),
    ({"exclude": [{"batch_size": 3}]}, ["no axis of this matrix"]),
    ({"exclude": [{"seed": 0}]}, ["everything is excluded"]),
    ({"verdict": {"margin": 3}}, ["margin", "less than 1", "line"]),
    ({"verdict": {"primery": "loss"}}, ["'primary'"]),
    ({"name": "../outside"}, ["cannot name a folder"]),
    ({"data": "digitz"}, ["'digits'", "line"]),
    ({"data": {"csv": "none.csv", "target": "x"}}, ["none.csv"]),
    ({"data": {"csv": "../none.csv", "target": "x"}}, ["outside the folder"]),
    ({"recipe.loss": "mean_sqared_error"}, ["'MeanSquaredError'"]),
    ({"recipe.epoch": 3}, ["'epochs'", "line"]),
    ({"recipe.phases.0.epochs": -1}, ["epochs", "-1", "line"]),
    ({"recipe.phases.1.freeze": ["hiden_1"]}, ["no layer fits 'hiden_1'", "'hidden_1'", "phase 'finetune'"]),
    ({"recipe.phases.1.freeze": ["*"]}, ["every layer is frozen"]),
    ({"recipe.phases.1.start_from": "none.safetensors"}, ["none.safetensors"]),
    ({"recipe.phases.1.learning_rate_multipliers": {"nothing*": 0.1}}, ["nothing fits 'nothing*'"]),
    ({"recipe.phases.1.replace": {"head": {"Dense": {"units": 3}}}}, ["no layer 'head'"]),
    ({"recipe.phases.1.name": "pretrain"}, ["two phases are named 'pretrain'"]),
    ({"recipe.phases.0.start_from": "pytorch"}, ["first phase cannot start from 'pytorch'"]),
    ({"recipe.loss": "categorical_crossentropy"}, ["one_hot"]),
    ({"recipe.drop_last": True, "recipe.batch_size": 5000}, ["drop_last leaves nothing"]),
    ({"model": {**INLINE, "inputs": [{"name": "image", "shape": [28, 28]}]}}, ["(28, 28)", "(8, 8)"]),
    ({"model": {**INLINE, "layers": [{"Flatten": {}}, {"Dense": {"units": 4, "name": "out"}}]}},
     ["labels out of range"]),
    ({"model": {**INLINE, "layers": [{"Dnse": {"units": 4}}]}}, ["Dense"]),
    ({"model": "none.yaml"}, ["none.yaml"]),
    ({"model": {"mlp_64_64": {"unitz": 4}}}, ["unitz"]),
    ({"variants": [{"name": "a"}, {"name": "a"}]}, ["two variants"]),
    ({"variants": [{"name": "a", "recipes": {}}]}, ["'recipe'"]),
    ({"data": {"source": "digits", "split": {"validation": 0}}, "recipe.phases.1.split": "validation"},
     ["validation split, but the data has none"]),
]


def broken(change):
    from harness.spec.places import replaced

    data = BASE
    for key, value in change.items():
        data = replaced(data, tuple(key.split(".")), value)
    return data


@pytest.mark.parametrize(("change", "words"), BROKEN, ids=[str(sorted(change))[:60] for change, _ in BROKEN])
def test_a_broken_experiment_says_what_and_where_and_writes_nothing(tmp_path, change, words):
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(broken(change), sort_keys=False))
    out = tmp_path / "results"
    with pytest.raises(SpecError) as caught:
        run(path, out=out)
    message = str(caught.value)
    assert "broken.yaml" in message
    for word in words:
        assert word in message
    assert "\n" not in message
    assert sorted(item.name for item in tmp_path.iterdir()) == ["broken.yaml"]


def test_the_unbroken_one_passes(tmp_path):
    path = tmp_path / "sound.yaml"
    path.write_text(yaml.safe_dump(BASE))
    results = run(path, out=tmp_path / "results", dry_run=True)
    assert results.records() == []
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("override", "words"), [
    ("recipe.epochs", ["key=value"]),
    ("recipe.epochs=-2", ["greater than or equal to 1"]),
    ("recipe.epohcs=2", ["'epochs'"]),
    ("colour=red", ["'colour'"]),
    ("recipe.phases.third.epochs=2", ["no 'third'"]),
    ("seed=[0", ["no YAML"]),
])
def test_broken_overrides(tmp_path, override, words):
    path = tmp_path / "sound.yaml"
    path.write_text(yaml.safe_dump(BASE))
    with pytest.raises(SpecError) as caught:
        run(path, overrides=[override], dry_run=True)
    for word in words:
        assert word in str(caught.value)


def test_a_line_is_the_line(tmp_path):
    path = tmp_path / "lines.yaml"
    path.write_text("model: mlp_64_64\nrecipe:\n  batch_size: 32\n  phases:\n    - name: pretrain\n      epochs: 0\n")
    with pytest.raises(SpecError, match=r"lines\.yaml, line 6: .*epochs"):
        run(path, dry_run=True)
