"""report, which, ls and status over records that nobody had to train."""

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.records.blocks import blocks_of, write_block
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


@pytest.mark.parametrize(("expected", "code", "noted"), [
    ("pytorch", 0, "pytorch"), ("tensorflow", 1, "tensorflow"), ("no difference", 1, "same"), ("same", 1, "same")])
def test_which_holds_the_answer_against_what_was_expected(
    results: Path, expected: str, code: int, noted: str, capsys: Capture
):
    assert main(["which", str(results), "--expect", expected, "--json"]) == code
    assert answer(capsys)["expected"] == noted


def test_what_was_expected_is_the_better_accuracy_where_it_differs(tmp_path: Path):
    store = pairs(tmp_path / "r", seeds=5)
    for seed in range(5):
        add(store, payload(backend="pytorch", seed=seed, accuracy=0.7))
    assert main(["which", str(store.path), "--expect", "tensorflow"]) == 0
    assert main(["which", str(store.path), "--expect", "pytorch"]) == 1


def test_which_of_another_measure_tier_and_target(tmp_path: Path, capsys: Capture):
    store = pairs(tmp_path / "r", seeds=5, models=("mlp", "cnn"))
    assert main(["which", str(store.path), "--primary", "latency_p99", "--tier", "tuned"]) == 0
    sentence, first, second, *_ = capsys.readouterr().out.splitlines()
    assert sentence.startswith("Of 2 comparisons")
    assert first.startswith("- cnn, digits: PyTorch quicker to answer by at least 3%")
    assert second.startswith("- mlp, digits: PyTorch quicker to answer by at least 3%")
    assert main(["which", str(store.path), "--tier", "idiomatic"]) == 6
    assert "no records of tier idiomatic" in capsys.readouterr().out
    assert main(["which", str(store.path), "--target", "val_accuracy=0.88", "--margin", "0.005", "--json"]) == 0
    data = answer(capsys)
    assert data["primary"] == "time_to_accuracy"
    assert [item["primary"]["details"]["target"] for item in data["comparisons"]] == [0.88, 0.88]
    assert main(["which", str(store.path), "--primary", "time_to_accuracy", "--json"]) in (0, 6)
    assert any("not one that was fixed beforehand" in sentence for sentence in answer(capsys)["unknown"])


def test_which_decides_as_the_experiment_says(results: Path, capsys: Capture):
    verdict = {"primary": "time_to_accuracy", "target": {"val_loss": 0.3}, "tier": "tuned"}
    (results / "experiment.json").write_text(json.dumps({"name": "x", "verdict": verdict}))
    main(["which", str(results)])
    assert "restricted mean time to val_loss 0.3" in capsys.readouterr().out
    main(["which", str(results), "--target", "0.88"])
    assert "restricted mean time to val_accuracy 0.88" in capsys.readouterr().out


def test_which_sees_no_difference_inside_a_wide_margin(tmp_path: Path, capsys: Capture):
    store = pairs(tmp_path / "same", seeds=4, speed=1000.0)
    assert main(["which", str(store.path), "--expect", "no difference"]) == 0
    assert main(["which", str(store.path), "--expect", "pytorch"]) == 1


def test_too_few_seeds_are_not_enough_evidence(tmp_path: Path, capsys: Capture):
    store = pairs(tmp_path / "few", seeds=2, blocks=5)
    assert main(["which", str(store.path)]) == 6
    assert main(["which", str(store.path), "--expect", "pytorch"]) == 6
    assert "not enough evidence" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "message"), [
    (["--primary", "samples"], "there is no measure 'samples'"),
    (["--margin", "3"], "margin is 3.0"),
    (["--expect", "jax"], "--expect is one of tensorflow, pytorch, no difference"),
    (["--tier", "tunde"], "Did you mean 'tuned'"),
    (["--target", "high"], "For example val_accuracy=0.9"),
    (["--target", "val_acc=0.9"], "no epoch of these records has the metric 'val_acc'"),
    (["--target", "0.9", "--primary", "cost"], "--target is of time_to_accuracy, and --primary is cost"),
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
    (blocks,) = data["blocks"]
    assert (blocks["done"], blocks["failed"], blocks["dropped"], blocks["last"]) == (6, 0, 0, None)
    (block, *_) = blocks_of(results, blocks["setting"])
    reason = {"kind": "unfair", "message": "UNFAIR: threads differ"}
    write_block(results, {**block.data, "number": 6, "status": "failed", "reason": reason})
    assert main(["status", str(results)]) == 0
    assert f"setting {block.setting}: 6 done, 1 failed; the last one unfair: UNFAIR: threads" in capsys.readouterr().out


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
