"""The verdict says what the records bear out, and no more."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from harness.analysis.judgement import judge_quality, judge_ratio
from harness.analysis.verdict import which
from harness.errors import SpecError
from harness.records import strict_json
from harness.records.certificates import read_certificates
from harness.records.store import Store
from tests.report.synthetic import add, certify, fail, pairs, payload

NAMES = ("pytorch", "tensorflow")


def ratio(logs, measure="samples_per_second"):
    return judge_ratio(measure, NAMES, np.exp(logs).tolist(), [1.0] * len(logs), 0.03)


@pytest.mark.parametrize(
    ("logs", "outcome", "winner", "words"),
    [
        ([0.001, -0.001, 0.0, 0.002], "no practical difference", None, "no practical difference"),
        ([0.010, 0.011, 0.012, 0.011], "no practical difference", None, "no practical difference"),
        ([0.30, 0.31, 0.29, 0.30], "better", "pytorch", "PyTorch faster by at least 3%"),
        ([-0.30, -0.31, -0.29, -0.30], "better", "tensorflow", "TensorFlow faster by at least 3%"),
        ([0.02, 0.04, 0.05, 0.03], "may not matter", "pytorch", "may not matter"),
        ([0.3, -0.3, 0.2, -0.1], "not enough evidence", None, "not enough evidence: run"),
        ([0.3, 0.3], "not enough evidence", None, "run 1 more paired seed "),
        ([0.3], "not enough evidence", None, "run 2 more paired seeds "),
    ],
)
def test_speed(logs, outcome, winner, words):
    found = ratio(logs)
    assert (found.outcome, found.winner) == (outcome, winner)
    assert words in found.sentence
    assert found.decided == (outcome != "not enough evidence")


def test_less_is_better_for_seconds_and_bytes():
    assert ratio([0.3, 0.31, 0.29], "train_seconds").winner == "tensorflow"
    assert "TensorFlow smaller" in ratio([0.3, 0.31, 0.29], "peak_bytes").sentence


def test_identical_accuracies_are_equivalent_from_three_pairs_on():
    assert judge_quality("test_accuracy", NAMES, [0.9] * 3, [0.9] * 3, 0.005, False).decided
    assert not judge_quality("test_accuracy", NAMES, [0.9] * 2, [0.9] * 2, 0.005, False).decided


@pytest.mark.parametrize(
    ("differences", "outcome", "winner"),
    [
        ([0.0005, -0.0005, 0.0, 0.0002], "no practical difference", None),
        ([0.020, 0.021, 0.022, 0.020], "better", "pytorch"),
        ([-0.004, -0.006, -0.005, -0.007], "may not matter", "tensorflow"),
        ([0.02, -0.02, 0.01, 0.0], "not enough evidence", None),
    ],
)
def test_accuracy(differences, outcome, winner):
    found = judge_quality("accuracy", NAMES, [0.9 + d for d in differences], [0.9] * 4, 0.005, False)
    assert (found.outcome, found.winner) == (outcome, winner)


def test_the_smaller_loss_wins():
    assert judge_quality("loss", NAMES, [1.1, 1.11, 1.1], [1.0, 1.0, 1.0], 0.01, True).winner == "tensorflow"


def test_one_comparison_is_one_sentence(tmp_path):
    verdict = which(pairs(tmp_path))
    assert verdict.exit_code == 0
    assert verdict.sentence.startswith("mlp, digits: PyTorch faster by at least 3%")
    assert "n = 3 paired seeds" in verdict.sentence
    assert "x86_64-test-2c" in verdict.sentence
    assert "training equality: same to rounding; largest relative loss distance 1e-07, at step" in verdict.sentence
    assert "no practical difference in test_accuracy" in verdict.sentence
    assert any("R5 (not run: 3 of 5 paired seeds)" in sentence for sentence in verdict.unknown)  # past T* = 40
    data = strict_json.loads(strict_json.dumps(verdict.to_data()))
    assert data["comparisons"][0]["training"]["label"] == "same to rounding"
    assert data["comparisons"][0]["training"]["certificate"] in read_certificates(tmp_path)
    assert data["comparisons"][0]["primary"]["figure"]["n"] == 3


def test_several_comparisons_are_counted(tmp_path):
    verdict = which(pairs(tmp_path, models=("mlp", "cnn")))
    assert verdict.sentence.startswith("Of 2 comparisons on x86_64-test-2c: PyTorch faster in 2 (1.5 times)")
    assert [c.setting.title for c in verdict.comparisons] == ["cnn, digits", "mlp, digits"]
    assert any("not widened" in sentence for sentence in verdict.unknown)


def test_below_three_pairs_nothing_is_claimed(tmp_path):
    verdict = which(pairs(tmp_path, seeds=2))
    assert verdict.exit_code == 6
    assert verdict.comparisons[0].primary.outcome == "not enough evidence"
    assert verdict.comparisons[0].quality.outcome == "not enough evidence"
    assert "run 1 more paired seed" in verdict.sentence
    assert verdict.comparisons[0].minutes == pytest.approx(1.0)


def test_no_records(tmp_path):
    verdict = which(Store(tmp_path))
    assert verdict.exit_code == 6
    assert "no records" in verdict.sentence


def test_one_framework_only(tmp_path):
    store = Store(tmp_path)
    add(store, payload())
    verdict = which(store)
    assert verdict.exit_code == 6
    assert "only TensorFlow was run" in verdict.sentence


def test_a_framework_that_failed_everywhere(tmp_path):
    store = Store(tmp_path)
    for seed in range(3):
        add(store, payload(seed=seed))
        add(store, fail(payload(backend="pytorch", seed=seed), "out_of_memory", "8 GiB"))
    verdict = which(store)
    assert verdict.exit_code == 6
    assert "not comparable: PyTorch failed in all 3 runs (out_of_memory: 8 GiB)" in verdict.sentence
    assert [cell["kind"] for cell in verdict.failed] == ["out_of_memory"] * 3


def test_a_framework_missing_in_one_setting(tmp_path):
    store = pairs(tmp_path)
    add(store, payload("cnn", "pytorch"))
    verdict = which(store)
    assert verdict.comparisons[0].primary.sentence == "not comparable: TensorFlow was not run"
    assert verdict.comparisons[1].primary.decided
    assert verdict.exit_code == 6


def test_a_failed_half_takes_its_partner_out(tmp_path):
    store = pairs(tmp_path, seeds=4)
    add(store, fail(payload(backend="pytorch", seed=3), "killed", "signal 9"))
    verdict = which(store)
    assert verdict.comparisons[0].seeds == [0, 1, 2]
    assert verdict.comparisons[0].cautions == ["seeds 3 have no partner and are left out"]
    assert len(verdict.failed) == 1


def test_different_plans_or_machines_are_not_comparable(tmp_path):
    store = pairs(tmp_path)
    add(store, {**payload(backend="pytorch", seed=1), "plan": {"digest": "another"}})
    assert "seed 1 played different plans" in which(store).sentence
    store = pairs(tmp_path)
    add(store, payload(backend="pytorch", seed=1, environment={"machine": "laptop"}))
    assert "different machines (laptop and x86_64-test-2c)" in which(store).sentence


def test_halves_that_stopped_at_different_epochs_are_compared_with_a_caution(tmp_path):
    store = pairs(tmp_path)
    short = payload(backend="pytorch", seed=1, phases=("pretrain",))
    add(store, {**short, "plan": {"digest": "another"}})
    (comparison,) = which(store).comparisons
    assert comparison.primary.decided
    assert comparison.cautions == ["losses of seed 1: 8 steps against 16"]


def test_conditions_read_back_differently_are_said(tmp_path):
    store = pairs(tmp_path)
    add(store, payload(backend="pytorch", seed=1, environment={"threads": {"intra_op": 2}}))
    verdict = which(store)
    assert "threads intra_op differ: pytorch 2, tensorflow 1" in verdict.comparisons[0].cautions
    assert any("threads intra_op differ" in sentence for sentence in verdict.unknown)


def test_settings_differ_by_recipe_execution_and_labels(tmp_path):
    store = pairs(tmp_path)
    for backend in NAMES:
        data = payload("mlp", backend, 7, labels={"optimizer": "SGD"})
        add(store, {**data, "id": data["id"][::-1]})
        data = payload("mlp", backend, 8)
        data["cell"]["execution"]["tier"] = "idiomatic"
        add(store, data)
    titles = [comparison.setting.title for comparison in which(store).comparisons]
    assert titles == [
        "mlp, digits, tier idiomatic",
        "mlp, digits, tier tuned",
        "mlp, digits, tier tuned, optimizer SGD",
    ]


def test_accuracy_that_differs_is_said_before_speed(tmp_path):
    store = pairs(tmp_path)
    for seed in range(3):
        add(store, payload(backend="pytorch", seed=seed, accuracy=0.7 + 0.001 * seed))
    sentence = which(store).sentence
    assert sentence.index("TensorFlow better in test_accuracy") < sentence.index("PyTorch faster")


def test_another_primary_measure(tmp_path):
    store = pairs(tmp_path)
    assert which(store, primary="train_seconds").comparisons[0].primary.winner == "pytorch"
    assert which(store, primary="test_accuracy").comparisons[0].primary.outcome == "no practical difference"
    assert "peak_bytes was not measured in both" in which(store, primary="peak_bytes").sentence
    with pytest.raises(SpecError, match=r"Did you mean 'samples_per_second'"):
        which(store, primary="sample_per_second")


@pytest.mark.parametrize("margin", [0, -1, 1, True, "3%", float("nan")])
def test_a_margin_is_a_share(tmp_path, margin):
    with pytest.raises(SpecError, match="margin"):
        which(Store(tmp_path), margin=margin)


def test_a_metric_that_became_nan_is_not_compared(tmp_path):
    store = Store(tmp_path)
    for seed in range(3):
        for backend in NAMES:
            add(store, payload(backend=backend, seed=seed, accuracy=float("nan")))
    certify(store, payload())
    verdict = which(store)
    assert verdict.comparisons[0].quality.outcome == "not comparable"
    assert verdict.exit_code == 0


def test_no_framework_is_loaded():
    program = (
        "import sys, harness.analysis.verdict, harness.report;"
        "sys.exit(bool({'tensorflow', 'keras', 'torch', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
