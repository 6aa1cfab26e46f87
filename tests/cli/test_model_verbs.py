"""show, check, schema and init."""

import json
import re
from pathlib import Path

import pytest
import yaml

from harness.cli.main import main
from harness.models import available_models, load_model
from harness.spec.experiment import KEYS
from harness.spec.layers import LAYERS

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def test_show_prints_the_layer_table(capsys: Capture):
    assert main(["show", "mlp", "units=[32,16]", "dropout=0.1"]) == 0
    out = capsys.readouterr().out
    for word in ("hidden_2", "Dense", "(-, 16)", "25,120", "50,176", "dropout_1"):
        assert word in out


def test_show_as_json(capsys: Capture):
    assert main(["show", "simple_cnn", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    model = load_model("simple_cnn")
    assert (data["parameters"], data["flops"], data["digest"]) == (model.parameters, model.flops, model.digest)
    assert data["layers"][0]["output_shape"] == [None, 28, 28]
    assert data["spec"] == model.to_data()


def test_show_as_a_spec_that_reads_back(capsys: Capture):
    assert main(["show", "resnet", "depth=8", "--spec"]) == 0
    Path("r.yaml").write_text(capsys.readouterr().out)
    assert load_model("r.yaml").digest == load_model("resnet", depth=8).digest


def test_show_alone_lists_the_library(capsys: Capture):
    assert main(["show"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == list(available_models())


def test_check_takes_several_kinds_of_files(capsys: Capture):
    Path("m.yaml").write_text(yaml.safe_dump(load_model("mlp").to_data()))
    Path("e.json").write_text(json.dumps({"model": "mlp", "matrix": {"seed": [0, 1]}}))
    Path("r.yaml").write_text("loss: mse\nphases: [{name: a}, {name: b}]\n")
    assert main(["check", "m.yaml", "e.json", "r.yaml", "mlp"]) == 0
    assert [line.partition(":")[2].split(",")[0] for line in capsys.readouterr().out.splitlines()] == [
        " model 'mlp'", " experiment", " recipe", " model 'mlp'"]


def test_check_reports_every_wrong_file(capsys: Capture):
    Path("good.yaml").write_text("loss: mse\n")
    Path("bad.yaml").write_text("loss: msee\n")
    assert main(["check", "bad.yaml", "good.yaml", "none.yaml"]) == 4
    streams = capsys.readouterr()
    assert streams.out == "good.yaml: recipe, 1 phase(s)\n"
    assert [line.split(":")[1].strip() for line in streams.err.splitlines()] == ["bad.yaml", "none.yaml"]


@pytest.mark.parametrize(("model", "loss", "warned"), [
    ("mlp", "sparse_categorical_crossentropy", None),
    ("simple_cnn", "sparse_categorical_crossentropy", "gives logits .* takes probabilities: .* should be True"),
    ("simple_cnn", {"SparseCategoricalCrossentropy": {"from_logits": True}}, None),
    ("mlp", {"SparseCategoricalCrossentropy": {"from_logits": True}}, "gives probabilities .* should be False"),
    ("simple_cnn", "mse", None),
])
def test_check_and_plan_warn_of_logits_taken_for_probabilities(model: str, loss: object, warned: str | None,
                                                               capsys: Capture):
    Path("e.yaml").write_text(yaml.safe_dump({"model": model, "recipe": {"loss": loss}}))
    assert main(["check", "e.yaml", "--json"]) == 0
    warnings = json.loads(capsys.readouterr().out)[0]["warnings"]
    assert len(warnings) == (warned is not None)
    assert warned is None or re.search(warned, warnings[0])
    assert main(["check", "e.yaml"]) == 0
    assert ("warning: " in capsys.readouterr().out) == (warned is not None)


def test_check_as_json(capsys: Capture):
    Path("bad.yaml").write_text("loss: msee\n")
    assert main(["check", "bad.yaml", "--json"]) == 4
    streams = capsys.readouterr()
    assert json.loads(streams.out)[0]["ok"] is False
    error = json.loads(streams.err)["error"]
    assert error["kind"] == "spec"
    assert "unknown loss 'msee'" in error["message"]


@pytest.mark.parametrize("kind", ["model", "recipe", "data", "execution", "experiment"])
def test_schema_is_whole(kind: str, capsys: Capture):
    assert main(["schema", kind]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["type"] == "object"
    names = set(schema["$defs"])
    assert all(reference in names for reference in references(schema))


def references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].removeprefix("#/$defs/")} if "$ref" in value else set()
        return own.union(*(references(item) for item in value.values()))
    return set().union(*(references(item) for item in value)) if isinstance(value, list) else set()


def test_schema_knows_the_vocabulary(capsys: Capture):
    assert main(["schema", "model"]) == 0
    definitions = json.loads(capsys.readouterr().out)["$defs"]
    assert set(LAYERS.classes) <= set(definitions)
    dense = definitions["Dense"]
    assert dense["properties"]["units"] == {"exclusiveMinimum": 0, "type": "integer"}
    assert dense["required"] == ["units"]
    assert "dense" in definitions["layer"]["anyOf"][0]["enum"]
    assert main(["schema"]) == 0
    assert list(json.loads(capsys.readouterr().out)["properties"]) == list(KEYS)


@pytest.mark.parametrize(("model", "data", "loss"), [
    ("mlp", "digits", "sparse_categorical_crossentropy"),
    ("simple_cnn", "fashion_mnist", {"SparseCategoricalCrossentropy": {"from_logits": True}}),
    ("lstm_classifier", "imdb", "sparse_categorical_crossentropy"),
])
def test_init_writes_what_check_takes(model: str, data: str, loss: object, capsys: Capture):
    assert main(["init", "e.yaml", "--model", model, "--data", data]) == 0
    written = yaml.safe_load(Path("e.yaml").read_text())
    assert written["recipe"]["loss"] == loss
    assert ("prepare" in written["data"]) == (data != "imdb")
    assert main(["check", "e.yaml"]) == 0
    assert "e.yaml: experiment, 10 cells" in capsys.readouterr().out


def test_init_for_files_of_the_users_own():
    Path("nets.py").write_text("from harness import Sequential, layers\n\ndef one():\n"
                               "    return Sequential([layers.Dense(1, activation='sigmoid', input_shape=(2,))])\n")
    Path("heart.csv").write_text("a,b,ill\n" + "1,2,0\n2,1,1\n" * 20)
    Path("sub").mkdir()
    assert main(["init", "sub/e.yaml", "--model", "nets.py:one", "--data", "heart.csv", "--target", "ill"]) == 0
    written = yaml.safe_load(Path("sub/e.yaml").read_text())
    assert written["recipe"]["loss"] == "binary_crossentropy"
    # Outside the experiment's folder only an absolute path is taken.
    assert written["data"]["source"] == {"csv": str(Path("heart.csv").resolve()), "target": "ill"}
    assert main(["plan", "sub/e.yaml"]) == 0


@pytest.mark.parametrize(("arguments", "message"), [
    (["e.txt"], "ending must be .yaml"),
    (["there.yaml"], "exists already"),
    (["nowhere/e.yaml"], "no such folder"),
    (["e.yaml", "--data", "heart.csv"], "Add --target COLUMN"),
    (["e.yaml", "--data", "digitz"], "Did you mean 'digits'"),
    (["e.yaml", "--data", "digits", "--target", "x"], "--target goes with"),
    (["e.yaml", "--model", "mpl"], "Did you mean 'mlp'"),
])
def test_init_refuses(arguments: list[str], message: str, capsys: Capture):
    Path("there.yaml").write_text("mine")
    assert main(["init", *arguments]) == 4
    assert message in capsys.readouterr().err
    assert [item.name for item in Path().iterdir()] == ["there.yaml"]
    assert Path("there.yaml").read_text() == "mine"


def test_init_replaces_if_told_to():
    Path("e.yaml").write_text("mine")
    assert main(["init", "e.yaml", "--force"]) == 0
    assert Path("e.yaml").read_text() != "mine"
