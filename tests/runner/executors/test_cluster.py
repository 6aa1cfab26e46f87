"""What runs on a cluster: placement, order, what is done again and what is not. The cluster is made up."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from harness.certify.certificate import SAME_TO_ROUNDING
from harness.errors import HarnessError, SpecError
from harness.records.blocks import read_blocks
from harness.records.certificates import read_certificates
from harness.records.store import Store
from harness.report.results import Results
from harness.runner.blocks import BlockSettings
from harness.runner.check import check
from harness.runner.driver import Interrupted, Settings, execute
from harness.runner.executors import node
from harness.runner.executors.choice import Choice, choice
from harness.runner.executors.cluster import ClusterExecutor
from harness.runner.executors.contract import Outcome
from harness.runner.executors.flights import RETRIES
from harness.runner.executors.travel import receive
from harness.spec.experiment import Experiment
from harness.spec.timing import Timing
from tests.runner.block_jobs import fake_unfair
from tests.runner.executors.made_up import InProcessWorkers, MadeUpEngine, certifier

DIED = Outcome(lost="NodeDiedError: the node died")
TWINS = {"recipe": {"phases": [{"name": "pretrain"}, {"name": "finetune", "start_from": "pytorch"}]}}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """A few examples in a file; nodes that work in this process, and believe themselves to be machines "x"."""
    chance = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=chance.normal(size=(120, 8)).astype("float32"), y=np.arange(120) % 10)
    monkeypatch.setattr(node, "Workers", InProcessWorkers)
    monkeypatch.setattr(node, "environment", lambda: {"machine": "x"})
    yield
    node.release()


def go(tmp_path, engine, monkeypatch, store="store", blocks=None, on_event=None, certifier=None, **given):
    """Runs an experiment on that engine; returns its events."""
    experiment = Experiment.parse({"model": "mlp_64_64", "data": "data.npz", **given}, folder=tmp_path)
    settings = Settings(function="tests.runner.jobs:fake_cell", backend_of=lambda cell: "none", lock=tmp_path / "lock",
                        blocks=blocks, executor=Choice("ray"), certifier=certifier)
    monkeypatch.setattr("harness.runner.driver.open_executor",
                        lambda settings, store, tell: ClusterExecutor(engine, settings, store, tell))
    events = []
    execute(experiment, check(experiment), tmp_path / store, on_event or events.append, settings)
    return events


def blocks_of(looks=(3, 6), **timing):
    return BlockSettings(Timing(looks=looks, **timing), None, "tests.runner.block_jobs:fake_half",
                         "tests.runner.block_jobs:fake_conditions", fake_unfair, None, None)


def of_kind(events, kind):
    return [event for event in events if event["event"] == kind]


def starts(tmp_path, store="store"):
    path = tmp_path / store / "starts.txt"
    return Counter(path.read_text().splitlines() if path.is_file() else [])


def test_cells_run_side_by_side_and_leave_what_a_local_run_leaves(tmp_path, monkeypatch):
    engine = MadeUpEngine()
    events = go(tmp_path, engine, monkeypatch, seed=[0, 1, 13])
    assert Counter(event["status"] for event in of_kind(events, "cell_finished")) == {"done": 4, "failed": 2}
    assert engine.most == 6
    assert engine.closed
    assert set(starts(tmp_path).values()) == {1}
    here = [Experiment.parse({"model": "mlp_64_64", "data": "data.npz", "seed": [0, 1, 13]}, folder=tmp_path)]
    assert Store(tmp_path / "store").ids() == sorted(cell.id for cell in check(here[0]))
    assert not list((tmp_path / "store").glob(".shared-*"))
    assert of_kind(go(tmp_path, MadeUpEngine(), monkeypatch, seed=[0, 1, 13]), "cell_started") == []


@pytest.mark.parametrize("blind", [False, True])
def test_a_twins_checkpoint_is_waited_for_and_travels_where_folders_do_not(tmp_path, monkeypatch, blind):
    engine = MadeUpEngine(blind=blind)
    go(tmp_path, engine, monkeypatch, seed=[0, 1], **TWINS)
    records = Store(tmp_path / "store").records()
    assert [record.data["used"] for record in records if record.backend == "tensorflow"] == [
        {"pytorch/pretrain": True}] * 2
    assert all(record.columns["loss"].size == 2 and record.weights for record in records)
    order = [content["cell"]["backend"] for kind, content, _ in engine.sent if kind == "cell"]
    assert order[:2] == ["pytorch", "pytorch"] or order.index("tensorflow") > 0
    assert bool(list((tmp_path / "store").glob("starts.txt"))) is not blind


@pytest.mark.parametrize("blind", [False, True])
def test_what_a_node_tells_is_heard_between_beginning_and_end(tmp_path, monkeypatch, blind):
    engine = MadeUpEngine(blind=blind)
    events = go(tmp_path, engine, monkeypatch, blocks=blocks_of())
    for id in Store(tmp_path / "store").ids():
        told = [event["event"] for event in events if event.get("id") == id]
        assert told == ["cell_started", *([] if blind else ["step"]), "cell_finished"]
    assert [event["number"] for event in of_kind(events, "block_started")] == [0, 1, 2]
    assert bool(of_kind(events, "half")) is not blind
    assert not list((tmp_path / "store").glob("logs/live/*"))
    lost = MadeUpEngine(blind=blind, fate=lambda kind, _, attempt: DIED if kind == "cell" and attempt < 2 else None)
    again = go(tmp_path, lost, monkeypatch, seed=[7])
    assert len(of_kind(again, "cell_started")) == len(of_kind(again, "cell_finished")) == 2


def test_what_the_cluster_loses_is_done_again_and_what_fails_is_not(tmp_path, monkeypatch):
    engine = MadeUpEngine(fate=lambda kind, content, attempt: DIED if kind == "cell" and attempt < 3 else None)
    events = go(tmp_path, engine, monkeypatch, seed=[0, 13])
    assert Counter(event["status"] for event in of_kind(events, "cell_finished")) == {"done": 2, "failed": 2}
    assert [event["attempt"] for event in of_kind(events, "redone")].count(3) == 4
    assert set(starts(tmp_path).values()) == {1}, "a NaN is a result: it is not repeated"


def test_a_node_that_dies_before_it_answers_is_left_out(tmp_path, monkeypatch):
    def fate(kind, content, attempt):
        return DIED if kind == "machine" and attempt != 2 else None  # "a", whenever it is asked

    engine = MadeUpEngine(fate=fate)
    go(tmp_path, engine, monkeypatch, blocks=blocks_of())
    assert len({place for kind, _, place in engine.sent if kind == "block"}) == 1
    (found,) = read_blocks(tmp_path / "store").values()
    assert len(found) == 3
    nowhere = MadeUpEngine(fate=lambda kind, *_: DIED if kind == "machine" else None)
    with pytest.raises(SpecError, match="no node that fits"):
        go(tmp_path, nowhere, monkeypatch, store="other", blocks=blocks_of())


def test_a_task_that_is_lost_every_time_becomes_a_record(tmp_path, monkeypatch):
    engine = MadeUpEngine(fate=lambda kind, content, attempt: DIED if kind == "cell" else None)
    go(tmp_path, engine, monkeypatch)
    reasons = [record.reason for record in Store(tmp_path / "store").records()]
    assert [reason["kind"] for reason in reasons] == ["killed", "killed"]
    assert f"lost it {RETRIES + 1} times" in reasons[0]["message"]
    assert "NodeDiedError" in reasons[0]["message"]
    assert max(count for key, count in engine.attempts.items() if "cell" in key) == RETRIES + 1


def test_a_block_is_lost_and_done_again_as_a_whole(tmp_path, monkeypatch):
    """The node of block 1 dies after its first half."""
    def fate(kind, content, attempt):
        if kind != "block" or content["number"] != 1 or attempt > 1:
            return None
        (tmp_path / "halves.txt").open("a").write(f"mlp_64_64 1 {'pytorch'}\n")
        return DIED

    engine = MadeUpEngine(fate=fate)
    events = go(tmp_path, engine, monkeypatch, blocks=blocks_of())
    (found,) = read_blocks(tmp_path / "store").values()
    assert [block.number for block in found] == [0, 1, 2]
    assert all(set(block.halves) == {"tensorflow", "pytorch"} and block.status == "done" for block in found)
    halves = Counter((tmp_path / "halves.txt").read_text().splitlines())
    assert halves["mlp_64_64 1 pytorch"] == 2
    assert halves["mlp_64_64 1 tensorflow"] == 1
    assert [event["number"] for event in of_kind(events, "block_finished")].count(1) == 1
    assert len(of_kind(events, "redone")) == 1


def test_blocks_have_their_node_to_themselves_and_stay_on_one_kind_of_machine(tmp_path, monkeypatch):
    engine = MadeUpEngine({"a": "x", "b": "other", "c": "x"})
    go(tmp_path, engine, monkeypatch, blocks=blocks_of(looks=(6,)))
    placed = [place for kind, _, place in engine.sent if kind == "block"]
    assert set(placed) == {"a", "c"}
    assert len(placed) == 6
    assert engine.most_on_one == 1
    (found,) = read_blocks(tmp_path / "store").values()
    assert [block.order[0] for block in found] == ["tensorflow", "pytorch", "pytorch", "tensorflow"] * 1 + [
        "tensorflow", "pytorch"]
    assert {block.machine["machine"] for block in found} == {"x"}


@pytest.mark.parametrize(("device", "kind"), [("cpu", "x"), ("auto", "gpu"), ("gpu", "gpu")])
def test_blocks_go_where_the_gpus_are(tmp_path, monkeypatch, device, kind):
    monkeypatch.setattr(node, "environment", lambda: {"machine": kind})
    engine = MadeUpEngine({"a": "x", "b": "gpu", "c": "x"}, gpus={"b": 2})
    go(tmp_path, engine, monkeypatch, blocks=blocks_of(), execution={"device": device})
    assert {place for kind, _, place in engine.sent if kind == "block"} == ({"a", "c"} if kind == "x" else {"b"})


def test_no_more_blocks_are_under_way_than_the_next_look_needs(tmp_path, monkeypatch):
    engine = MadeUpEngine(dict.fromkeys("abcdefghij", "x"))
    go(tmp_path, engine, monkeypatch, blocks=blocks_of(looks=(3, 6)))
    assert sum(kind == "block" for kind, _, _ in engine.sent) == 3, "the first look decides"


def test_a_block_that_came_to_another_machine_is_not_timed_there(tmp_path, monkeypatch):
    said = iter(["x", "x", "elsewhere"])  # two nodes are asked first
    monkeypatch.setattr(node, "environment", lambda: {"machine": next(said, "x")})
    events = go(tmp_path, MadeUpEngine(), monkeypatch, blocks=blocks_of())
    assert ["came to a machine elsewhere" in event["message"] for event in of_kind(events, "redone")] == [True]
    (found,) = read_blocks(tmp_path / "store").values()
    assert [block.machine["machine"] for block in found] == ["x"] * 3


def test_nodes_that_die_for_good_end_the_run_and_keep_what_is_done(tmp_path, monkeypatch):
    engine = MadeUpEngine({"a": "x", "b": "x"}, cpus=1)

    def fate(kind, content, attempt):
        if kind == "cell" and Store(tmp_path / "store").ids():
            engine.machines.clear()
            return DIED
        return None

    engine.fate = fate
    with pytest.raises(SpecError, match=r"no node of the cluster has what 'cell .*' needs: 1 CPUs.*finished is kept"):
        go(tmp_path, engine, monkeypatch, seed=[0, 1])
    assert len(Store(tmp_path / "store").records()) == 1
    assert engine.closed
    go(tmp_path, MadeUpEngine(), monkeypatch, seed=[0, 1])
    assert len(Results.open(tmp_path / "store").cells()) == 4


def test_what_no_node_has_is_said(tmp_path, monkeypatch):
    with pytest.raises(SpecError, match="8 CPUs") as caught:
        go(tmp_path, MadeUpEngine(), monkeypatch, execution={"threads": 8})
    assert caught.value.exit_code == 4
    with pytest.raises(SpecError, match="1 GPU"):
        go(tmp_path, MadeUpEngine(), monkeypatch, execution={"device": "gpu"})


def test_a_node_with_another_harness_or_other_files_is_refused(tmp_path, monkeypatch):
    other = Outcome(value={"value": {"machine": "x", "shared": True, "results_version": 1}, "node": "n7", "files": {}})
    with pytest.raises(SpecError, match="n7 is another version"):
        go(tmp_path, MadeUpEngine(fate=lambda kind, *_: other if kind == "machine" else None), monkeypatch)

    def changed(order):
        return {**order, "content": {**order["content"], "id": "0" * 16}} if order["kind"] == "cell" else order

    engine = MadeUpEngine()
    engine.submit, plain = lambda order, request, place: plain(changed(order), request, place), engine.submit
    go(tmp_path, engine, monkeypatch)
    reasons = {record.reason["kind"]: record.reason["message"] for record in Store(tmp_path / "store").records()}
    assert "missing or differ there" in reasons["error"]


@pytest.mark.parametrize("blind", [False, True])
def test_certificates_are_made_on_nodes_and_kept_here(tmp_path, monkeypatch, blind):
    engine = MadeUpEngine(blind=blind)
    events = go(tmp_path, engine, monkeypatch, certifier=certifier, matrix={"batch_size": [8, 16]})
    assert sum(kind == "certificate" for kind, _, _ in engine.sent) == 2
    labels = [found["label"] for found in read_certificates(tmp_path / "store").values()]
    assert labels == [SAME_TO_ROUNDING] * 2
    assert [event["label"] for event in of_kind(events, "certified")] == labels
    assert len(of_kind(events, "certified_rung")) == (0 if blind else 2)
    lost = MadeUpEngine(fate=lambda kind, *_: DIED if kind == "certificate" else None)
    go(tmp_path, lost, monkeypatch, certifier=certifier, recipe={"batch_size": 4})
    (new,) = (found for found in read_certificates(tmp_path / "store").values() if found["label"] not in labels)
    assert "lost it" in new["reason"]
    with pytest.raises(HarnessError, match="no other process finds it"):
        go(tmp_path, MadeUpEngine(), monkeypatch, certifier=lambda: certifier(), recipe={"batch_size": 2})


def test_ctrl_c_ends_what_is_under_way_and_keeps_the_rest(tmp_path, monkeypatch):
    engine, ended = MadeUpEngine(), []

    def interrupt(event):
        if event["event"] == "cell_finished":
            ended.append(event["id"])
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="run the same command again"):
        go(tmp_path, engine, monkeypatch, seed=[0, 1], on_event=interrupt)
    assert (engine.cancelled, engine.closed) == (3, True)
    assert Store(tmp_path / "store").ids() == ended
    assert len(of_kind(go(tmp_path, MadeUpEngine(), monkeypatch, seed=[0, 1]), "cell_finished")) == 3


def test_threads_on_a_node_are_the_drivers(tmp_path, monkeypatch):
    """Ray sets OMP_NUM_THREADS in its workers."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("MKL_NUM_THREADS", "5")
    order = {"kind": "machine", "content": {}, "store": str(tmp_path), "token": "t"}
    node.perform({**order, "threads": {"MKL_NUM_THREADS": "2"}})
    assert os.environ["MKL_NUM_THREADS"] == "2"
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("name", ["../out", "/etc/x", "cells/../../x", "C:/x", ""])
def test_files_from_a_node_stay_in_the_store(tmp_path, name):
    with pytest.raises(HarnessError, match="outside the store"):
        receive(tmp_path / "store", {name: b"x"})


@pytest.mark.parametrize(("options", "words"), [
    ({"name": "rya"}, "no executor 'rya'.*Did you mean 'ray'"),
    ({"address": "head:6379"}, "local executor has no address"),
    ({"placement": ["a=b"]}, "no placement"),
    ({"name": "slurm", "address": "head"}, "no address 'head'"),
    ({"name": "ray", "placement": ["gpu"]}, "KEY=VALUE"),
])
def test_mistakes_about_executors(options, words):
    with pytest.raises(SpecError, match=words):
        choice(**options)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr("harness.runner.executors.choice.find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r"pip install 'harness\[slurm\]'"):
        choice("slurm")


def test_mistakes_leave_with_4_and_write_nothing(tmp_path, monkeypatch, capsys):
    from harness.cli.main import main

    monkeypatch.chdir(tmp_path)
    Path("e.json").write_text(json.dumps({"model": "mlp_64_64", "data": "data.npz"}))
    assert main(["run", "e.json", "--executor", "ray", "--address", "127.0.0.1:1"]) == 4
    assert "nothing answers at 127.0.0.1:1" in capsys.readouterr().err
    assert main(["run", "e.json", "--executor", "slrum"]) == 4
    assert main(["run", "e.json", "--executor", "slurm"]) == 4
    assert "sbatch" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_submitit_in_this_process(tmp_path, monkeypatch):
    """The debug executor of submitit: orders and answers go the way of Slurm's."""
    from harness.runner.executors.on_slurm import SlurmEngine

    engine = SlurmEngine(tmp_path / "store", "debug", {"partition": "gpu", "timeout_min": "5"})
    events = go(tmp_path, engine, monkeypatch, seed=[0, 13], blocks=blocks_of())
    assert Counter(event["status"] for event in of_kind(events, "cell_finished")) == {"done": 2, "failed": 2}
    assert len(of_kind(events, "block_finished")) == 3
    with pytest.raises(SpecError, match="submitit does not take"):
        SlurmEngine(tmp_path / "store", "debug", {"particion": "gpu"})
