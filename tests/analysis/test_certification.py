"""No verdict without a certificate; paired seeds may make one where rounding leaves the question open (R5)."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.quality import judge_quality
from harness.analysis.verdict import which
from harness.analysis.whole_runs import whole_runs
from harness.certify.certificate import FAILED, Phase, Rung
from harness.records.record import Record
from harness.records.store import Store
from tests.report.synthetic import add, certify, pairs, payload


def runs(losses_a, losses_b, accuracies=None):
    """Pairs of records in memory with these losses [seeds, steps], and R5 of them."""
    records = [tuple(Record({"id": "x", "cell": {"backend": name}}, memory_series={"loss": losses})
                     for name, losses in (("pytorch", a), ("tensorflow", b)))
               for a, b in zip(losses_a, losses_b, strict=True)]
    ours, theirs = accuracies or ([0.9] * len(records), [0.9] * len(records))
    quality = judge_quality("test_accuracy", ("pytorch", "tensorflow"), ours, theirs, 0.005, False)
    return whole_runs(records, quality, 0.01)


def curves(seeds=5, steps=200, noise=0.0, shift=0.0, seed=0):
    chance = np.random.default_rng(seed)
    first = np.exp(-np.arange(steps) / 60) * (1 + 0.1 * chance.normal(size=(seeds, steps)))
    return first, first * (1 + shift + noise * chance.normal(size=(seeds, steps)))


def test_whole_runs_that_rounding_carried_apart_are_equivalent():
    found = runs(*curves(noise=0.01))
    assert found.status == "passed"
    assert len(found.steps) == len(found.p_values) == 20
    assert found.steps[-1] == 199
    assert found.largest < 0.01
    assert "passed over 5 paired seeds" in found.sentence


def test_whole_runs_that_differ_are_not():
    systematic = runs(*curves(shift=0.02))
    assert systematic.status == "failed"
    assert "not equivalent inside 0.01" in systematic.reason
    noisy = runs(*curves(noise=1.0))  # noise shows neither
    assert noisy.status == "not decided"
    assert "more seeds would tell" in noisy.reason
    first, second = curves()
    second = second.copy()
    second[:, 100:110] *= 1.05  # in one part of twenty only
    assert runs(first, second).status == "failed"
    accuracy = runs(*curves(), accuracies=([0.92] * 5, [0.9] * 5))
    assert accuracy.status == "failed"
    assert "test_accuracy is not equivalent" in accuracy.reason


def test_whole_runs_that_cannot_be_judged():
    assert runs(*curves(seeds=4)).reason == "4 of 5 paired seeds"
    first, second = curves()
    assert runs(first, np.where(second < 0.1, np.nan, second)).status == "failed"
    assert runs(first[:, :0], second[:, :0]).status == "not run"
    short = runs(first[:, :7], second[:, :7])
    assert (short.status, len(short.steps)) == ("passed", 7)


@pytest.mark.parametrize("scale", [1e-9, 1e-5])
def test_a_loss_that_is_nearly_zero_is_judged_by_the_first_losses(scale):
    first, second = curves()
    first[:, 100:], second[:, 100:] = scale, 2 * scale
    assert runs(first, second).status == "passed"


@pytest.mark.parametrize(("label", "reason"), [
    (None, "not certified: there is no certificate beside these runs"),
    ("not certified", "not certified: R3, R4 were not run"),
    ("different", "different: step 1, buffer, bn, moving_variance: 0.003 where rounding allows 2e-07"),
])
def test_without_a_certificate_the_verdict_is_withheld_and_the_figures_stand(tmp_path, label, reason):
    verdict = which(pairs(tmp_path, label=label))
    (comparison,) = verdict.comparisons
    assert verdict.exit_code == 6
    for judgement in (comparison.primary, comparison.quality):
        assert (judgement.outcome, judgement.winner, judgement.decided) == ("not comparable", None, False)
        assert reason in judgement.sentence
    assert comparison.primary.figure.value == pytest.approx(1.5)
    assert "samples_per_second ratio PyTorch/TensorFlow 1.5" in verdict.sentence
    assert reason in verdict.sentence
    assert any("whether the two trainings are the same" in sentence for sentence in verdict.unknown)


def test_records_from_before_certificates_say_so(tmp_path):
    store = Store(tmp_path)
    for seed in range(3):
        for backend in ("tensorflow", "pytorch"):
            data = payload(backend=backend, seed=seed)
            del data["cell"]["identity"], data["cell"]["checkpoints"]
            add(store, data)
    verdict = which(store)
    assert "not comparable: not certified: made before certificates (measured: observed in whole" in verdict.sentence


def test_enough_paired_seeds_lift_what_could_not_be_certified(tmp_path):
    few = which(pairs(tmp_path / "few", seeds=4, label="not certified"))
    assert few.comparisons[0].certification.label == "not certified"
    (comparison,) = which(pairs(tmp_path / "enough", seeds=5, label="not certified")).comparisons
    assert comparison.certification.label == "same in distribution"
    assert "R5 passed over 5 paired seeds" in comparison.training
    assert comparison.primary.outcome == "better"
    data = comparison.to_data()["training"]
    assert (data["label"], data["certified"], data["whole_runs"]["status"]) == ("same in distribution", True, "passed")


@pytest.mark.parametrize("label", ["different", None])
def test_paired_seeds_make_nothing_good_that_differs_or_was_never_certified(tmp_path, label):
    (comparison,) = which(pairs(tmp_path, seeds=6, label=label)).comparisons
    assert comparison.certification.whole_runs.status == "passed"
    assert not comparison.certification.certified


def test_paired_seeds_make_no_failed_rung_good(tmp_path):
    store = pairs(tmp_path, seeds=6)
    certify(store, payload(), "not certified", phases=(Phase("pretrain", (Rung("R2", FAILED),)),))
    assert which(store).comparisons[0].certification.label == "not certified"


def test_the_gravest_of_several_certificates_counts(tmp_path):
    store = pairs(tmp_path, seeds=2)
    for backend in ("tensorflow", "pytorch"):
        data = payload(backend=backend, seed=2)
        data["cell"]["identity"] = {"file": "changed"}
        add(store, data)
    assert which(store).comparisons[0].certification.label == "not certified"
    certify(store, data, "different")
    proof = which(store).comparisons[0].certification
    assert (proof.label, len(proof.keys)) == ("different", 2)


def test_another_version_than_was_certified_is_said(tmp_path):
    store = pairs(tmp_path, environment={"versions": {"torch": "2.12.0"}})
    (comparison,) = which(store).comparisons
    assert comparison.primary.decided
    assert comparison.cautions[0] == "certified with torch 2.13.0, seed 0 ran with 2.12.0"
