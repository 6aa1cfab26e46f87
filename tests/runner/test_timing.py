"""A half of a block: planned as a cell is, watched while it is timed; and how a run is told to time blocks."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import SpecError
from harness.runner import timing
from harness.runner.check import check
from harness.runner.driver import run
from harness.runner.timing import WindowWatch, subject_of
from harness.spec.experiment import Experiment


class NoFramework:
    """As much of a backend as planning asks for."""

    name = "tensorflow"
    said: tuple[str, ...] = ()

    def problems(self, plan):
        return list(self.said)


def cell_of(folder, **given):
    chance = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=chance.normal(size=(120, 8)).astype("float32"), y=np.arange(120) % 10)
    given = {"model": "mlp_64_64", "data": "data.npz", **given}
    return check(Experiment.parse(given, folder=folder))[0]


def test_the_first_phase_is_planned_as_its_training_is(tmp_path):
    cell = cell_of(tmp_path, seed=[5], data={"source": {"npz": "data.npz"}, "split": {"validation": 20, "test": 20}},
                   recipe={"metrics": ["accuracy"], "batch_size": 16, "phases": [
                       {"name": "pretrain", "epochs": 3}, {"name": "finetune", "epochs": 1, "freeze": ["hidden_1"]}]})
    subject = subject_of(cell, NoFramework())
    assert (subject.plan.name, subject.plan.collect_outputs) == ("pretrain", False)
    assert len(subject.plan.tape) == 3 * 5  # 80 examples in batches of 16
    assert len(subject.train) == 80
    assert len(subject.evaluation) == 20
    assert set(subject.state.weights) == {variable.name for variable in subject.plan.variables}
    # 2 a multiply-add; the gradients cost twice the forward pass, but for the input's.
    products = [8 * 64, 64 * 64, 64 * 10]
    assert subject.flops_per_step == 16 * 2 * (3 * sum(products) - products[0])
    again = subject_of(cell, NoFramework())
    assert again.plan.digest == subject.plan.digest
    assert all(np.array_equal(array, again.state.weights[name]) for name, array in subject.state.weights.items())


def test_a_split_for_testing_is_evaluated_where_there_is_no_other(tmp_path):
    cell = cell_of(tmp_path, data={"source": {"npz": "data.npz"}, "split": {"validation": 0, "test": 30}})
    assert len(subject_of(cell, NoFramework()).evaluation) == 30
    cell = cell_of(tmp_path, data={"source": {"npz": "data.npz"}, "split": {"validation": 0, "test": 0}})
    assert subject_of(cell, NoFramework()).evaluation is None


def test_what_a_backend_cannot_do_is_said(tmp_path):
    backend = NoFramework()
    backend.said = ("It has no such layer.",)
    with pytest.raises(SpecError, match="no such layer"):
        subject_of(cell_of(tmp_path), backend)


def test_the_watch_stands_around_the_window():
    watch = WindowWatch()
    watch.start()
    assert watch.stop()["joules"] is None
    assert watch.found["seconds"] < 5

    class Meter:
        calls: list[str] = []

        def start(self):
            self.calls.append("start")

        def stop(self):
            self.calls.append("stop")
            return {"joules": 3.0, "seconds": 1.0}

    watch = WindowWatch(Meter())
    watch.start()
    assert watch.stop() == {"joules": 3.0, "seconds": 1.0}
    assert Meter.calls == ["start", "stop"]


def test_what_a_half_cannot_exceed():
    assert timing._bound({"device": "cpu"}, None) is None
    assert timing._bound({"device": "cpu"}, {"flops_per_second": 1e11}) == 3e11
    found = {"device": "gpu:0 NVIDIA H200", "precision": {"matmul": "float32"}}
    assert timing._bound(found, None) == 67e12


@pytest.mark.parametrize(("options", "words"), [
    ({"more": 0}, "at least 1"),
    ({"more": True}, "at least 1"),
    ({"more": 2, "timing": False}, "this run times none"),
    ({"setting": "abc"}, "Add --more"),
])
def test_mistakes_about_blocks_are_named_before_anything_runs(tmp_path, monkeypatch, options, words):
    monkeypatch.setenv("HARNESS_TIMING", "1")
    cell_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=words):
        run({"model": "mlp_64_64", "data": "data.npz"}, tmp_path / "r", dry_run=True, **options)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(("said", "environment", "wanted", "blocks"), [
    ({}, "1", None, (6, 12, 24)), ({}, "0", None, None), ({}, "0", True, (6, 12, 24)), ({}, "1", False, None),
    ({"timing": False}, "1", None, None), ({"timing": False}, "1", True, (6, 12, 24)),
    ({"timing": {"looks": [4]}}, "1", None, (4,)),
])
def test_when_blocks_are_timed(tmp_path, monkeypatch, said, environment, wanted, blocks):
    """The experiment, the environment and the caller, who has the last word."""
    monkeypatch.setenv("HARNESS_TIMING", environment)
    cell_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr("harness.runner.driver.execute", lambda *arguments: seen.append(arguments[-1]))
    run({"model": "mlp_64_64", "data": "data.npz", **said}, tmp_path / "r", timing=wanted)
    assert (None if seen[0].blocks is None else seen[0].blocks.timing.looks) == blocks
