"""The smallest real blocks, with both frameworks: a tiny model, windows of a fifth of a second."""

from __future__ import annotations

import json
import math

import pytest

from harness.records.blocks import read_blocks
from harness.records.settings_key import setting_key
from harness.runner.driver import run

pytestmark = pytest.mark.frameworks
GIVEN = {
    "model": "mlp_64_64", "data": {"source": "digits", "split": {"validation": 0.15, "test": 0.15, "seed": 0}},
    "recipe": {"batch_size": 32, "metrics": ["accuracy"]}, "execution": {"device": "cpu", "threads": 1},
    "timing": {"looks": [2], "window_seconds": 0.2, "steadiness": 0.5, "batch_sizes": [1, 8], "pilot": False,
               # Other tests run beside this one.
               "foreign_share": 1.0, "steal_share": 1.0, "throttled_share": 1.0},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    events = []
    found = run(GIVEN, tmp_path_factory.mktemp("blocks") / "results", on_event=events.append, timing=True)
    return found, events


def test_both_backends_are_timed_in_blocks(results):
    found, events = results
    ((setting, blocks),) = read_blocks(found.path).items()
    assert {setting} == {setting_key(record.cell) for record in found.records()}
    assert [(block.number, block.status, block.reason) for block in blocks] == [(0, "done", None), (1, "done", None)]
    assert [block.order for block in blocks] == [("tensorflow", "pytorch"), ("pytorch", "tensorflow")]
    assert [event["event"] for event in events if event["event"] == "block_finished"] == ["block_finished"] * 2
    stages = {(event["backend"], event["stage"]) for event in events if event["event"] == "half"}
    assert {("tensorflow", "window"), ("pytorch", "window")} <= stages


def test_a_half_says_all_that_was_measured(results):
    found, _ = results
    (blocks,) = read_blocks(found.path).values()
    for block in blocks:
        assert block.machine["halves"]["pytorch"]["cpu_seconds"] > 0
        for backend, half in block.halves.items():
            window = half["window"]
            assert window["seconds"] >= 0.2
            assert math.isclose(sum(window["sub_seconds"]), window["seconds"], rel_tol=1e-6)
            assert block.samples_per_second(backend) > 100
            assert half["conditions"]["backend"] == backend
            assert half["conditions"]["threads"]["intra"] == 1
            assert half["compilation"]["recompiles"] == 0
            assert math.isfinite(half["loss"])
            assert set(half["latency"]["throughput"]) == {"1", "8"}
            assert half["evaluation"]["samples"] > 0
            # 2 a multiply-add of 32 examples: forward, and the gradients but for the input's.
            assert half["flops_per_step"] == 32 * 2 * (3 * (64 * 64 + 64 * 64 + 640) - 64 * 64)
            assert 0 < half["ceiling_share"] < 1
            missing = [name for name in ("mfu", "cost", "end_to_end") if half[name] is None]
            assert all(half[f"{name}_reason"] for name in missing)
            assert half["energy"]["joules"] or half["energy"]["reason"]


def test_the_same_training_was_timed_on_both_sides(results):
    found, _ = results
    (blocks,) = read_blocks(found.path).values()
    halves = [half for block in blocks for half in block.halves.values()]
    for key in ("plan_digest", "tape_digest", "batch_size", "mode", "data_path"):
        assert len({json.dumps(half[key]) for half in halves}) == 1, key
    assert {half["batch_size"] for half in halves} == {32}
    assert max(half["loss"] for half in halves) < 2.3


def test_nothing_is_timed_twice(results):
    found, _ = results
    again = []
    run(GIVEN, found.path, on_event=again.append, timing=True)
    assert [event["event"] for event in again] == ["plan"]
