"""Blocks: order, looks, resume, what is dropped and what stops them. Halves are fake, most of them in this process."""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from harness.errors import CellFailed, SpecError
from harness.records.blocks import read_blocks
from harness.records.settings_key import setting_key
from harness.records.store import Store
from harness.runner.blocks import Blocks, BlockSettings, More
from harness.runner.check import check
from harness.runner.child import reason
from harness.runner.driver import Settings, execute
from harness.runner.locks import FileLock
from harness.runner.progress import Progress
from harness.runner.workers import JobResult
from harness.spec.experiment import Experiment
from harness.spec.timing import Timing
from tests.runner.block_jobs import fake_unfair

ROOT = Path(__file__).resolve().parents[2]
DRIVE = Path(__file__).with_name("drive.py")
ABBA = [["tensorflow", "pytorch"], ["pytorch", "tensorflow"], ["pytorch", "tensorflow"], ["tensorflow", "pytorch"]]


@pytest.fixture(autouse=True)
def _data(tmp_path):
    chance = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=chance.normal(size=(120, 8)).astype("float32"), y=np.arange(120) % 10)


def behave(tmp_path, **said):
    (tmp_path / "behaviour.json").write_text(json.dumps(said))


def block_settings(looks=(3, 6), more=None, pilot=None, **timing):
    return BlockSettings(Timing(looks=looks, **timing), more, "tests.runner.block_jobs:fake_half",
                         "tests.runner.block_jobs:fake_conditions", fake_unfair, None, pilot,
                         "tests.runner.block_jobs:fake_try")


class InProcess:
    """Runs a worker's jobs here."""

    backend = "none"

    def run(self, job, on_event=None, timeout=None):
        module, _, name = job.function.partition(":")
        try:
            value = getattr(importlib.import_module(module), name)(job.arguments, on_event)
            return JobResult("done", json.loads(json.dumps(value)))
        except Exception as error:
            return JobResult("failed", reason=reason(error))


def parsed(tmp_path, given):
    return Experiment.parse({"model": "mlp_64_64", "data": "data.npz", **(given or {})}, folder=tmp_path)


def go(tmp_path, retry_failed=False, given=None, machine="here", primary="samples_per_second", **changes):
    """Times the blocks of an experiment that are due; returns its events."""
    experiment, events = parsed(tmp_path, given), []
    found = Blocks(check(experiment), Store(tmp_path / "store"), block_settings(**changes), 0.03, machine,
                   events.append, retry_failed, primary)
    if found.due():
        found(found.halves(lambda cell: InProcess(), None), FileLock(tmp_path / "lock"))
    return events


def run(tmp_path, given=None, **changes):
    """The same after fake cells, by the driver, in processes; returns its events."""
    experiment, events = parsed(tmp_path, given), []
    settings = Settings(function="tests.runner.jobs:fake_cell", backend_of=lambda cell: "none", lock=tmp_path / "lock",
                        blocks=block_settings(**changes))
    execute(experiment, check(experiment), tmp_path / "store", events.append, settings)
    return events


def blocks(tmp_path):
    """The blocks of the one setting."""
    found = read_blocks(tmp_path / "store")
    assert len(found) <= 1
    return next(iter(found.values()), [])


def of_kind(events, kind):
    return [event for event in events if event["event"] == kind]


def halves(tmp_path):
    return (tmp_path / "halves.txt").read_text().splitlines()


def test_blocks_follow_the_cells_until_a_look_decides(tmp_path):
    events = run(tmp_path)
    found = blocks(tmp_path)
    assert [block.number for block in found] == [0, 1, 2]
    assert [list(block.order) for block in found] == ABBA[:3]
    assert halves(tmp_path) == [
        "conditions tensorflow", "conditions pytorch",
        *(f"mlp_64_64 {number} {backend}" for number in range(3) for backend in ABBA[number]),
    ]
    names = [event["event"] for event in events if event["event"] != "half"]
    assert names.index("block_started") > max(i for i, name in enumerate(names) if name == "cell_finished")
    assert names[-6:] == ["block_started", "block_finished"] * 3
    last = events[-1]
    assert (last["done"], last["target"], last["look"], last["status"]) == (3, 3, 3, "done")
    assert last["ratio"] == pytest.approx(1000 / 1100, rel=0.03)
    assert {event["backend"] for event in of_kind(events, "half")} == {"tensorflow", "pytorch"}
    # A setting is the same one in the records and in the blocks.
    (record, *_) = Store(tmp_path / "store").records()
    assert found[0].setting == setting_key(record.cell)
    assert found[0].cell["model"] == record.cell["model"]
    assert found[0].machine["machine"]
    assert set(found[0].machine["halves"]) == {"tensorflow", "pytorch"}
    assert {path.name for path in (tmp_path / "store" / "logs" / "blocks").glob("*/*")} >= {"0000-pytorch.log"}

    assert [event["event"] for event in run(tmp_path)] == ["plan"]
    # A half that is killed is one that failed.
    behave(tmp_path, wrong={"4 tensorflow": "kill"})
    more = More(2, found[0].setting)
    assert [event["status"] for event in of_kind(run(tmp_path, more=more), "block_finished")] == [
        "done", "failed", "done"]
    assert blocks(tmp_path)[4].reason["kind"] == "killed"


def test_the_first_seed_is_timed(tmp_path):
    go(tmp_path, given={"seed": [3, 1, 2]})
    assert {block.data["seed"] for block in blocks(tmp_path)} == {1}


def test_a_look_that_does_not_decide_is_followed_by_the_next_and_the_last_is_the_last(tmp_path):
    behave(tmp_path, speeds={"tensorflow": 1000.0, "pytorch": 1000.0}, spread=0.2)
    events = go(tmp_path)
    assert len(blocks(tmp_path)) == 6
    assert [event["look"] for event in of_kind(events, "block_finished")] == [3, 3, 3, 6, 6, 6]
    assert [list(block.order) for block in blocks(tmp_path)] == [*ABBA, *ABBA[:2]]
    assert go(tmp_path) == []


def test_the_looks_are_at_what_decides(tmp_path):
    """The speeds are decided at the first look; what the verdict is to rest on is not."""
    behave(tmp_path, latencies=True)
    go(tmp_path, primary="latency_p99")
    assert len(blocks(tmp_path)) == 6
    assert of_kind(go(tmp_path, primary="energy"), "block_started") == []  # no half has it, so the speed decides


def test_more_blocks_for_what_is_undecided(tmp_path):
    behave(tmp_path, speeds={"tensorflow": 1000.0, "pytorch": 1000.0}, spread=0.2)
    go(tmp_path)
    assert len(of_kind(go(tmp_path, more=More(2)), "block_finished")) == 2
    assert len(blocks(tmp_path)) == 8
    # Within the eight, the look at six stands; from twelve on everything is clear.
    behave(tmp_path, speeds={"tensorflow": 1000.0, "pytorch": 1e6}, spread=0.0)
    events = go(tmp_path, more=More(40))
    assert 4 <= len(of_kind(events, "block_finished")) < 40
    assert of_kind(events, "block_finished")[-1]["done"] in (12, 24)


def test_more_blocks_of_what_is_decided_only_where_it_is_named(tmp_path):
    go(tmp_path)
    setting = blocks(tmp_path)[0].setting
    assert of_kind(go(tmp_path, more=More(2)), "block_finished") == []
    assert len(of_kind(go(tmp_path, more=More(2, setting[:5])), "block_finished")) == 2
    with pytest.raises(SpecError, match="no setting of this experiment begins with 'nothing'"):
        run(tmp_path / "new", {"data": str(tmp_path / "data.npz")}, more=More(2, "nothing"))
    assert not (tmp_path / "new").exists()


def test_settings_take_turns(tmp_path):
    events = go(tmp_path, given={"matrix": {"batch_size": [8, 16]}})
    order = [(event["title"], event["number"]) for event in of_kind(events, "block_started")]
    titles = list(dict.fromkeys(title for title, _ in order))
    assert len(titles) == 2
    assert order == [(title, number) for number in range(3) for title in titles]
    assert halves(tmp_path).count("conditions tensorflow") == 1
    assert len(read_blocks(tmp_path / "store")) == 2


def test_one_backend_alone_is_not_timed(tmp_path):
    assert go(tmp_path, given={"backend": "pytorch"}) == []
    assert not (tmp_path / "store" / "blocks").exists()


def test_a_training_that_failed_is_not_timed(tmp_path):
    """Seed 13 of the fake cells loses its loss."""
    run(tmp_path, {"seed": [13, 20], "matrix": {"batch_size": [8, 16]}, "exclude": [{"batch_size": 8, "seed": 20}]})
    assert {(block.data["seed"], block.cell["recipe"]["batch_size"]) for block in blocks(tmp_path)} == {(20, 16)}


def test_unfair_conditions_stop_a_setting_before_anything_is_timed(tmp_path):
    behave(tmp_path, threads={"pytorch": 2})
    events = go(tmp_path)
    (block,) = blocks(tmp_path)
    assert (block.status, block.reason["kind"]) == ("failed", "unfair")
    assert block.reason["message"].startswith("UNFAIR: threads differ")
    assert block.reason["message"].endswith("Mend them.")
    assert block.halves["pytorch"] == {"conditions": {"backend": "pytorch", "threads": 2}}
    # Read in two processes each: one probe may err.
    assert halves(tmp_path) == ["conditions tensorflow", "conditions pytorch"] * 2
    assert "UNFAIR" in of_kind(events, "blocks_stopped")[0]["reason"]
    behave(tmp_path)
    assert go(tmp_path) == []
    assert go(tmp_path, more=More(2)) == []
    assert len(of_kind(go(tmp_path, retry_failed=True), "block_finished")) == 3
    assert [block.status for block in blocks(tmp_path)] == ["failed", "done", "done", "done"]


def test_a_half_that_reads_back_something_else_than_before_is_caught_too(tmp_path):
    behave(tmp_path, threads_then={"tensorflow": 4})
    events = go(tmp_path)
    for block in blocks(tmp_path):
        assert (block.status, block.reason["kind"]) == ("failed", "unfair")
        assert block.samples_per_second("pytorch") is not None  # shown, and not counted
    assert len(blocks(tmp_path)) == 2
    assert "2 blocks in a row failed, the last with unfair: UNFAIR" in of_kind(events, "blocks_stopped")[0]["reason"]


def test_a_probe_that_erred_once_stops_nothing(tmp_path):
    behave(tmp_path, errs_once={"pytorch": 2})
    go(tmp_path)
    assert [block.status for block in blocks(tmp_path)] == ["done"] * 3
    assert halves(tmp_path)[:4] == ["conditions tensorflow", "conditions pytorch"] * 2


def test_the_pilot_chooses_what_is_timed_once_for_each_setting_and_backend(tmp_path):
    asked = []

    def pilot(cell, setting, out, worker, machine, tell):
        asked.append((setting, cell.backend, out, machine))
        return {"chosen": {"tensorflow": "xla loop", "pytorch": "auto"}[cell.backend]}

    go(tmp_path, pilot=pilot)
    found = blocks(tmp_path)
    assert asked == [(found[0].setting, name, tmp_path / "store", "here") for name in ABBA[0]]
    assert all(block.data["programs"] == {"tensorflow": "xla loop", "pytorch": "auto"} for block in found)
    # The halves play it; the setting is the one that was asked for.
    assert [half["played"] for block in found for half in (block.halves["tensorflow"], block.halves["pytorch"])] == [
        "xla loop", "auto"] * 3
    assert {block.cell["execution"].get("program", "auto") for block in found} == {"auto"}


def test_without_a_program_that_will_do_a_setting_ends(tmp_path):
    def pilot(cell, *others):
        raise CellFailed("no_program", f"no program of {cell.backend} trains this cell.")

    (stopped,) = of_kind(go(tmp_path, pilot=pilot), "blocks_stopped")
    assert "the last with no_program: pytorch: no program of pytorch trains this cell." in stopped["reason"]
    assert [block.reason["kind"] for block in blocks(tmp_path)] == ["no_program"] * 2


def test_two_failures_in_a_row_stop_a_setting(tmp_path):
    behave(tmp_path, wrong={"* pytorch": "nan_loss"})
    events = go(tmp_path)
    first, second = blocks(tmp_path)
    assert {first.reason["kind"], second.reason["kind"]} == {"nan_loss"}
    assert first.reason["message"] == "pytorch: the loss became nan at step 3."
    # Block 1 begins with PyTorch: what fails first ends the block.
    assert (set(first.halves), set(second.halves)) == ({"tensorflow"}, set())
    (stopped,) = of_kind(events, "blocks_stopped")
    assert "2 blocks in a row failed, the last with nan_loss" in stopped["reason"]
    assert go(tmp_path) == []
    behave(tmp_path)
    go(tmp_path, retry_failed=True)
    assert [block.status for block in blocks(tmp_path)] == ["failed", "failed", "done", "done", "done"]


@pytest.mark.parametrize(("wrong", "kind"), [("memory", "out_of_memory"), ("no window", "error")])
def test_one_failure_is_recorded_and_the_others_go_on(tmp_path, wrong, kind):
    behave(tmp_path, wrong={"1 tensorflow": wrong})
    events = go(tmp_path)
    assert [block.status for block in blocks(tmp_path)] == ["done", "failed", "done", "done"]
    assert blocks(tmp_path)[1].reason["kind"] == kind
    assert of_kind(events, "blocks_stopped") == []


def test_a_throttled_block_is_dropped_shown_and_replaced(tmp_path):
    behave(tmp_path, wrong={"1 tensorflow": "throttled"})
    events = go(tmp_path)
    found = blocks(tmp_path)
    assert [block.status for block in found] == ["done", "dropped", "done", "done"]
    assert found[1].reason["kind"] == "disturbed"
    assert "held it back for 9.0 of 10.0 s" in found[1].reason["message"]
    assert (found[0].machine["throttled"], found[1].machine["throttled"]) == (False, True)
    assert found[0].machine["foreign_cpu_seconds"] == pytest.approx(0.2)
    assert found[0].machine["limits"] == {"foreign_share": 0.1, "steal_share": 0.03, "throttled_share": 0.01}
    assert found[1].samples_per_second("tensorflow") is not None
    assert of_kind(events, "block_finished")[1]["done"] == 1


def test_a_machine_that_is_never_quiet_ends_the_setting_for_this_run(tmp_path):
    behave(tmp_path, wrong={"* pytorch": "throttled"})
    (stopped,) = of_kind(go(tmp_path), "blocks_stopped")
    assert "6 blocks in a row were dropped" in stopped["reason"]
    go(tmp_path, most_dropped=2)
    assert Counter(block.status for block in blocks(tmp_path)) == {"dropped": 8}
    behave(tmp_path)
    assert of_kind(go(tmp_path), "block_finished")[-1]["done"] == 3
    behave(tmp_path, wrong={"* pytorch": "throttled"})
    go(tmp_path, looks=(5,), drop_disturbed=False)
    assert Counter(block.status for block in blocks(tmp_path)) == {"dropped": 8, "done": 5}


def test_blocks_of_another_machine_are_kept_and_not_counted(tmp_path):
    go(tmp_path)
    there = of_kind(go(tmp_path, machine="there"), "block_finished")
    assert [(event["number"], event["done"]) for event in there] == [(3, 1), (4, 2), (5, 3)]
    assert Counter(block.machine["machine"] for block in blocks(tmp_path)) == {"here": 3, "there": 3}


def test_a_damaged_block_is_timed_again_under_its_number(tmp_path):
    go(tmp_path)
    path = next((tmp_path / "store" / "blocks").glob("*/0001.json"))
    path.write_text(path.read_text()[:50])
    (again,) = of_kind(go(tmp_path), "block_finished")
    assert again["number"] == 1
    assert [block.number for block in blocks(tmp_path)] == [0, 1, 2]


def test_killed_at_any_moment_nothing_finished_is_lost_or_repeated(tmp_path):
    """kill -9 at random moments until all six blocks are there; then every block has been finished once."""
    behave(tmp_path, speeds={"tensorflow": 1000.0, "pytorch": 1000.0}, spread=0.2, sleep=0.05)
    chance, kills, seen = random.Random(3), 0, {}
    for _ in range(15):
        process = subprocess.Popen(
            [sys.executable, str(DRIVE), str(tmp_path / "store"), str(tmp_path / "lock"), "[0]", "blocks"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)})
        if any('"block_started"' in line for line in iter(process.stdout.readline, "")):
            time.sleep(chance.uniform(0.0, 1.0))
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
        process.communicate()
        for block in blocks(tmp_path):
            assert seen.setdefault(block.number, block.data) == block.data
        if process.returncode == 0:
            break
    assert process.returncode == 0
    assert kills >= 2
    assert sorted(path.name for path in (tmp_path / "store" / "blocks").glob("*/*")) == [
        f"000{number}.json" for number in range(6)]
    assert [list(block.order) for block in blocks(tmp_path)] == [*ABBA, *ABBA[:2]]


def test_the_progress_of_blocks(tmp_path):
    from harness.cli.progress import event_line, whole_line

    state, lines = Progress(), []
    for event in go(tmp_path):
        state.update(event)
        lines.append(event_line(event, state))
    told = [line for line in lines if line and line.startswith("[block")]
    assert len(told) == 3
    assert told[-1].startswith("[block 3/3] mlp_64_64, tuned: PyTorch/TensorFlow 1.1")
    assert "blocks" in whole_line(state)
