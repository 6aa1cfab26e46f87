"""harness.certify from end to end: both frameworks, two phases, and mistakes that are planted in one of them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import harness
from harness import Input, Model, layers
from harness.certify.certificate import DIFFERENT, NOT_CERTIFIED, SAME_TO_ROUNDING, Certificate
from harness.errors import SpecError
from harness.runner.certify import both_workers, certify

STEPS = 12
RECIPE = {
    "loss": "sparse_categorical_crossentropy", "optimizer": {"Adam": {"learning_rate": 0.01}}, "batch_size": 8,
    "phases": [{"name": "pretrain", "epochs": 2},
               {"name": "finetune", "epochs": 2, "freeze": ["hidden"], "replace": {"classes": None}}],
}
PLANTED = "tests.runner.test_certify:planted_job"


def small_model():
    x = inputs = Input((8, 8), name="inputs")
    x = layers.Flatten()(x)
    x = layers.Dense(12, activation="relu", name="hidden")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.3, name="drop")(x)
    return Model(inputs, layers.Dense(10, activation="softmax", name="classes")(x), name="small")


def planted_job(arguments, emit):
    """The job of a worker's child, with a mistake in the backend."""
    FAULTS[arguments["fault"]]()
    from harness.runner.certifying import certify_job

    return certify_job(arguments, emit)


def keras_momentum():
    from harness.backends.pytorch.layers import normalization

    own = normalization.BatchNormalization.__init__

    def other(self, *arguments, **options):
        own(self, *arguments, **options)
        self.momentum = 0.9

    normalization.BatchNormalization.__init__ = other


def late_batches():
    """The second epoch in the order of the first: nothing that a first step shows."""
    from harness.backends.pytorch import session

    own = session.Session.batch

    def batch(self, rows):
        epochs, indices = self.plan.tape.epochs, self.indices
        steps = [step for step in range(len(epochs)) if indices[step, : len(rows)].equal(rows)]
        if steps and epochs[steps[0]] == 1:
            rows = indices[steps[0] - int((epochs == 0).sum()), : len(rows)]
        return own(self, rows)

    session.Session.batch = batch


def crash():
    raise RuntimeError("the backend broke")


FAULTS = {"momentum": keras_momentum, "batches": late_batches, "crash": crash}


@pytest.fixture(scope="module")
def workers():
    with both_workers() as made:
        yield made


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(44, 8, 8)), rng.integers(0, 10, 44)


def with_fault(name, data, workers, **options):
    return certify(small_model(), RECIPE, data, steps=STEPS, workers=workers, jobs={"pytorch": PLANTED},
                   extra={"fault": name}, rungs=("R0", "R1", "R2", "R3"), **options)


def test_two_phases_are_the_same_to_rounding(workers, data):
    events = []
    found = certify(small_model(), RECIPE, data, steps=STEPS, workers=workers, on_event=events.append)
    assert found.label == SAME_TO_ROUNDING, found.sentence
    assert [phase.name for phase in found.phases] == ["pretrain", "finetune"]
    for phase in found.phases:
        assert [rung.name for rung in phase.rungs] == ["R0", "R1", "R2", "R3", "R4"]
        assert all(rung.status == "passed" and rung.checked > 10 for rung in phase.rungs)
        assert len(phase.signs) == 3
    assert found.certified
    assert set(found.subject["programs"]) == {"tensorflow", "pytorch"}
    assert set(found.versions) >= {"torch", "tensorflow"}
    assert found.cost["steps_worth"] > 1
    assert {event["rung"] for event in events if event["event"] == "certified_rung"} == {"R0", "R1", "R2", "R3", "R4"}
    assert Certificate.from_data(json.loads(json.dumps(found.to_data()))) == found


def test_masks_are_compared_bit_by_bit(workers, data):
    found = certify(small_model(), RECIPE, data, steps=STEPS, workers=workers, rungs=("R0", "R1", "R2"))
    steps = found.phases[0].rungs[2]
    assert steps.details["largest by kind"]["random"] == 0.0
    assert found.label == NOT_CERTIFIED
    assert "R3, R4 were not run" in found.sentence


def test_a_wrong_momentum_is_found_in_its_layer(workers, data):
    found = with_fault("momentum", data, workers)
    assert found.label == DIFFERENT
    assert (found.finding.rung, found.finding.part, found.finding.layer) == ("R1", "buffer", "norm")
    assert "momentum is 0.9 in PyTorch and 0.99 in the model" in found.finding.cause
    assert [rung.status for rung in found.phases[0].rungs] == ["passed", "failed", "not run", "not run"]


def test_a_mistake_of_the_second_epoch_is_found_at_its_step(workers, data):
    found = with_fault("batches", data, workers)
    assert found.label == DIFFERENT, found.sentence
    # Six batches an epoch: the seventh step is the first of the second.
    assert (found.finding.rung, found.finding.part, found.finding.step) == ("R3", "data", 6)
    assert "epoch 2" in found.finding.cause


def test_what_breaks_is_not_certified(workers, data):
    found = with_fault("crash", data, workers)
    assert found.label == NOT_CERTIFIED
    assert "the backend broke" in found.reason


def test_the_user_s_mistakes_are_raised():
    with pytest.raises(SpecError, match="no_such"):
        harness.certify("no_such_model")
    with pytest.raises(SpecError, match="loss"):
        certify(small_model(), {"loss": "no_loss", "optimizer": "adam"})


def test_examples_are_few_and_the_last_batch_is_partial():
    from harness.runner.certified_subject import settled_subject

    found = settled_subject("mlp", None, "digits", 0, None, None, SimpleNamespace(precision="float32"), None)
    assert found.datasets[0].train.examples == 656
    assert found.spec.inputs[0].shape == (None, 8, 8)
