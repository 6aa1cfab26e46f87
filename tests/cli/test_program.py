"""The program as a whole: help, usage errors, internal errors, what it loads, and that it is quick to start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import harness.models
from harness import __version__
from harness.cli.main import app, main
from harness.cli.output import byte_size, plain, table

Capture = pytest.CaptureFixture[str]
VERBS = ["init", "show", "check", "plan", "import", "export", "merge-lora", "generate", "twin", "certify",
         "explain", "run", "report", "bundle", "which", "compare", "pairs", "ls", "status", "rm", "gc", "merge",
         "doctor", "schema"]
HEAVY = {"tensorflow", "keras", "torch", "numpy", "pandas", "matplotlib", "scipy", "sklearn", "pyarrow"}
EXPERIMENT = "model: mlp\nrecipe: {phases: [{name: pretrain, freeze: [hidden_1]}]}\nmatrix: {seed: [0, 1]}\n"


def program(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "harness.cli.main", *arguments], capture_output=True, text=True,
                          timeout=120, **options)  # type: ignore[call-overload]


def loaded(code: str, folder: Path) -> set[str]:
    """The packages that a fresh interpreter has loaded after the code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*{{m.split('.')[0] for m in sys.modules}}, sep='\\n')"],
        capture_output=True, text=True, check=True, cwd=folder, env={**os.environ,
                                                                     "PYTHONPATH": os.pathsep.join(sys.path)})
    return set(done.stdout.split())


def test_the_verbs_are_these():
    assert [command.name for command in app.registered_commands] == VERBS


@pytest.mark.parametrize("arguments", [["--help"], [], *([verb, "--help"] for verb in VERBS)])
def test_help(arguments: list[str], capsys: Capture):
    assert main(arguments) == 0
    assert "Usage: harness" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_speaks_json(verb: str, capsys: Capture):
    main([verb, "--help"])
    assert "--json" in capsys.readouterr().out


def test_version(capsys: Capture):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"harness {__version__}\n"


@pytest.mark.parametrize(("arguments", "message"), [
    (["shwo"], "No such command 'shwo'"),
    (["--fast"], "No such option: --fast"),
    (["run"], "Missing argument 'EXPERIMENT'"),
    (["run", "e.yaml", "--outt", "x"], "No such option: --outt"),
    (["check"], "Missing argument"),
    (["schema", "colour"], "'colour' is not one of"),
])
def test_usage_errors(arguments: list[str], message: str, capsys: Capture):
    assert main(arguments) == 4
    streams = capsys.readouterr()
    assert message in streams.err
    assert "--help" in streams.err
    assert streams.out == ""


def test_usage_errors_as_json(capsys: Capture):
    assert main(["run", "--json"]) == 4
    assert json.loads(capsys.readouterr().err)["error"]["kind"] == "usage"


def broken(*arguments: object, **options: object) -> None:
    raise RuntimeError("a screw\nis loose")


def test_an_internal_error_is_one_line_and_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture):
    monkeypatch.setattr(harness.models, "load_model", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["show", "mlp"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("harness: internal error: RuntimeError: a screw is loose")
    (file,) = tmp_path.iterdir()
    assert str(file) in line
    assert "in broken" in file.read_text()


def test_an_internal_error_is_shown_whole_to_who_asks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(harness.models, "load_model", broken)
    monkeypatch.setenv("HARNESS_DEBUG", "1")
    with pytest.raises(RuntimeError, match="a screw"):
        main(["show", "mlp"])


def test_a_file_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    def refuse(path: Path, *arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    assert main(["init", str(tmp_path / "e.yaml")]) == 4
    assert capsys.readouterr().err == f"harness: {tmp_path / 'e.yaml'}: permission denied.\n"


def test_the_real_program_refuses_as_well(tmp_path: Path):
    (tmp_path / "m.yaml").write_text("inputs: [{shape: [3]}]\nlayers:\n  - Dens: {units: 3}\n")
    done = program("check", "m.yaml", cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == ("harness: m.yaml, line 3: unknown layer 'Dens'. Did you mean 'Dense'?\n")


def test_a_reader_that_has_seen_enough():
    shell = f"{sys.executable} -m harness.cli.main schema model | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


@pytest.mark.parametrize("command", [["--help"], ["check", "e.yaml"], ["check", "m.py", "mlp_64_64"], ["show",
                                                                                                       "resnet"],
                                     ["schema"], ["init", "new.yaml"]])
def test_what_needs_no_numbers_loads_nothing_heavy(command: list[str], tmp_path: Path):
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    (tmp_path / "m.py").write_text("from harness import Sequential, layers\n\ndef m():\n"
                                   "    return Sequential([layers.LSTM(3, input_shape=(4, 2))])\n")
    code = f"from harness.cli.main import main\nassert main({command!r}) == 0"
    assert not loaded(code, tmp_path) & HEAVY


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path):
    assert not loaded("import harness", tmp_path) & (HEAVY | {"pydantic", "yaml", "typer"})


def test_plan_loads_no_framework(tmp_path: Path):
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    code = "from harness.cli.main import main\nassert main(['plan', 'e.yaml']) == 0"
    assert not loaded(code, tmp_path) & {"tensorflow", "keras", "torch"}


def test_output_of_odd_values():
    import numpy as np

    assert plain({"a": np.float64("nan"), 1: [np.int64(3), True, None, "x"]}) == {"a": None, "1": [3, True, None, "x"]}
    assert table(("n", "v"), [("a", 1.5), ("b", None)]).splitlines()[2:] == ["a  1.5", "b    -"]
    assert [byte_size(n) for n in (None, 12, 1234, 5e7)] == ["-", "12 B", "1.23 kB", "50 MB"]
