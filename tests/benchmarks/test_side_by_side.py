"""The driver, with contenders that are made up: who is measured, who is not and why, and what is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import loop_tables, side_by_side
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.processes import ContenderError, Process
from benchmarks.side_by_side import Entry, Settings, measure

ABOUT = {"command": "python -m benchmarks.loop", "rounds": 3, "window_seconds": 0.5, "core": 0, "load": [0.0, 0.1],
         "started_at": "2026-11-23T00:00:00+00:00", "seconds": 1.0, "machine": {"cpu": "a CPU"},
         "versions": {"keras": "3"}}
# CPU seconds of an epoch, and faults.
ARGUMENTS = {
    "harness-pytorch": ["1.0"], "native-pytorch": ["0.9"], "dataloader-pytorch": ["3.0"],
    "lightning": ["1.0", "dies"], "accelerate": ["1.0", "still"],
}


def fake(name: str, workload: str, data: Path, program: str | None, folder: Path) -> Process:
    assert data.is_file()
    pace = ["0.5"] if program == "captured step" else ARGUMENTS[name]
    command = [sys.executable, "-m", "tests.benchmarks.fake_contender", *pace]
    process = Process(command, folder / f"{name}.log")
    if name == "harness-pytorch":
        process.about["program"] = "captured step: fast" if program == "captured step" else "eager: plain"
    return process


@pytest.fixture(autouse=True)
def no_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked for but keras.fit's, which is said to be missing."""
    monkeypatch.setattr(Contender, "missing",
                        lambda self: ["keras", "torch"] if self.module == "keras_fit" else [])


def settings(tmp_path: Path, program: str = "auto") -> Settings:
    return Settings(3, 0.5, program, tmp_path, tell=lambda text: None, open=fake)


def result(tmp_path: Path, entries: list[Entry]) -> dict[str, Any]:
    found = loop_tables.result_of("mlp_32", entries, ABOUT)
    loop_tables.write(found, tmp_path)
    return {item["label"]: item for item in json.loads((tmp_path / "mlp_32.json").read_text())["contenders"]}


def test_every_contender_is_told_of(tmp_path: Path) -> None:
    names = [name for name, item in CONTENDERS.items() if item.framework == "pytorch"]
    found = result(tmp_path, measure("mlp_32", names, settings(tmp_path)))
    assert found["native-pytorch"]["cpu_ratio"]["value"] == pytest.approx(0.9)
    assert found["native-pytorch"]["goal_in_words"].startswith("missed by 9.1%")
    assert found["dataloader-pytorch"]["cpu_ratio"]["value"] == pytest.approx(3.0)
    assert found["dataloader-pytorch"]["wall_ratio"]["value"] == pytest.approx(3.0)
    assert found["dataloader-pytorch"]["goal_in_words"] == "met (>= 2.5)"
    assert (found["lightning"]["status"], found["lightning"]["reason"]) == ("failed", "it ran out of luck")
    assert found["accelerate"]["reason"] == "2 of 3 trainable weights never changed"
    assert "cpu_ratio" not in found["lightning"]
    assert "cpu_ratio" not in found["accelerate"]
    assert found["keras-fit-pytorch"]["reason"] == "not installed: pip install keras torch"
    page = (tmp_path / "loops.md").read_text()
    assert "| pytorch: (d) a naive DataLoader loop | made up | 3 | 3.00 [3.00, 3.00] |" in page
    assert "not installed: pip install keras torch" in page


def test_the_harness_is_measured_with_the_best_program_and_with_auto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(side_by_side, "piloted", lambda *given: "captured step")
    found = result(tmp_path, measure("mlp_32", ["native-pytorch"], settings(tmp_path, "best")))
    assert list(found) == ["harness-pytorch", "harness-pytorch, auto", "native-pytorch"]
    assert found["harness-pytorch"]["program"] == "captured step: fast"
    assert found["harness-pytorch, auto"]["cpu_ratio"]["value"] == pytest.approx(2.0)
    assert found["native-pytorch"]["cpu_ratio"]["value"] == pytest.approx(1.8)


def test_the_best_program_is_not_measured_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "piloted", lambda *given: "eager")
    found = result(tmp_path, measure("mlp_32", ["native-pytorch"], settings(tmp_path, "best")))
    assert list(found) == ["harness-pytorch", "native-pytorch"]


def test_another_network_is_not_compared() -> None:
    entries = [Entry("harness-pytorch", "harness-pytorch", about={"parameters": 1000}),
               Entry("native-pytorch", "native-pytorch", about={"parameters": 1009}),
               Entry("lightning", "lightning", about={"parameters": 1011})]
    side_by_side._same_network(entries)
    assert [entry.status for entry in entries] == ["measured", "measured", "failed"]
    assert entries[2].reason == "another network: 1011 parameters, the harness's has 1000"


def test_a_contender_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ContenderError, match=r"No module named tests[.]benchmarks[.]no_contender"):
        Process([sys.executable, "-m", "tests.benchmarks.no_contender"], tmp_path / "log")


def test_goals() -> None:
    assert loop_tables.goal_of("mlp_128", "keras-fit-tensorflow") == 15
    assert loop_tables.goal_of("cnn", "keras-fit-tensorflow") == 1
    assert loop_tables.goal_of("lstm", "native-pytorch") == 0.99
    assert loop_tables.goal_of("lstm", "harness-pytorch") is None
