"""harness export."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.models import load_model

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def test_a_spec(capsys: Capture):
    assert main(["export", "mlp", "units=[7]", "-o", "small.yaml", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["files"] == ["small.yaml"]
    assert load_model("small.yaml").digest == data["digest"] == load_model("mlp", units=[7]).digest


def test_the_kind_decides_on_the_name(capsys: Capture):
    assert main(["export", "mlp", "--to", "json"]) == 0
    assert Path("mlp.json").exists()
    assert "mlp.json" in capsys.readouterr().out


def test_files_are_kept(capsys: Capture):
    Path("m.safetensors").write_text("mine")
    assert main(["export", "mlp", "-o", "m.py"]) == 4
    assert "m.safetensors: the file exists already. Give another -o, or --force." in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["mlp"], "what should be written? Give --to pytorch, keras, onnx, yaml, json"),
    (["mlp", "-o", "m.pt"], "what should be written?"),
    (["mlp", "--to", "keras", "-o", "m.py"], "ends in .keras"),
    (["mlp", "--to", "pytorch", "--dtype", "int8"], "unknown dtype 'int8'"),
    (["mlp", "--to", "pytorch", "--weights", "none.safetensors"], "cannot open the checkpoint"),
    (["mlpp", "--to", "yaml"], "Did you mean 'mlp'?"),
])
def test_mistakes(capsys: Capture, arguments, message):
    assert main(["export", *arguments]) == 4
    assert message in capsys.readouterr().err
    assert not list(Path().iterdir())


@pytest.mark.frameworks
def test_pytorch_source():
    done = subprocess.run([sys.executable, "-m", "harness.cli.main", "export", "mlp", "-o", "twin.py", "--seed", "3"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "mlp: 55,050 parameters"
    shapes = subprocess.run([sys.executable, "twin.py"], capture_output=True, text=True, check=True).stdout
    assert shapes == "predictions (1, 10)\n"
