"""report, which, ls and status over records that nobody had to train."""

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.records.store import Store
from tests.report.synthetic import add, fail, pairs, payload

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three paired seeds, PyTorch faster by half."""
    return pairs(tmp_path / "results").path


def answer(capsys: Capture) -> dict:
    return json.loads(capsys.readouterr().out)


def test_report_writes_the_page_and_says_where(results: Path, capsys: Capture):
    assert main(["report", str(results)]) == 0
    sentence, page = capsys.readouterr().out.splitlines()
    assert "PyTorch" in sentence
    assert Path(page) == results / "report" / "report.html"
    assert Path(page).is_file()


def test_report_elsewhere_as_json(results: Path, tmp_path: Path, capsys: Capture):
    assert main(["report", str(results), "-o", str(tmp_path / "page"), "--json"]) == 0
    data = answer(capsys)
    assert data["report"] == str(tmp_path / "page" / "report.html")
    assert data["answer"] == data["verdict"]["sentence"]
    assert not (results / "report").exists()


def test_which_answers(results: Path, capsys: Capture):
    assert main(["which", str(results)]) == 0
    out = capsys.readouterr().out
    assert "PyTorch faster" in out
    assert "Not known:" in out


@pytest.mark.parametrize(("expected", "code"), [("pytorch", 0), ("tensorflow", 1), ("same", 1)])
def test_which_holds_the_answer_against_what_was_expected(results: Path, expected: str, code: int, capsys: Capture):
    assert main(["which", str(results), "--expect", expected, "--json"]) == code
    assert answer(capsys)["expected"] == expected


def test_which_sees_no_difference_inside_a_wide_margin(tmp_path: Path, capsys: Capture):
    store = pairs(tmp_path / "same", seeds=4, speed=1000.0)
    assert main(["which", str(store.path), "--expect", "same"]) == 0
    assert main(["which", str(store.path), "--expect", "pytorch"]) == 1


def test_too_few_seeds_are_not_enough_evidence(tmp_path: Path, capsys: Capture):
    store = pairs(tmp_path / "few", seeds=2)
    assert main(["which", str(store.path)]) == 6
    assert main(["which", str(store.path), "--expect", "pytorch"]) == 6
    assert "not enough evidence" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "message"), [
    (["--primary", "samples"], "there is no measure 'samples'"),
    (["--margin", "3"], "margin is 3.0"),
    (["--expect", "jax"], "--expect is one of tensorflow, pytorch, same"),
    (["--margin", "wide"], "valid number"),
])
def test_which_refuses(results: Path, arguments: list[str], message: str, capsys: Capture):
    assert main(["which", str(results), *arguments]) == 4
    streams = capsys.readouterr()
    assert message in streams.err
    assert streams.out == ""


def test_ls_lists_and_filters(results: Path, capsys: Capture):
    assert main(["ls", str(results)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + 6
    assert main(["ls", str(results), "backend=pytorch", "seed=1", "--json"]) == 0
    (row,) = answer(capsys)
    assert (row["backend"], row["seed"], row["peak_bytes"]) == ("pytorch", 1, None)


def test_ls_shows_why_a_cell_failed(results: Path, capsys: Capture):
    add(Store(results), fail(payload("cnn")))
    assert main(["ls", str(results), "status=failed"]) == 0
    assert "nan_loss: the loss is NaN" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["backend=jax"], 5, "no cell matches backend=jax"),
    (["backed=jax"], 4, "Did you mean 'backend'"),
    (["backend"], 4, "expected column=value"),
])
def test_ls_refuses(results: Path, arguments: list[str], code: int, message: str, capsys: Capture):
    assert main(["ls", str(results), *arguments]) == code
    assert message in capsys.readouterr().err


def test_status_counts(results: Path, capsys: Capture):
    add(Store(results), fail(payload("cnn")))
    assert main(["status", str(results), "--json"]) == 0
    data = answer(capsys)
    assert (data["done"], data["failed"], data["waiting"]) == (6, 1, None)
    assert data["failures"][0]["reason"]["kind"] == "nan_loss"
    assert data["total_seconds"] == pytest.approx(6 * 30 + 30)


def test_status_knows_what_is_waiting(results: Path, capsys: Capture):
    experiment = {"name": "x", "model": "mlp", "matrix": {"seed": [0, 1, 2, 3, 4]}}
    (results / "experiment.json").write_text(json.dumps(experiment))
    assert main(["status", str(results)]) == 0
    assert "6 done, 0 failed, 4 waiting" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["report", "which", "ls", "status"])
def test_no_results(verb: str, tmp_path: Path, capsys: Capture):
    (tmp_path / "result").mkdir()
    assert main([verb, str(tmp_path / "resul")]) == 4
    assert "Did you mean 'result'" in capsys.readouterr().err


@pytest.mark.parametrize(("verb", "code"), [("report", 5), ("which", 5), ("ls", 5), ("status", 0)])
def test_empty_results(verb: str, code: int, tmp_path: Path, capsys: Capture):
    (tmp_path / "r" / "cells").mkdir(parents=True)
    assert main([verb, str(tmp_path / "r")]) == code
    assert ("no finished cells" in capsys.readouterr().err) == (code == 5)
