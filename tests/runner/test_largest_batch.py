"""The largest batch that trains: what stops the search, where it is recorded, and that a try takes what it may."""

from __future__ import annotations

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.errors import SpecError
from harness.plan.plan import Plan
from harness.runner.check import check
from harness.runner.largest_batch import JOB, NO_ROOM, limited, memory_cap, search, with_batch
from harness.runner.workers import Job, JobResult, Worker
from harness.spec.experiment import Experiment
from tests.plan.test_compiler import plan
from tests.runner.test_blocks import _data, behave, blocks, go  # noqa: F401 (a fixture)


def planned(accumulated: int | None, batch_size: int | None = None) -> Plan:
    x = image = Input((5,), batch_size=batch_size, name="x")
    x = layers.Dropout(0.5, name="drop")(layers.Dense(4, name="hidden")(x))
    spec = Model(image, layers.Dense(3, activation="softmax", name="p")(x))
    adam = {"Adam": {"gradient_accumulation_steps": accumulated}}
    return plan(20, spec, optimizer=adam, batch_size=batch_size or 8)


def tries(room: int, kind: str = "out_of_memory", cost: float = 1.0):
    """A machine with room for so many examples; each try takes `cost` seconds of a clock."""
    class Machine:
        now = 0.0

        def run(self, more, seconds):
            self.now += cost
            if more["batch"] <= room:
                return JobResult("done", {"process_peak_bytes": 7})
            return JobResult("failed", reason={"kind": kind, "message": "it ended."})

        def clock(self):
            return self.now

    return Machine()


@pytest.mark.parametrize("kind", ["out_of_memory", "killed", "error"])
def test_memory_stops_the_search(kind):
    machine = tries(1000, kind)
    found = search(machine.run, 2**30, 600.0, clock=machine.clock)
    about = found["largest_batch_search"]
    assert 1000 * (1 - about["resolution"]) <= found["largest_batch"] <= 1000
    assert "largest_batch_reason" not in found
    assert (about["memory_bytes"], about["trained"]) == (2**30, found["largest_batch"])
    assert [item["batch"] for item in about["tried"]][:6] == [32, 64, 128, 256, 512, 1024]
    assert about["tried"][5] == {"batch": 1024, "trained": False, "ended": kind, "seconds": 1.0}
    assert about["tried"][0]["process_peak_bytes"] == 7
    assert "RLIMIT_DATA" in about["method"]
    about = search(machine.run, 2**30, 600.0, on_gpu=True, clock=machine.clock)["largest_batch_search"]
    assert (about["memory_bytes"], about["method"]) == (None, "the memory of the device, in a process of its own")


@pytest.mark.parametrize(("room", "kind", "seconds", "limit", "reason"), [
    (10**9, "out_of_memory", 600.0, 4096, "at least 4096: larger ones were not tried"),
    (10**9, "out_of_memory", 3.0, 2**20, "at least 128: the search was over after 3 s (timing.largest_batch_seconds)"),
    (100, "timeout", 600.0, 2**20, "at least 64: the search was over after 600 s (timing.largest_batch_seconds)"),
    (0, "out_of_memory", 600.0, 2**20, "not even a batch of one trains in this memory"),
    (0, "spec", 600.0, 2**20, "a batch of 32 failed: spec: it ended."),
])
def test_without_a_largest_batch_the_reason_says_how_far_it_came(room, kind, seconds, limit, reason):
    machine = tries(room, kind)
    found = search(machine.run, None, seconds, limit=limit, clock=machine.clock)
    assert (found["largest_batch"], found["largest_batch_reason"]) == (None, reason)


def test_it_is_searched_for_once_and_stands_in_the_block_after_which_it_was(tmp_path):
    behave(tmp_path, room={"tensorflow": 200, "pytorch": "error"})
    go(tmp_path, largest_batch=True, largest_batch_bytes=2**30)
    first, second, *_ = blocks(tmp_path)
    memory = {name: first.halves[name]["memory"] for name in ("tensorflow", "pytorch")}
    assert 193 <= memory["tensorflow"]["largest_batch"] <= 200
    assert memory["pytorch"]["largest_batch"] is None
    assert memory["pytorch"]["largest_batch_reason"] == "a batch of 32 failed: error: for a reason of its own."
    assert second.halves["pytorch"]["memory"]["largest_batch_reason"] == "it was searched for in block 0"
    lines = (tmp_path / "tries.txt").read_text().splitlines()
    assert lines[0] == f"tensorflow 32 {2**30}"
    assert lines.count("pytorch 32 1073741824") == 1


def test_it_is_searched_for_where_it_is_asked_for(tmp_path):
    go(tmp_path)
    assert not (tmp_path / "tries.txt").exists()


def test_a_try_may_take_so_much_memory_and_no_more():
    with pytest.raises(MemoryError), limited(2**28):
        np.ones(2**30, np.uint8)
    with limited(None):
        assert np.ones(2**20, np.uint8).sum() == 2**20
    assert np.ones(2**28, np.uint8)[-1] == 1
    assert memory_cap(12345) == 12345
    assert memory_cap(None) is None or memory_cap(None) > 0


@pytest.mark.parametrize("accumulated", [None, 4])
def test_the_steps_of_a_batch_repeat_the_examples(accumulated):
    plan = planned(accumulated)
    wide = with_batch(plan, 64, 10)
    steps = 2 + (accumulated or 1)
    assert wide.tape.indices.shape == (steps, 64)
    assert wide.tape.indices.ravel().tolist() == [index % 10 for index in range(64 * steps)]
    assert wide.tape.sizes.tolist() == [64] * steps
    assert wide.tape.epoch_bounds() == [(0, steps)]
    assert len(wide.tape.keys) == len(wide.tape.learning_rates) == steps
    assert {name: getattr(wide.tape, name).dtype for name in ("indices", "sizes", "epochs", "keys")} == {
        name: getattr(plan.tape, name).dtype for name in ("indices", "sizes", "epochs", "keys")}


def test_a_model_that_fixes_its_batch_size_has_no_other():
    with pytest.raises(SpecError, match="batch size is fixed at 5"):
        with_batch(planned(None, batch_size=5), 64, 10)


@pytest.mark.sweep
@pytest.mark.parametrize("backend", ["pytorch", "tensorflow"])
def test_a_framework_trains_as_much_as_fits(backend, tmp_path):
    """The real thing: with room enough all that are tried; without, a try ends and the next one goes on."""
    (cell,) = check(Experiment.parse({"model": "mlp_64_64", "data": "digits", "backend": [backend]}, folder=tmp_path))
    with Worker(backend) as worker:
        def run(more, seconds):
            return worker.run(Job(JOB, {"cell": cell.to_data(), "backend": backend, **more}), timeout=seconds)

        roomy = search(run, 2**33, 300.0, limit=64)
        assert roomy["largest_batch_reason"] == "at least 64: larger ones were not tried"
        assert all(item["process_peak_bytes"] > 2**20 for item in roomy["largest_batch_search"]["tried"])
        assert run({"batch": 2**20, "bytes": 2**28}, 300.0).reason["kind"] in NO_ROOM
        assert run({"batch": 32, "bytes": None}, 300.0).status == "done"
