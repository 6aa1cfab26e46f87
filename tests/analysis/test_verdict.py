"""The verdict says what the records bear out, and no more."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from harness.analysis.judgement import judge_ratio
from harness.analysis.quality import judge_quality
from harness.analysis.verdict import which
from harness.errors import SpecError
from harness.records import strict_json
from harness.records.blocks import write_block
from harness.records.certificates import read_certificates
from harness.records.store import Store
from tests.report.synthetic import add, block, certify, fail, pairs, payload

NAMES = ("pytorch", "tensorflow")


def ratio(logs, measure="samples_per_second"):
    return judge_ratio(measure, NAMES, np.exp(logs).tolist(), [1.0] * len(logs), 0.03)


@pytest.mark.parametrize(
    ("logs", "outcome", "winner", "words"),
    [
        ([0.001, -0.001, 0.0, 0.002, 0.0], "no practical difference", None, "no practical difference"),
        ([0.010, 0.011, 0.012, 0.011, 0.012], "no practical difference", None, "no practical difference"),
        ([0.30, 0.31, 0.29, 0.30, 0.30], "better", "pytorch", "PyTorch faster by at least 3%"),
        ([-0.30, -0.31, -0.29, -0.30, -0.30], "better", "tensorflow", "TensorFlow faster by at least 3%"),
        ([0.02, 0.04, 0.05, 0.03, 0.04], "may not matter", "pytorch", ", may not matter: "),
        ([0.3, -0.3, 0.2, -0.1, 0.2], "not enough evidence", None, "run 315 more paired seeds (so far samples"),
        ([0.02, -0.03, 0.01, -0.02, 0.03], "not enough evidence", None, "run 15 more paired seeds (so far"),
        ([0.30, 0.31, 0.29, 0.30], "not enough evidence", None, "run 1 more paired seed (interim, 4 of the first look"),
        ([0.3], "not enough evidence", None, "run 4 more paired seeds (interim, 1 of the first look at 5 seeds: "),
        ([0.30, 0.31, 0.29, 0.30, 0.30, 9.0], "better", "pytorch", "; interim: 6 seeds of the next look at 10"),
    ],
)
def test_speed(logs, outcome, winner, words):
    found = ratio(logs)
    assert (found.outcome, found.winner) == (outcome, winner)
    assert words in found.sentence
    assert found.decided == (outcome != "not enough evidence")


def test_less_is_better_for_seconds_and_bytes():
    assert ratio([0.3, 0.31, 0.29, 0.3, 0.3], "train_seconds").winner == "tensorflow"
    assert "TensorFlow smaller" in ratio([0.3, 0.31, 0.29, 0.3, 0.3], "peak_bytes").sentence


def test_identical_accuracies_are_equivalent_from_five_pairs_on():
    assert judge_quality("test_accuracy", NAMES, [0.9] * 5, [0.9] * 5, 0.005, False).decided
    found = judge_quality("test_accuracy", NAMES, [0.9] * 4, [0.9] * 4, 0.005, False)
    assert not found.decided
    assert found.more == 1


@pytest.mark.parametrize(
    ("differences", "outcome", "winner"),
    [
        ([0.0005, -0.0005, 0.0, 0.0002, 0.0001], "no practical difference", None),
        ([0.020, 0.021, 0.022, 0.020, 0.021], "better", "pytorch"),
        ([-0.004, -0.006, -0.005, -0.007, -0.005], "may not matter", "tensorflow"),
        ([0.02, -0.02, 0.01, 0.0, 0.0], "not enough evidence", None),
        ([0.020, 0.021, 0.022, 0.020], "not enough evidence", None),
    ],
)
def test_accuracy(differences, outcome, winner):
    found = judge_quality("accuracy", NAMES, [0.9 + d for d in differences], [0.9] * len(differences), 0.005, False)
    assert (found.outcome, found.winner) == (outcome, winner)
    assert ("98.3% interval" in found.sentence, found.sentence.count("look 1 of 3")) == (True, len(differences) // 5)


@pytest.mark.parametrize(("n", "spread", "words", "more"), [
    (1, 0.0, "run 4 more paired seeds (interim, 1 of the first look at 5 seeds: PyTorch minus TensorFlow +0.00 points "
             "(n = 1 paired seed))", 4),
    (3, 0.0, "run 2 more paired seeds (interim, 3 of the first look at 5 seeds: PyTorch minus TensorFlow +0.00 points "
             "(98.3% interval +0.00 to +0.00, n = 3 paired seeds))", 2),
    (3, 0.004, "run 7 more paired seeds, the look at 10 would probably decide (interim, 3 of the first look at 5", 7),
    (3, 0.4, "more seeds alone will hardly decide it (interim, 3 of the first look at 5 seeds", None),
    (5, 0.005, "run 5 more paired seeds (so far PyTorch minus TensorFlow", 5),
    (8, 0.005, "run 2 more paired seeds (interim, 8 seeds of the next look at 10", 2),
    (8, 0.0001, "look 1 of 3); interim: 8 seeds of the next look at 10", None),
    (40, 0.0001, "look 4, 3 were planned); with 4 looks the probability of a false claim sums to 6.7%", None),
])
def test_what_is_known_of_the_accuracy_so_far(n, spread, words, more):
    differences = spread * np.array([1, -1, 0, 0.5, -0.5, *[1, -1] * 18])[:n]
    found = judge_quality("accuracy", NAMES, (0.9 + differences).tolist(), [0.9] * n, 0.005, False)
    assert words in found.sentence
    assert found.more == more
    assert strict_json.loads(strict_json.dumps(found.to_data()))["details"]["seeds"] == n


def test_the_smaller_loss_wins():
    assert judge_quality("loss", NAMES, [1.1, 1.11, 1.1, 1.1, 1.1], [1.0] * 5, 0.01, True).winner == "tensorflow"


def test_one_comparison_is_one_sentence(tmp_path):
    verdict = which(pairs(tmp_path))
    assert verdict.exit_code == 0
    assert verdict.sentence.startswith("mlp, digits: PyTorch faster by at least 3%")
    assert "n = 6 blocks, Student t, look 1 of 3" in verdict.sentence
    assert ("not enough evidence on test_accuracy: run 2 more paired seeds (interim, 3 of the first look at 5 seeds: "
            "PyTorch minus TensorFlow +0.00 points (98.3% interval +0.00 to +0.00, n = 3 paired seeds))"
            ) in verdict.sentence
    assert "x86_64-test-2c" in verdict.sentence
    assert "training equality: same to rounding; largest relative loss distance 1e-07, at step" in verdict.sentence
    assert any("whether test_accuracy is equal is not settled" in sentence for sentence in verdict.unknown)
    assert any("R5 (not run: 3 of 5 paired seeds)" in sentence for sentence in verdict.unknown)  # past T* = 40
    data = strict_json.loads(strict_json.dumps(verdict.to_data()))
    assert data["comparisons"][0]["training"]["label"] == "same to rounding"
    assert data["comparisons"][0]["training"]["certificate"] in read_certificates(tmp_path)
    assert data["comparisons"][0]["primary"]["figure"]["n"] == 6
    assert data["comparisons"][0]["answer"] == "pytorch"
    assert str(verdict).count("PyTorch faster") == 1
    five = which(pairs(tmp_path, seeds=5))
    assert ("no practical difference in test_accuracy (inside 0.5 points): PyTorch minus TensorFlow +0.00 points "
            "(98.3% interval +0.00 to +0.00, n = 5 paired seeds, look 1 of 3)") in five.sentence
    assert not any("not settled" in sentence for sentence in five.unknown)


def test_the_first_look_is_at_the_seeds_that_were_finished_first(tmp_path):
    store = pairs(tmp_path, seeds=5)
    first = which(store).comparisons[0].quality
    for backend, accuracy in (("tensorflow", 0.5), ("pytorch", 0.9)):
        add(store, {**payload(backend=backend, seed=0, accuracy=accuracy), "finished_at": "2026-02-01T00:00:00+00:00"})
        add(store, payload(backend=backend, seed=5))
    later = which(store).comparisons[0].quality
    assert (later.outcome, later.figure) == (first.outcome, first.figure)
    assert later.sentence.endswith("interim: 6 seeds of the next look at 10")


def test_several_comparisons_are_counted(tmp_path):
    verdict = which(pairs(tmp_path, models=("mlp", "cnn")))
    assert verdict.sentence.startswith("Of 2 comparisons on x86_64-test-2c: PyTorch faster in 2 (1.5 times)")
    assert [c.setting.title for c in verdict.comparisons] == ["cnn, digits", "mlp, digits"]
    assert any("not widened" in sentence for sentence in verdict.unknown)


def test_before_the_first_look_nothing_is_claimed(tmp_path):
    verdict = which(pairs(tmp_path, seeds=2), primary="total_seconds")
    assert verdict.exit_code == 6
    assert verdict.comparisons[0].primary.outcome == "not enough evidence"
    assert verdict.comparisons[0].quality.outcome == "not enough evidence"
    assert "not enough evidence: run 3 more paired seeds (interim, 2 of the first look at 5 seeds" in verdict.sentence
    assert "not enough evidence on test_accuracy: run 3 more" in verdict.sentence
    assert verdict.comparisons[0].minutes == pytest.approx(3.0)


def test_the_speed_of_whole_trainings_is_observed_and_decides_nothing(tmp_path):
    verdict = which(pairs(tmp_path, blocks=0, seeds=5), command="harness run experiments/x.yaml")
    (comparison,) = verdict.comparisons
    assert verdict.exit_code == 6
    assert (comparison.primary.outcome, comparison.primary.winner, comparison.answer) == (
        "not enough evidence", None, None)
    assert ("not enough evidence: no blocks were measured; run `harness run experiments/x.yaml` (observed in whole "
            "trainings: samples_per_second ratio PyTorch/TensorFlow 1.5 (95% interval") in verdict.sentence
    assert comparison.primary.figure.method.startswith("observed in whole trainings")
    assert comparison.quality.decided
    assert which(Store(tmp_path), primary="latency_p99").comparisons[0].primary.more == 6
    assert "no blocks were measured; write an experiment (observed" in which(
        Store(tmp_path), blocks_by="write an experiment").sentence


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
    store = pairs(tmp_path, seeds=5)
    for seed in range(5):
        add(store, payload(backend="pytorch", seed=seed, accuracy=0.7 + 0.001 * seed))
    sentence = which(store).sentence
    assert sentence.index("TensorFlow better in test_accuracy") < sentence.index("PyTorch faster")


def test_another_primary_measure(tmp_path):
    store = pairs(tmp_path, seeds=5)
    assert which(store, primary="train_seconds").comparisons[0].primary.winner == "pytorch"
    assert which(store, primary="test_accuracy").comparisons[0].primary.outcome == "no practical difference"
    assert "peak_bytes was not measured in both (PyTorch: the CPU has no" in which(store, primary="peak_bytes").sentence
    several = which(pairs(tmp_path, seeds=5, models=("cnn",)), primary="test_accuracy")
    assert (len(several.comparisons), several.summaries) == (2, [])
    with pytest.raises(SpecError, match=r"Did you mean 'samples_per_second'"):
        which(store, primary="sample_per_second")


@pytest.mark.parametrize("margin", [0, -1, 1, True, "3%", float("nan")])
def test_a_margin_is_a_share(tmp_path, margin):
    with pytest.raises(SpecError, match="margin"):
        which(Store(tmp_path), margin=margin)


def test_a_metric_that_became_nan_is_not_compared(tmp_path):
    store = Store(tmp_path)
    for seed in range(5):
        for backend in NAMES:
            add(store, payload(backend=backend, seed=seed, accuracy=float("nan")))
    certify(store, payload())
    verdict = which(store, primary="train_seconds")
    assert verdict.comparisons[0].quality.outcome == "not comparable"
    assert verdict.exit_code == 0


def test_unfair_blocks_are_not_comparable(tmp_path):
    store = pairs(tmp_path, seeds=5)
    reason = {"kind": "unfair", "message": "UNFAIR: precision: tensorflow tf32, pytorch float32; set tf32 in both"}
    write_block(store.path, block(payload(), 6, status="failed", reason=reason, halves={}))
    (comparison,) = which(store).comparisons
    assert comparison.primary.sentence == f"not comparable: {reason['message']}"
    assert comparison.quality.decided
    assert which(store).exit_code == 6
    write_block(store.path, block(payload(), 7))
    mended = which(store)
    assert mended.comparisons[0].primary.outcome == "better"
    assert any("1 of 8 blocks failed and count for nothing: 1 x unfair" in sentence for sentence in mended.unknown)


def test_a_setting_that_was_timed_and_not_trained_is_there(tmp_path):
    store = pairs(tmp_path)
    write_block(store.path, block(payload("cnn")))
    verdict = which(store)
    assert [c.setting.title for c in verdict.comparisons] == ["cnn, digits", "mlp, digits"]
    assert verdict.comparisons[0].primary.outcome == "not comparable"
    assert len(verdict.comparisons[0].blocks.done) == 1


def test_other_measures_of_the_blocks_decide_too(tmp_path):
    store = pairs(tmp_path)
    for primary in ("latency_p99", "evaluation_samples_per_second"):
        (comparison,) = which(store, primary=primary).comparisons
        assert (comparison.primary.outcome, comparison.primary.winner) == ("better", "pytorch")
    assert "PyTorch quicker to answer by at least 3%" in which(store, primary="latency_p99").sentence
    memory = which(store, primary="process_peak_bytes").comparisons[0].primary
    assert (memory.outcome, memory.repeat) == ("no practical difference", "block")
    energy = which(store, primary="energy").comparisons[0].primary
    assert energy.sentence == ("not comparable: energy was not measured in both (PyTorch: no counter on this machine; "
                               "TensorFlow: no counter on this machine)")


def test_time_to_accuracy_decides_by_the_target(tmp_path):
    store = pairs(tmp_path, seeds=5)
    verdict = which(store, primary="time_to_accuracy", target=0.88, margin=0.005)
    (comparison,) = verdict.comparisons
    assert comparison.primary.winner == "pytorch"
    assert "PyTorch sooner at the target by at least 0.5%" in verdict.sentence
    assert "restricted mean time to val_accuracy 0.88" in verdict.sentence
    assert "98.3% interval" in verdict.sentence
    assert "n = 5 paired seeds, look 1 of 3, bootstrap of pairs" in verdict.sentence
    chosen = which(store, primary="time_to_accuracy")
    assert any("not one that was fixed beforehand" in sentence for sentence in chosen.unknown)
    assert "no run reached val_accuracy 0.99" in which(store, primary="time_to_accuracy", target=0.99).sentence
    named = which(store, primary="time_to_accuracy", target={"accuracy": 0.87}, margin=0.005)
    assert "restricted mean time to accuracy 0.87" in named.sentence
    assert "no run reached accuracy 0.89" in which(store, primary="time_to_accuracy", target="accuracy=0.89").sentence
    with pytest.raises(SpecError, match=r"no epoch .* 'val_acuracy'.*Did you mean 'val_accuracy'"):
        which(store, primary="time_to_accuracy", target="val_acuracy=0.9")


@pytest.mark.parametrize("target", [
    True, "high", "val_accuracy=", "=0.9", "val_accuracy=nan", {"a": 1, "b": 2}, {1: 2}])
def test_a_target_is_a_number_of_a_metric(tmp_path, target):
    with pytest.raises(SpecError, match=r"expected a number or a metric with one"):
        which(pairs(tmp_path), target=target)


def test_one_tier_alone(tmp_path):
    store = pairs(tmp_path)
    for backend in NAMES:
        data = payload("mlp", backend, 8)
        data["cell"]["execution"]["tier"] = "idiomatic"
        add(store, data)
    assert len(which(store).comparisons) == 2
    assert [c.setting.execution["tier"] for c in which(store, tier="tuned").comparisons] == ["tuned"]
    assert which(pairs(tmp_path / "tuned"), tier="idiomatic").sentence == (
        "No answer yet: there are no records of tier idiomatic.")
    with pytest.raises(SpecError, match=r"Did you mean 'tuned'"):
        which(store, tier="tunde")


@pytest.mark.parametrize(("speed", "expected", "code"), [
    (None, "pytorch", 0), (None, "tensorflow", 1), (None, "same", 1), (1000.0, "same", 0), (1000.0, "pytorch", 1)])
def test_the_answer_is_held_against_what_was_expected(tmp_path, speed, expected, code):
    assert which(pairs(tmp_path, speed=speed)).exit_code_for(expected) == code


def test_without_evidence_nothing_is_as_expected(tmp_path):
    assert which(pairs(tmp_path, blocks=0)).exit_code_for("pytorch") == 6


def test_accuracy_that_differs_decides_before_speed(tmp_path):
    store = pairs(tmp_path, seeds=5)
    for seed in range(5):
        add(store, payload(backend="pytorch", seed=seed, accuracy=0.7 + 0.001 * seed))
    verdict = which(store)
    assert verdict.comparisons[0].answer == "tensorflow"
    assert verdict.exit_code_for("tensorflow") == 0


def test_settings_are_judged_together_tier_by_tier(tmp_path):
    verdict = which(pairs(tmp_path, models=("mlp", "cnn", "rnn")))
    (summary,) = verdict.summaries
    assert (summary.tier, summary.waiting, summary.matrix.counts["win"]) == ("tuned", 0, 3)
    assert "tuned, of 3 comparisons: PyTorch faster in 3 (after Holm)" in verdict.sentence
    store = pairs(tmp_path / "some", models=("mlp", "cnn"))
    pairs(store.path, models=("rnn",), blocks=3)
    assert which(store).summaries[0].waiting == 1
    assert "not enough blocks yet in 1 further" in which(store).sentence


def test_no_framework_is_loaded():
    program = (
        "import sys, harness.analysis.verdict, harness.report;"
        "sys.exit(bool({'tensorflow', 'keras', 'torch', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
