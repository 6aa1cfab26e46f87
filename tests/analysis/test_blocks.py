"""Blocks as figures: paired, with n, interval, unit and method; nothing that failed or was dropped is lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.analysis.blocks import pair_blocks
from harness.analysis.half_metrics import METRICS, metric_value, reason_missing
from harness.analysis.verdict import which
from harness.records import strict_json
from harness.records.blocks import Block, write_block
from tests.report.synthetic import block, half, pairs, payload

A, B = "pytorch", "tensorflow"


def made(number=0, speeds=None, **changes) -> Block:
    return Block(block(payload(), number, speeds or {B: 1000.0, A: 1500.0}, **changes))


def failed(number, kind, status="failed") -> Block:
    return made(number, status=status, reason={"kind": kind, "message": f"{kind} it was"}, halves={})


def rows(blocks):
    return {row.metric: row for row in pair_blocks(blocks, A, B).rows()}


def test_every_metric_of_a_half():
    given = half(1000.0, tokens=None, end_to_end={"samples": 50, "seconds": 0.1}, mfu=0.4,
                 energy={"joules": 600.0, "seconds": 60.0})
    given["window"]["tokens"] = 8000
    expected = {
        "samples_per_second": 1000.0, "tokens_per_second": 2000.0, "step_seconds": 0.008,
        "end_to_end_samples_per_second": 500.0, "evaluation_samples_per_second": 100 * 1000 / 30, "open_seconds": 0.4,
        "first_step_seconds": 0.5, "warmup_seconds": 1.0, "latency_p50": 1e-3, "latency_p90": 1.2e-3,
        "latency_p99": 2e-3, "process_peak_bytes": 2**28, "model_flops_per_second": 5678 * 1000.0, "mfu": 0.4,
        "energy": 0.01,
    }
    found = {name: metric_value(given, name) for name in METRICS}
    assert {name: value for name, value in found.items() if value is not None} == pytest.approx(expected)
    assert metric_value(given, "inference_samples_per_second_32") == 20_000.0
    assert metric_value(given, "inference_samples_per_second_64") is None


def test_what_was_not_measured_says_why():
    given = half(1000.0, latency=None, latency_reason="timing.latency is off")
    assert reason_missing(given, "compile_seconds") == "nothing is compiled"
    assert reason_missing(given, "peak_bytes") == "the CPU has no allocator to ask"
    assert reason_missing(given, "energy") == "no counter on this machine"
    assert reason_missing(given, "latency_p99") == "timing.latency is off"
    assert reason_missing(given, "end_to_end_samples_per_second") is None
    assert reason_missing({}, "latency_p99") is None


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, True, "fast", None])
def test_what_is_no_amount_was_not_measured(value):
    assert metric_value({"open_seconds": value}, "open_seconds") is None


def test_figures_carry_n_interval_unit_and_method():
    blocks = [made(number, {B: 1000.0 * (1 + 0.01 * number), A: 1500.0}) for number in range(4)]
    row = rows(blocks)["samples_per_second"]
    values = [metric_value(b.halves[B], "samples_per_second") for b in blocks]
    interval = stats.ttest_1samp(np.log(values), 0).confidence_interval(0.95)
    figure = row.figures[B]
    assert figure.value == pytest.approx(stats.gmean(values))
    assert (figure.low, figure.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert (figure.n, figure.unit) == (4, "examples/s")
    assert figure.method == "geometric mean over blocks, Student t on logs, 95% interval"
    assert row.ratio.value == pytest.approx(
        row.figures[A].value / row.figures[B].value)
    assert row.ratio.n == 4


def test_a_metric_of_neither_half_is_left_out_or_explained():
    found = rows([made(number) for number in range(2)])
    assert "end_to_end_samples_per_second" not in found
    assert found["peak_bytes"].figures == {A: None, B: None}
    assert found["peak_bytes"].reasons == dict.fromkeys((A, B), "the CPU has no allocator to ask")
    assert found["inference_samples_per_second_32"].ratio.value == pytest.approx(1.5, rel=0.01)


def test_nothing_to_compile_takes_0_seconds_and_has_no_ratio():
    blocks = [made(number) for number in range(3)]
    for item in blocks:
        item.halves[A]["compile_seconds"], item.halves[B]["compile_seconds"] = 0.0, 2.0
    row = rows(blocks)["compile_seconds"]
    assert (row.figures[A].value, row.figures[B].value, row.ratio) == (0.0, pytest.approx(2.0), None)
    assert row.figures[A].method == "mean over blocks, Student t, 95% interval"


def test_pairs_are_of_blocks_in_which_both_measured():
    lost = made(1)
    lost.halves[A]["first_step_seconds"] = None
    paired = pair_blocks([made(0), lost, made(2)], A, B)
    assert paired.values("first_step_seconds") == ([0.5, 0.5], [0.5, 0.5])
    assert len(paired.values("samples_per_second")[0]) == 3


def test_failed_and_dropped_blocks_are_shown():
    blocks = [made(0), failed(1, "no_steady_state"), failed(2, "disturbed", "dropped"), failed(3, "no_steady_state"),
              made(4)]
    paired = pair_blocks(blocks, A, B)
    assert [len(part) for part in (paired.done, paired.failed, paired.dropped)] == [2, 2, 1]
    assert paired.cautions[:2] == [
        "2 of 5 blocks failed and count for nothing: 2 x no_steady_state (no_steady_state it was)",
        "1 of 5 blocks were dropped and count for nothing: 1 x disturbed (disturbed it was)"]
    data = strict_json.loads(strict_json.dumps(paired.to_data()))
    assert [(item["number"], item["status"], item["kind"]) for item in data["not_done"]] == [
        (1, "failed", "no_steady_state"), (2, "dropped", "disturbed"), (3, "failed", "no_steady_state")]
    assert data["done"] == 2


def test_the_latest_unfair_block_stops_the_comparison():
    assert pair_blocks([made(0), failed(1, "unfair")], A, B).unfair == "UNFAIR: unfair it was"
    assert pair_blocks([made(0), failed(1, "unfair"), failed(2, "disturbed", "dropped")], A, B).unfair is not None
    assert pair_blocks([failed(0, "unfair"), made(1)], A, B).unfair is None


def test_blocks_of_another_pair_or_machine_are_left_out():
    other = Block({**block(payload()), "order": ["tensorflow", "jax"]})
    assert pair_blocks([other], A, B) is None
    far = made(0, machine={"machine": "laptop"})
    paired = pair_blocks([far, made(1), made(2), other], A, B)
    assert (len(paired.done), paired.machine, paired.elsewhere) == (2, "x86_64-test-2c", 1)
    assert "1 blocks of other machines are left out" in paired.cautions


def test_an_effect_of_the_order_is_told_apart_from_the_backends():
    def pace(number):
        second = A if number % 4 in (0, 3) else B
        speeds = {B: 1000.0 * (1 + 0.0005 * (number // 4)), A: 1500.0}
        return {name: speed * (1.05 if name == second else 1) for name, speed in speeds.items()}

    paired = pair_blocks([made(number, pace(number)) for number in range(12)], A, B)
    assert paired.order_effect.value == pytest.approx(1.05, rel=0.005)
    assert any("the half that came second was 5% faster" in caution for caution in paired.cautions)
    calm = pair_blocks([made(number) for number in range(12)], A, B)
    assert not any("came second" in caution for caution in calm.cautions)
    assert pair_blocks([made(0)], A, B).order_effect is None


def test_a_drift_from_block_to_block_is_said():
    def run(noise):
        return pair_blocks([made(k, {B: 1000.0, A: 1500.0 * math.exp(0.02 * value)}) for k, value in enumerate(noise)],
                           A, B)

    noise = np.random.default_rng(1).normal(size=24)
    assert run(noise).serial_correlation is None
    drifting = run(np.cumsum(noise))
    assert drifting.serial_correlation > 0.5
    assert any("the machine drifts, and the interval is too narrow" in caution for caution in drifting.cautions)


def test_versions_or_programs_that_changed_are_said():
    changed = made(1)
    changed.halves[A]["versions"] = {"torch": "9"}
    assert pair_blocks([made(0), changed], A, B).cautions == ["PyTorch: not all blocks have the same versions"]


def test_the_largest_batch_stands_beside_a_peak_of_memory(tmp_path):
    store = pairs(tmp_path)
    search = {"method": "a limit", "memory_bytes": 2**30, "resolution": 1 / 32, "tried": []}
    found = half(1000.0)["memory"] | {"largest_batch": 4096, "largest_batch_search": search}
    none = found | {"largest_batch": None, "largest_batch_reason": "at least 64: larger ones were not tried"}
    halves = {"tensorflow": half(1000.0, memory=none), "pytorch": half(1500.0, memory=found)}
    write_block(store.path, block(payload(), 0, halves=halves))
    (comparison,) = which(store, primary="process_peak_bytes").comparisons
    assert comparison.primary.sentence.endswith(
        "; largest batch that trains: PyTorch 4096, TensorFlow not known (at least 64: larger ones were not tried) "
        "(one search each, not repeated)")
    assert "largest batch" not in which(store).sentence
    (row,) = (row for row in comparison.blocks.rows() if row.metric == "largest_batch")
    assert (row.figures["pytorch"].value, row.figures["pytorch"].n, row.figures["pytorch"].low) == (4096, 1, None)
    assert (row.figures["tensorflow"], row.ratio) == (None, None)
    assert row.reasons == {"tensorflow": "at least 64: larger ones were not tried"}
