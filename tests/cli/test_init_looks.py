"""`harness init` on a user's own data: what it writes must load as it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from harness.cli.main import main

ROWS = 30


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def init(data: str, *more: str, model: str = "mlp") -> dict[str, object]:
    """Writes the experiment, asks `plan` whether it can be run, and returns what was written."""
    assert main(["init", "e.yaml", "--model", model, "--data", data, *more]) == 0
    assert main(["plan", "e.yaml"]) == 0
    written: dict[str, object] = yaml.safe_load(Path("e.yaml").read_text())
    return written


def table(separator: str, target: Callable[[int], float], **changed: str) -> str:
    """A CSV with numbers, text and the target "y", a function of the row's number."""
    rows = [{"age": str(20 + i), "pain": "abc"[i % 3], "y": target(i)} for i in range(ROWS)]
    rows[3] |= changed
    return "\n".join(separator.join(map(str, row)) for row in [list(rows[0]), *(row.values() for row in rows)]) + "\n"


@pytest.mark.parametrize(("separator", "changed", "source", "prepare"), [
    (",", {}, {}, ["standardise"]),
    (";", {}, {"separator": ";"}, ["standardise"]),
    (",", {"age": ""}, {}, [{"clean": {"missing": "median"}}, "standardise"]),
    (",", {"y": ""}, {}, [{"clean": {"missing": "drop"}}, "standardise"]),
])
def test_tables_of_classes(separator: str, changed: dict[str, str], source: dict[str, object], prepare: object):
    Path("t.csv").write_text(table(separator, lambda i: i % 2, **changed))
    written = init("t.csv", "--target", "y")
    assert written["data"]["source"] == {"csv": "t.csv", "target": "y", "categorical": ["pain"], **source}
    assert written["data"]["prepare"] == prepare
    assert written["recipe"]["loss"] == "sparse_categorical_crossentropy"
    assert written["matrix"]["model"] == ["mlp"]


@pytest.mark.parametrize("data", ["t.csv", "a.npz", "diabetes"])
def test_a_quantity_gets_a_model_and_a_loss_for_it(data: str):
    Path("t.csv").write_text(table(",", lambda i: i / 7))
    np.savez("a.npz", x=np.ones((ROWS, 3)) * np.arange(ROWS)[:, None], y=np.arange(ROWS) / 7)
    written = init(data, *(["--target", "y"] if data == "t.csv" else []))
    assert written["recipe"]["loss"] == "mean_squared_error"
    assert written["recipe"]["metrics"] == ["mean_absolute_error"]
    assert written["matrix"]["model"] == [{"mlp": {"num_classes": 1, "output_activation": None}}]


def test_images_of_several_sizes():
    for number in range(20):
        path = Path("photos", "ab"[number % 2], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 12) if number else (17, 12)).save(path)
    written = init("photos", model="cnn")
    assert written["data"]["source"] == {"images": "photos", "size": [12, 16]}


def test_a_target_that_is_no_column(capsys: pytest.CaptureFixture[str]):
    Path("t.csv").write_text("age,disease\n1,0\n2,1\n")
    assert main(["init", "e.yaml", "--data", "t.csv", "--target", "diseas"]) == 4
    assert "Did you mean 'disease'" in capsys.readouterr().err
    assert not Path("e.yaml").exists()
