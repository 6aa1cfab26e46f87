"""harness certify: what it asks for, prints and writes; what certifies is replaced."""

import json
from pathlib import Path

import pytest

import harness.runner.certify
import harness.runner.whole_runs
from harness.certify.certificate import Certificate
from harness.cli.certify import read_data, read_recipe, text
from harness.cli.main import main
from harness.errors import SpecError
from harness.records.certificates import read_certificates
from harness.report.results import Results
from tests.certify.made_up import certificate
from tests.report.synthetic import pairs

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def pretend(monkeypatch: pytest.MonkeyPatch, label: str = "same to rounding", **changes) -> dict:
    """Puts a made-up answer in place; gives what it was asked."""
    called: dict = {}

    def prove(model, recipe=None, data=None, **options):
        called.update(options, model=model, recipe=recipe, data=data)
        return certificate(label, **changes)

    monkeypatch.setattr(harness.runner.certify, "certify", prove)
    return called


@pytest.mark.parametrize(("label", "code"), [("same to rounding", 0), ("different", 7), ("not certified", 6)])
def test_exit_codes_and_json(label: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    pretend(monkeypatch, label)
    assert main(["certify", "mlp", "--json"]) == code
    data = json.loads(capsys.readouterr().out)
    assert (data["label"], data["certified"], data["files"]) == (label, code == 0, [])
    assert Certificate.from_data(data) == Certificate.from_data(json.loads(json.dumps(certificate(label).to_data())))


def test_what_is_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    called = pretend(monkeypatch)
    Path("recipe.yaml").write_text("loss: mse\noptimizer: sgd\nbatch_size: 8\n")
    assert main(["certify", "cnn", "--recipe", "recipe.yaml", "--recipe", "optimizer.learning_rate=0.5", "--data",
                 "{source: digits, split: {test: 0.5}}", "--precision", "float64", "--steps", "7", "--seed", "3"]) == 0
    assert called.pop("on_event")
    assert called == {
        "model": "cnn", "recipe": {"loss": "mse", "optimizer": {"sgd": {"learning_rate": 0.5}}, "batch_size": 8},
        "data": {"source": "digits", "split": {"test": 0.5}}, "execution": {"precision": "float64"}, "seed": 3,
        "steps": 7, "folder": Path.cwd()}
    assert "same to rounding" in capsys.readouterr().out


def test_recipes_and_data():
    assert read_recipe([]) is None
    assert read_data(None) is None
    assert read_data("iris.csv") == "iris.csv"
    assert read_recipe(["epochs=3"]) == {"loss": "sparse_categorical_crossentropy", "epochs": 3}
    Path("experiment.yaml").write_text("model: mlp\nrecipe: {batch_size: 9, loss: mae}\n")
    assert read_recipe(["batch_size=2", "experiment.yaml"]) == {"batch_size": 9, "loss": "mae"}
    Path("list.yaml").write_text("- 1\n")
    with pytest.raises(SpecError, match="expected a recipe"):
        read_recipe(["list.yaml"])


def test_mistakes_are_4(capsys: Capture):
    assert main(["certify", "no_such_model", "--data", "digits"]) == 4
    assert main(["certify", "mlp", "--recipe", "optimizr=adam"]) == 4
    assert main(["certify", "mlp", "--recipe", "absent.yaml"]) == 4
    assert main(["certify", "mlp", "--precision", "float16"]) == 4
    assert "optimizr" in capsys.readouterr().err


def test_files(monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    pretend(monkeypatch, "different")
    assert main(["certify", "mlp", "-o", "out/here"]) == 7
    out = capsys.readouterr().out
    folder = Path("out/here")
    assert sorted(path.name for path in folder.iterdir()) == ["certificate.html", "certificate.json"]
    assert str(folder / "certificate.html") in out
    data = json.loads((folder / "certificate.json").read_text())
    assert Certificate.from_data(data).finding.layer == "bn"
    assert "moving_variance" in (folder / "certificate.html").read_text()


@pytest.mark.parametrize("columns", ["50", "80", "200"])
def test_the_terminal_form(columns: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", columns)
    for label in ("same to rounding", "different", "not certified"):
        told = text(certificate(label))
        assert max(map(len, told.splitlines())) <= min(int(columns), 120)
        assert "\x1b" not in told
        flat = " ".join(told.split())
        assert flat.startswith(label)
        for rung in ("R0", "R1", "R2", "R3", "R4"):
            assert f"\n{rung} " in told
        assert "3,125 training steps" in flat
    told = " ".join(text(certificate("different")).split())
    assert "likely cause: the running variance is the unbiased one here mend: use the biased variance" in told
    assert "momentum 0.99 0.9" in told


@pytest.mark.parametrize(("seeds", "label", "code", "status"), [
    (5, "not certified", 0, "passed"), (4, "not certified", 6, "not run"), (5, "different", 7, "passed"),
    (5, "same to rounding", 0, "passed"),
])
def test_whole_runs(seeds, label, code, status, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    """R5 over records that nobody had to train."""
    pretend(monkeypatch, label, subject={**certificate().subject, "digest": "digest-of-mlp"})
    asked: dict = {}

    def run(experiment, folder, on_event):
        asked.update(experiment)
        return Results(pairs(folder, seeds=seeds, label=None).path)

    monkeypatch.setattr(harness.runner.whole_runs, "run", run)
    assert main(["certify", "mlp", "--seeds", str(seeds), "-o", "out", "--json"]) == code
    data = json.loads(capsys.readouterr().out)
    assert (asked["seed"], asked["model"], asked["certify"]) == (list(range(seeds)), "mlp", False)
    rung = data["phases"][-1]["rungs"][-1]
    assert (rung["name"], rung["status"]) == ("R5", status)
    assert data["label"] == ("same in distribution" if code == 0 and label == "not certified" else label)
    assert read_certificates("out/runs") == {}
    assert len(Results(Path("out/runs")).records()) == 2 * seeds


def test_whole_runs_of_another_model_say_nothing(monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    pretend(monkeypatch, "not certified")
    monkeypatch.setattr(harness.runner.whole_runs, "run",
                        lambda experiment, folder, on_event: Results(pairs(folder, seeds=5).path))
    assert main(["certify", "mlp", "--seeds", "5", "--json"]) == 6
    assert "another model" in json.loads(capsys.readouterr().out)["phases"][-1]["rungs"][-1]["reason"]
