"""Ray with two nodes, and submitit's local executor: nothing is made up here but, in most tests, the cells."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from harness.records.blocks import read_blocks
from harness.records.store import Store
from harness.report.results import Results
from harness.runner.blocks import BlockSettings
from harness.runner.check import check
from harness.runner.driver import Interrupted, Settings, execute, run
from harness.runner.executors.choice import Choice
from harness.spec.experiment import Experiment
from harness.spec.timing import Timing
from tests.runner.block_jobs import fake_unfair

pytestmark = [pytest.mark.sweep, pytest.mark.frameworks, pytest.mark.timeout(1800)]
PHASES = [{"name": "pretrain", "epochs": 1}, {"name": "finetune", "epochs": 1, "start_from": "pytorch"}]
REAL = {"model": "mlp_64_64", "data": "data.npz", "recipe": {"batch_size": 16, "phases": PHASES}, "seed": [0],
        "certify": False, "timing": False}


@pytest.fixture(scope="module")
def cluster():
    """Two nodes on this machine, the second with a label. Nodes see each other's folders, as on one machine they do."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1, labels={"hardware": "second"})
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def folder(tmp_path):
    chance = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=chance.normal(size=(120, 8)).astype("float32"), y=np.arange(120) % 10)
    return tmp_path


def go(folder, chosen, store="store", given=None, blocks=None, fake=True):
    """Runs an experiment; returns its events."""
    experiment = Experiment.parse(given or {"model": "mlp_64_64", "data": "data.npz"}, folder=folder)
    fakes = {"function": "tests.runner.jobs:fake_cell", "backend_of": lambda cell: "none"}
    events = []
    execute(experiment, check(experiment), folder / store, events.append,
            Settings(**(fakes if fake else {}), lock=folder / "lock", blocks=blocks, executor=chosen))
    return events


def blocks_of(looks):
    return BlockSettings(Timing(looks=looks), None, "tests.runner.executors.cluster_jobs:dying_half",
                         "tests.runner.block_jobs:fake_conditions", fake_unfair, None, None)


def of_kind(events, kind):
    return [event for event in events if event["event"] == kind]


def test_ray_survives_workers_and_nodes_that_die_in_a_block(folder, cluster):
    """No half pair, no two timed halves at one time, although all nodes are this machine."""
    doomed = cluster.add_node(num_cpus=1)
    (folder / "kill-node").write_text(str(doomed.all_processes["raylet"][0].process.pid))
    (folder / "kill-worker").write_text("any")
    events = go(folder, Choice("ray", cluster.address), blocks=blocks_of((6,)))
    assert [event["status"] for event in of_kind(events, "cell_finished")] == ["done", "done"]
    assert (folder / "kill-node-done").is_file(), "no block came to the node that was to die"
    assert (folder / "kill-worker-done").is_file()
    assert len({event["task"] for event in of_kind(events, "redone")}) >= 2
    (found,) = read_blocks(folder / "store").values()
    assert [(block.number, block.status, set(block.halves)) for block in found] == [
        (number, "done", {"tensorflow", "pytorch"}) for number in range(6)]
    lines = sorted(line.split() for line in (folder / "intervals.txt").read_text().splitlines())
    assert len(lines) >= 12 + 2, "of two blocks the first half was timed twice"
    assert all(float(first[1]) <= float(second[0]) for first, second in pairwise(lines))


def test_ray_places_by_label_and_refuses_what_no_node_has(folder, cluster):
    from harness.errors import SpecError

    events = go(folder, Choice("ray", cluster.address, {"hardware": "second"}))
    assert Counter(event["status"] for event in of_kind(events, "cell_finished")) == {"done": 2}
    with pytest.raises(SpecError, match="no node"):
        go(folder, Choice("ray", cluster.address, {"hardware": "third"}), "other")


@pytest.mark.parametrize("where", ["ray", "slurm"])
def test_ctrl_c_leaves_no_training_behind(folder, cluster, where):
    chosen = Choice("ray", cluster.address) if where == "ray" else Choice("slurm", "local")
    experiment = Experiment.parse({"model": "mlp_64_64", "data": "data.npz"}, folder=folder)
    pids = folder / "pids.txt"

    def interrupt(event):
        if event["event"] == "cell_started":
            until = time.monotonic() + 60
            while not pids.is_file() and time.monotonic() < until:
                time.sleep(0.2)
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        execute(experiment, check(experiment), folder / "store", interrupt, Settings(
            function="tests.runner.executors.cluster_jobs:slow_cell", backend_of=lambda cell: "none",
            lock=folder / "lock", executor=chosen))
    until = time.monotonic() + 30
    while any(map(_lives, pids.read_text().split())) and time.monotonic() < until:
        time.sleep(0.2)
    assert not any(map(_lives, pids.read_text().split()))
    assert Store(folder / "store").ids() == []


def _lives(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_one_plan_gives_the_same_weights_everywhere(folder, cluster):
    """Both frameworks, one thread: ids, digests of the final weights, and what the answer is."""
    places = {"local": Choice(), "ray": Choice("ray", cluster.address), "slurm": Choice("slurm", "local")}
    found = {}
    for name, chosen in places.items():
        events = go(folder, chosen, name, REAL, fake=False)
        assert Counter(event["status"] for event in of_kind(events, "cell_finished")) == {"done": 2}, events
        records = Store(folder / name).records()
        for record in records:
            assert set(record.environment["threads"].values()) == {1}, record.environment["threads"]
        verdict = Results.open(folder / name).which()
        found[name] = ({record.id: digest(record.weights) for record in records}, verdict.exit_code,
                       [comparison.answer for comparison in verdict.comparisons])
    assert found["ray"] == found["local"]
    assert found["slurm"] == found["local"]


def test_a_certificate_and_timed_blocks_on_ray(folder, cluster):
    timing = {"looks": [2], "window_seconds": 0.2, "steadiness": 0.5, "batch_sizes": [1], "pilot": False,
              "foreign_share": 1.0, "steal_share": 1.0, "throttled_share": 1.0}
    given = {"model": "mlp_64_64", "data": "digits", "execution": {"device": "cpu"}, "timing": timing}
    found = run(given, folder / "timed", certify=True, timing=True, executor="ray", address=cluster.address)
    assert [item["label"] for item in found.certificates().values()] == ["same to rounding"]
    (blocks,) = found.blocks().values()
    assert [(block.status, block.reason) for block in blocks] == [("done", None)] * 2
    for block in blocks:
        assert {half["conditions"]["threads"]["intra"] for half in block.halves.values()} == {1}


def digest(weights):
    assert weights
    text = hashlib.sha256()
    for name in sorted(weights):
        text.update(name.encode() + weights[name].tobytes())
    return text.hexdigest()
