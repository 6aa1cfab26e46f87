"""Metrics that do not fit, and monitors that the log will not have, are refused before the first step."""

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.errors import SpecError
from harness.plan.binding import Arrays
from harness.plan.compiler import compile_phase
from harness.spec.recipe import Recipe
from harness.training.checks import check_log
from harness.training.loop import metric_sets


def checked(loss="sparse_categorical_crossentropy", metrics=(), steps=None, validated=False, **recipe):
    x = Input((4,) if steps is None else (steps, 4), name="x")
    spec = Model(x, layers.Dense(3, activation="softmax")(x))
    phase = Recipe(loss=loss, metrics=list(metrics), **recipe).resolved_phases()[0]
    plan = compile_phase(spec, phase, index=0, examples=6, seed=0, collect_outputs=True)
    shape = (6,) if steps is None else (6, steps)
    y = np.zeros(shape, int) if loss.startswith("sparse") else np.zeros((*shape, 3))
    arrays = Arrays({"x": np.zeros((*shape, 4))}, {"dense": y})
    check_log(plan, metric_sets(plan, phase), phase, arrays, arrays if validated else None)


@pytest.mark.parametrize("metric", ["mse", "R2Score", "binary_accuracy", {"Precision": {"class_id": 7}}])
def test_metrics_that_do_not_fit_labels_are_refused(metric):
    with pytest.raises(SpecError, match="does not fit the output 'dense'"):
        checked(metrics=[metric])


@pytest.mark.parametrize("metric", ["F1Score", "categorical_accuracy"])
def test_metrics_that_do_not_fit_steps_are_refused(metric):
    checked(metrics=[metric])
    with pytest.raises(SpecError, match="does not fit the output 'dense'"):
        checked(metrics=[metric], steps=2)


@pytest.mark.parametrize("metric", ["accuracy", "AUC", "Recall", "F1Score"])
def test_metrics_that_fit_are_not(metric):
    checked(metrics=[metric])
    checked("mse", metrics=[metric, "mae"])


def test_a_monitor_that_the_log_will_not_have_is_refused():
    with pytest.raises(SpecError, match="There is no validation split"):
        checked(early_stopping={"monitor": "val_loss"})
    with pytest.raises(SpecError, match="Did you mean 'accuracy'"):
        checked(metrics=["accuracy"], keep_best="acuracy")
    checked(early_stopping={"monitor": "val_F1Score_1"}, metrics=["F1Score"], validated=True)
    checked(early_stopping={"monitor": "loss"}, keep_best="accuracy", metrics=["accuracy"])
