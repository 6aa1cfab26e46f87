"""A tiny network timed for real: a quarter of a second with each backend, in both tiers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.forked import run_script


@pytest.mark.frameworks
@pytest.mark.parametrize("backend", ["tensorflow", "pytorch"])
def test_a_half_of_a_real_backend(backend: str):
    printed = run_script(backend, Path(__file__).with_name("real_half.py"), backend)
    found = json.loads(printed.strip().splitlines()[-1])
    for tier, half in found.items():
        window, latency = half["window"], half["latency"]
        assert window["seconds"] >= 0.25
        assert window["samples"] / window["steps"] == pytest.approx(72 / 3)  # batches of 32, 32 and 8
        assert 0 < window["cpu_seconds"] < 4 * window["seconds"]
        assert [first["batch"] for first in half["first_steps"]] == [32, 8]
        assert half["compilation"]["recompiles"] == 0
        assert 0 < latency["p50_seconds"] <= latency["p90_seconds"] <= latency["p99_seconds"]
        assert set(latency["throughput"]) == {"1", "4"}
        assert half["evaluation"]["samples"] % 64 == 0
        assert half["memory"]["process_peak_bytes"] > 2**27
        assert half["inference_keeps"], "inference moved an average or a weight"
        assert half["trains_after"]
        assert (half["end_to_end"] is None) == (tier == "tuned")
    # One training in both tiers; the loop of fit takes its losses out of a running mean.
    assert found["idiomatic"]["losses"] == pytest.approx(found["tuned"]["losses"], abs=1e-4)
    if backend == "tensorflow":
        # One call of fit an epoch, the partial batch at its end.
        assert found["idiomatic"]["fits"] == [[[0, 3, 32], [3, 6, 32], [6, 9, 32], [9, 12, 32]],
                                              [[1, 3, 32], [3, 4, 32]], [[2, 3, 8]]]
        # What tracing and XLA take is far more than a step.
        assert found["tuned"]["compile_seconds"] > 100 * found["tuned"]["first_steps"][0]["again_seconds"]
        # The loop inside the framework is what the tuned tier is for.
        rates = {tier: half["window"]["samples"] / half["window"]["seconds"] for tier, half in found.items()}
        assert rates["tuned"] > 1.5 * rates["idiomatic"]
