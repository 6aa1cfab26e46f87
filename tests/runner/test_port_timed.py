"""R4 and R5 of hand-written ports: what is judged of trainings that were played, and what is not run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.certify.certificate import FAILED, PASSED, SKIPPED
from harness.certify.samples import Distance, Program, Trajectory, write_trajectory
from harness.errors import SpecError
from harness.records.record import read_record
from harness.runner.matrix import Cell
from harness.runner.ports.timed import judged, without
from harness.runner.ports.whole_runs import CELL_JOB, PORT_FILE, free_folder, with_whole_runs
from harness.runner.workers import Job, Worker
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.recipe import Recipe
from tests.certify.made_up import certificate

STEPS = 6
NAMES = ("a/kernel", "a/bias", "norm/moving_variance")
PLAYED = {"lower": None}


def trajectory(backend: str, *, off: float = 0.0, program_off: float = 0.0, statistics_off: float = 0.0) -> Trajectory:
    """A training in float32; off: how much its weights differ from the other backend's, relatively."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(STEPS + 1, 5)).cumsum(0) + 10 for _ in NAMES]
    controls = {f"one ulp {index}": Distance(np.full((STEPS + 1, 3), 1e-14), np.ones(STEPS)) for index in (1, 2)}
    weights = [array * (1 + (statistics_off if name.startswith("norm") else off))
               for name, array in zip(NAMES, weights, strict=True)]
    timed = Program("some program", (3, STEPS), [array[[3, STEPS]] * (1 + program_off) for array in weights],
                    np.ones(STEPS))
    seeds = Distance(np.full((STEPS + 1, 3), 100.0), np.full(STEPS, 2.0))
    return Trajectory(backend, "float32", "eager", NAMES, frozenset(NAMES[:2]), weights, np.ones(STEPS), controls,
                      seeds, timed)


def judge(folder: Path, port: Trajectory, told: dict[str, Any] = PLAYED, **options: Any) -> Any:
    write_trajectory(folder / "keras.npz", trajectory("tensorflow"))
    write_trajectory(folder / "port.npz", port)
    return judged(folder / "keras.npz", folder / "port.npz", told, "pretrain", ("a", "norm"), **options)


def test_trainings_that_agree_pass_and_say_what_was_run(tmp_path: Path) -> None:
    rung, curves, finding = judge(tmp_path, trajectory("pytorch"))
    assert (rung.status, finding) == (PASSED, None)
    assert "torch.compile was not asked for" in rung.reason
    assert {curve.program for curve in curves} >= {"lock-step, uncompiled", "both as timed"}
    assert "the program of torch.compile" in judge(tmp_path, trajectory("pytorch"), compiled=True)[0].reason


def test_a_program_of_its_own_is_the_compilers(tmp_path: Path) -> None:
    rung, _, finding = judge(tmp_path, trajectory("pytorch", program_off=1e-3), compiled=True)
    assert rung.status == FAILED
    assert (finding.rung, finding.part, finding.step) == ("R4", "program", 2)
    assert "torch.compile" in finding.cause


def test_a_lower_precision_is_named_where_lock_step_differs(tmp_path: Path) -> None:
    port = trajectory("pytorch", off=1e-3)
    rung, _, finding = judge(tmp_path, port, {"lower": "conv1 computes in bfloat16"})
    assert rung.status == FAILED
    assert finding.part == "trajectory"
    assert "conv1 computes in bfloat16" in finding.cause
    assert judge(tmp_path, port)[2].cause is None


def test_what_is_accepted_is_left_out_of_both(tmp_path: Path) -> None:
    port = trajectory("pytorch", statistics_off=1e-2)
    assert judge(tmp_path, port)[0].status == FAILED
    assert judge(tmp_path, port, skip=["norm/moving_variance"])[0].status == PASSED
    left = without(port, ["norm/moving_variance"])
    assert left.names == NAMES[:2]
    assert left.timed is not None
    assert len(left.timed.weights) == len(left.weights) == 2
    assert left.controls["one ulp 1"].squares.shape == (STEPS + 1, 2)


def test_the_process_that_judges_loads_no_framework() -> None:
    code = ("import sys, harness.runner.ports.driver, harness.cli.certify\n"
            "print([name for name in ('torch', 'tensorflow', 'keras') if name in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def small() -> Any:
    x = inputs = Input((8, 8), name="inputs")
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(6, activation="relu", name="hidden")(x)
    return Model(inputs, layers.Dense(10, activation="softmax", name="classes")(x), name="small")


@pytest.mark.parametrize(("data", "recipe", "why"), [
    (None, {"loss": "mse"}, "the data was generated"),
    ("digits", {"loss": "mse", "phases": [{"name": "one"}, {"name": "two"}]}, "several phases"),
])
def test_whole_runs_say_why_they_are_not_run(data: Any, recipe: Any, why: str, tmp_path: Path) -> None:
    found = with_whole_runs(certificate(), small(), Recipe.parse(recipe), data, {}, precision="float32", seeds=5,
                            folder=tmp_path / "runs")
    last = found.phases[-1].rungs[-1]
    assert (last.name, last.status) == ("R5", SKIPPED)
    assert why in last.reason
    assert found.label == certificate().label


def test_runs_of_another_state_of_the_port_are_not_taken_up(tmp_path: Path) -> None:
    assert free_folder(tmp_path / "new") == tmp_path / "new"
    (tmp_path / "port.json").write_text("{}")
    with pytest.raises(SpecError, match="there are runs already"):
        free_folder(tmp_path)


PORT = """
from torch import nn

class Port(nn.Module):
    scale = 1.0

    def __init__(self):
        super().__init__()
        self.hidden, self.classes = nn.Linear(64, 6), nn.Linear(6, 10)

    def forward(self, x):
        return self.classes(self.hidden(x.flatten(1)).relu()) * self.scale

class Wrong(Port):
    scale = 0.9
"""
MAPPING = {"entries": [["hidden/kernel", ["hidden.weight"], "transpose"], ["hidden/bias", ["hidden.bias"], "same"],
                       ["classes/kernel", ["classes.weight"], "transpose"], ["classes/bias", ["classes.bias"], "same"]],
           "zeros": [], "ignored": []}


@pytest.mark.frameworks
def test_a_whole_run_trains_the_port_as_the_model_is_trained(tmp_path: Path) -> None:
    """The same cell with the harness's own model, with the port, and with a port that has a mistake."""
    (tmp_path / "net.py").write_text(PORT)
    recipe = Recipe.parse({"loss": "sparse_categorical_crossentropy", "optimizer": {"Adam": {}}, "batch_size": 64,
                           "epochs": 1})
    cell = Cell(small(), "small", DatasetSpec.parse("digits"), recipe, "pytorch",
                Execution(precision="float64", device="cpu", compile="none"), 3, folder=tmp_path)
    records = {}
    with Worker("pytorch") as worker:
        for name, function in (("own", "harness.runner.cell:cell_job"), ("Port", CELL_JOB), ("Wrong", CELL_JOB)):
            runs = tmp_path / name
            folder = runs / "cells" / "id"
            folder.parent.mkdir(parents=True)
            (runs / PORT_FILE).write_text(json.dumps({
                "torch": f"{tmp_path}/net.py:{name}", "mapping": MAPPING, "layout": "auto", "compiled": False,
                "outputs": {"classes": "logits"}}))
            worker.run(Job(function, {"cell": cell.to_data(), "folder": str(folder), "checkpoints": {}})).unwrap()
            records[name] = read_record(folder)
    own, port, wrong = (records[name] for name in ("own", "Port", "Wrong"))
    np.testing.assert_allclose(port.losses, own.losses, rtol=1e-10)
    assert port.data["test"]["loss"] == pytest.approx(own.data["test"]["loss"], rel=1e-10)
    assert np.abs(wrong.losses - own.losses).max() > 1e-3
    assert port.status == "done"
