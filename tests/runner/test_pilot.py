"""The pilot: what is accepted, what is chosen, what is kept of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.certify.samples import Distance, Program, Trajectory, write_trajectory
from harness.errors import CellFailed
from harness.records.array_file import write_arrays
from harness.runner import pilot
from harness.runner.matrix import Cell
from harness.runner.pilot import BASE_JOB, chosen_program, judged, with_program
from harness.runner.pilot_jobs import compared, part
from harness.runner.workers import Job, JobResult, Worker
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.recipe import Recipe

STEPS = 12


def cell(backend: str = "pytorch", **execution: Any) -> Cell:
    image = Input((8, 8), name="image")
    h = layers.Dropout(0.2)(layers.Dense(8, activation="relu")(layers.Flatten()(image)))
    spec = Model(image, layers.Dense(10, activation="softmax")(h), name="small")
    recipe = Recipe(loss="sparse_categorical_crossentropy", optimizer="adam", batch_size=32, epochs=2)
    return Cell(spec, "small", DatasetSpec.parse("digits"), recipe, backend,
                Execution(**{"device": "cpu", **execution}), 0)


def trajectory() -> Trajectory:
    """A weight that walks; rounding carries it 1e-7 away, another seed 1."""
    walk = np.cumsum(np.ones((STEPS + 1, 4), np.float32), axis=0)
    small = np.linspace(0, 1e-7, STEPS + 1)[:, None] ** 2
    return Trajectory("pytorch", "float32", "lock-step", ("w",), frozenset({"w"}), [walk], np.ones(STEPS),
                      {"one ulp 1": Distance(small, np.ones(STEPS))},
                      Distance(np.full((STEPS + 1, 1), 100.0), np.ones(STEPS)))


def program(apart: float) -> Program:
    """One whose weights are so far from the walk, relatively, from the fifth step on."""
    at = (1, 5, STEPS)
    weights = trajectory().weights[0][list(at)].copy()
    weights[1:] *= 1 + apart
    return Program("fast", at, [weights], np.ones(STEPS))


class Answers:
    """A worker whose programs are played already: name -> (relative distance, seconds of a step, of compiling), or the
    reason why a job failed."""

    def __init__(self, programs: dict[str, Any]) -> None:
        self.programs, self.asked = programs, []

    def run(self, job: Any, timeout: float | None = None) -> JobResult:
        arguments = job.arguments
        if job.function == BASE_JOB:
            write_trajectory(arguments["file"], trajectory())
            return JobResult("done", {"programs": list(self.programs), "refused": {"cuda graph": "it needs a GPU"},
                                      "rounds_in_float32": False, "speed_by": "seconds", "versions": {}})
        self.asked.append((arguments["program"], arguments["best"]))
        found = self.programs[arguments["program"]]
        if isinstance(found, str):
            return JobResult("failed", reason={"kind": "error", "message": found + "\nand more"})
        apart, step, compiling = found
        played = program(apart)
        write_arrays(arguments["file"], {"name": np.array(played.name), "steps": np.array(played.steps),
                                         "losses": played.losses, "weight 0": played.weights[0]})
        return JobResult("done", {"reason": None, "timed": {
            "samples_per_second": 32 / step, "step_seconds": step, "first_step_seconds": compiling,
            "compile_seconds": compiling, "words": arguments["program"]}})


def test_the_fastest_that_trains_alike_is_chosen_and_all_are_recorded(tmp_path: Path) -> None:
    worker = Answers({"eager": (0.0, 0.010, 1.0), "captured step": (1e-6, 0.006, 2.0), "inductor": (0.01, 0.001, 30.0),
                      "inductor step": "no compiler", "slower": (0.0, 0.020, 2.0)})
    found = chosen_program(cell(), "abc", tmp_path, worker)
    assert found["chosen"] == "captured step"
    entries = {item["program"]: item for item in found["programs"]}
    assert [item["accepted"] for item in entries.values()] == [True, True, False, False, True, False]
    assert "another training: pytorch as timed (fast)" in entries["inductor"]["reason"]
    assert entries["inductor"]["samples_per_second"] == 32_000
    assert entries["inductor step"]["reason"] == "error: no compiler"
    assert entries["cuda graph"]["reason"] == "it needs a GPU"
    # 1 s more of compiling, 4 ms less a step; what is slower, and what was not accepted, never makes up for it.
    assert [item["break_even_steps"] for item in entries.values()] == [0, 250, None, None, None, None]
    assert worker.asked == [("eager", None), ("captured step", 0.010), ("inductor", 0.006), ("inductor step", 0.006),
                            ("slower", 0.006)]


def test_a_resumed_run_uses_the_same_choice(tmp_path: Path) -> None:
    first = chosen_program(cell(), "abc", tmp_path, Answers({"eager": (0.0, 0.01, 1.0)}), machine="here")
    other = Answers({"eager": (0.0, 0.01, 1.0), "captured step": (0.0, 0.001, 1.0)})
    again = chosen_program(cell(), "abc", tmp_path, other, machine="here")
    assert again == first == json.loads((tmp_path / "pilots" / "abc-pytorch.json").read_text())
    assert not other.asked
    assert chosen_program(cell(), "abc", tmp_path, other, machine="elsewhere")["chosen"] == "captured step"
    (tmp_path / "pilots" / "abc-pytorch.json").write_text('{"chosen": "ea')
    assert chosen_program(cell(), "abc", tmp_path, other, machine="here")["chosen"] == "captured step"


def test_no_program_that_trains_alike_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(CellFailed, match="eager: it is another training") as raised:
        chosen_program(cell(), "abc", tmp_path, Answers({"eager": (0.5, 0.01, 1.0)}))
    assert raised.value.kind == "no_program"


@pytest.mark.parametrize(("execution", "chosen"), [
    ({"tier": "idiomatic"}, "auto"), ({"compile": "none"}, "auto"), ({"program": "captured step"}, "captured step")])
def test_what_is_said_is_not_searched_for(execution: dict[str, str], chosen: str, tmp_path: Path) -> None:
    found = chosen_program(cell(**execution), "abc", tmp_path, Answers({}))
    assert found["chosen"] == chosen
    assert found["programs"] == []
    assert not list(tmp_path.iterdir())


def test_judged_by_the_certificates_limits() -> None:
    assert judged(trajectory(), program(5e-6))[0] is None
    reason, closest = judged(trajectory(), program(1e-3))
    assert reason is not None
    assert closest > 1
    lost = program(0.0)
    lost.weights[0][1:] = np.nan
    assert judged(trajectory(), lost)[0] is not None


def test_every_batch_size_and_the_end_of_an_epoch_are_compared() -> None:
    from harness.plan.compiler import compile_phase

    subject = cell()
    plan = compile_phase(subject.model, subject.recipe.resolved_phases()[0], index=0, examples=1000, seed=0)
    chosen = compared(plan.tape)
    cut = part(plan.tape, chosen)
    end = plan.tape.epoch_bounds()[0][1]
    assert {end - 1, end} <= set(chosen)
    assert set(cut.sizes) == {32, 8}
    assert len(cut) < len(plan.tape)
    assert np.array_equal(cut.indices[-1], plan.tape.indices[chosen[-1]])


def test_the_cell_of_a_program_differs_in_nothing_else() -> None:
    named = with_program(cell(threads=2), "captured step")
    assert named.execution == Execution(device="cpu", threads=2, program="captured step")
    assert named.model is not None
    assert named.recipe == cell().recipe


@pytest.mark.frameworks
def test_a_program_that_leaves_updates_out_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    # Without a compiler to be found: the two programs that need none.
    monkeypatch.setenv("PATH", "")
    with Worker("pytorch") as worker:
        honest = chosen_program(cell(), "honest", tmp_path, worker)
        skipping = (pilot.BASE_JOB, "tests.runner.planted_pilot:skipping_job")
        planted = chosen_program(cell(), "planted", tmp_path, worker, jobs=skipping)
        hopeless = worker.run(Job(pilot.PROGRAM_JOB, {
            "cell": cell().to_data(), "backend": "pytorch", "program": "eager", "file": str(tmp_path / "unwritten.npz"),
            "best": 1e-7, "speed_by": "cpu_seconds"})).unwrap()
    entries = {item["program"]: item for item in honest["programs"]}
    assert [name for name, item in entries.items() if item["accepted"]] == ["eager", "captured step"]
    assert entries["captured step"]["closest"] == 0.0
    assert entries["captured step"]["compile_seconds"] > entries["eager"]["compile_seconds"]
    assert "needs a C++ compiler" in entries["inductor"]["reason"]
    assert hopeless["reason"].startswith("not looked at any further")
    assert hopeless["timed"]["step_seconds"] > 0
    assert not (tmp_path / "unwritten.npz").exists()
    assert planted["chosen"] == "eager"
    found = next(item for item in planted["programs"] if item["program"] == "captured step")
    assert not found["accepted"]
    assert "it is another training" in found["reason"]
