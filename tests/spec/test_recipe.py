"""What a recipe accepts, refuses, and means, without a framework."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pytest

from harness.errors import SpecError
from harness.spec import losses, metrics, optimizers, schedules
from harness.spec.metrics import METRICS, metrics_by_name, parse_metric
from harness.spec.recipe import (
    EarlyStopping,
    Phase,
    Recipe,
    loss_weights_by_output,
    losses_by_output,
    metrics_by_output,
)

FULL: dict[str, Any] = {
    "loss": {"SparseCategoricalCrossentropy": {"from_logits": True}},
    "optimizer": {"AdamW": {"learning_rate": {"CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 100}},
                            "weight_decay": 0.01, "exclude_from_weight_decay": ["bias"], "clipnorm": 1.0}},
    "metrics": ["accuracy", {"F1Score": {"average": "macro"}}],
    "batch_size": 16,
    "class_weight": {0: 1.0, 1: 2.5},
    "early_stopping": {"patience": 2, "restore_best_weights": True},
    "keep_best": "val_accuracy",
    "phases": [
        {"name": "pretrain", "epochs": 5},
        {"name": "finetune", "epochs": 3, "freeze": ["hidden_*"], "optimizer": {"SGD": {"momentum": 0.9}},
         "learning_rate_multipliers": {"head*": 10.0}, "split": "validation", "batch_size": 8, "shuffle": False,
         "replace": {"head": {"Dense": {"units": 3}}}, "start_from": "pytorch"},
        {"name": "more", "steps": 40, "unfreeze": ["*"]},
    ],
}


@pytest.mark.parametrize("value", [FULL, {"loss": "mse"}, {"loss": {"a": "mse", "b": {"Huber": {"delta": 2.0}}}}])
def test_plain_data_reads_back_to_the_same_recipe(value: dict[str, Any]) -> None:
    recipe = Recipe.parse(value)
    assert Recipe.parse(recipe.to_data()) == recipe
    assert Recipe.parse(recipe) is recipe
    assert Recipe.parse(recipe.to_data()).to_data() == recipe.to_data()


def test_defaults_are_left_out_of_plain_data() -> None:
    assert Recipe(loss="mse", batch_size=32, optimizer="adam", epochs=1).to_data() == {"loss": "MeanSquaredError"}
    recipe = Recipe(loss="mse", optimizer=optimizers.Adam(0.01))
    assert recipe.to_data()["optimizer"] == {"Adam": {"learning_rate": 0.01}}


def test_without_phases_there_is_pretrain() -> None:
    (phase,) = Recipe(loss="mse", epochs=7, drop_last=True, metrics="mae").resolved_phases()
    assert (phase.name, phase.epochs, phase.drop_last, phase.batch_size) == ("pretrain", 7, True, 32)
    assert phase.loss == losses.MeanSquaredError()
    assert [metric.reported_name for metric in phase.metrics] == ["mae"]
    assert not phase.continues_optimizer


def test_phases_take_from_the_recipe_what_they_leave_open() -> None:
    first, second, third = Recipe.parse(FULL).resolved_phases()
    assert isinstance(first.optimizer, optimizers.AdamW)
    assert (first.batch_size, first.shuffle, first.class_weight) == (16, True, {0: 1.0, 1: 2.5})
    assert first.early_stopping == EarlyStopping(patience=2, restore_best_weights=True)
    assert isinstance(second.optimizer, optimizers.SGD)
    assert (second.batch_size, second.shuffle, second.split, second.start_from) == (8, False, "validation", "pytorch")
    assert (first.continues_optimizer, second.continues_optimizer) == (False, False)
    # The third names no optimizer: the second's, with its slots and iterations, as Keras's next fit.
    assert third.continues_optimizer
    assert third.optimizer == second.optimizer
    assert (third.steps, third.keep_best) == (40, "val_accuracy")


def test_a_checkpoint_from_elsewhere_brings_no_slots() -> None:
    phases = [{"name": "a"}, {"name": "b", "start_from": "weights.safetensors"}, {"name": "c"}]
    assert [p.continues_optimizer for p in Recipe(loss="mse", phases=phases).resolved_phases()] == [False, False, True]


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(Exception, match="frozen"):
        Recipe(loss="mse").epochs = 3  # type: ignore[misc]


BAD: list[tuple[Any, str]] = [
    ({}, "'loss' is required"),
    ({"loss": "mse", "optimiser": "adam"}, "Did you mean 'optimizer'"),
    ({"loss": "categorical_crossentropie"}, "Did you mean 'CategoricalCrossentropy'"),
    ({"loss": "mse", "optimizer": "adamm"}, "Did you mean 'Adam'"),
    ({"loss": "mse", "optimizer": {"Adam": {"beta1": 0.9}}}, "Did you mean 'beta_1'"),
    ({"loss": "mse", "optimizer": {"Adam": {"learning_rate": -0.1}}}, "not negative"),
    ({"loss": "mse", "optimizer": {"Adam": {"learning_rate": "fast"}}}, "unknown learning-rate schedule 'fast'"),
    ({"loss": "mse", "optimizer": {"Adam": {"clipnorm": 1.0, "clipvalue": 1.0}}}, "only one of"),
    ({"loss": "mse", "optimizer": {"Adam": {"loss_scale_factor": 0.0}}}, "loss_scale_factor"),
    ({"loss": "mse", "optimizer": {"LossScaleOptimizer": {}}}, "needs an inner_optimizer"),
    ({"loss": "mse", "optimizer": {"LossScaleOptimizer": {"inner_optimizer": "adam", "use_ema": True}}}, "use_ema"),
    ({"loss": "mse", "optimizer": {"class_name": "MultiOptimizer", "config": {}}}, "a learning rate each"),
    ({"loss": "mse", "optimizer": {"class_name": "Mine", "config": {}, "registered_name": "my>Mine"}}, "of your own"),
    ({"loss": {"mse": {"dtype": "float16"}}}, "precision of the run"),
    ({"loss": "mse", "metrics": [{"class_name": "Mean", "config": {"name": "mean"}}]}, "metric of given values"),
    ({"loss": "mse", "metrics": [{"AUC": {"num_labels": 3}}]}, "multi_label=True only"),
    ({"loss": "mse", "optimizer": {"SGD": {"gradient_accumulation_steps": 1}}}, "gradient_accumulation_steps"),
    ({"loss": "mse", "optimizer": {"Adam": {"use_ema": True, "ema_momentum": 1.5}}}, "ema_momentum"),
    ({"loss": "mse", "optimizer": {"Muon": {"exclude_layers": ["*head"]}}}, "not a regular expression"),
    ({"loss": "mse", "optimizer": {"SGD": {"momentum": 1.5}}}, "momentum"),
    ({"loss": "mse", "optimizer": {"AdamW": {"exclude_from_weight_decay": ["*bias"]}}}, "not a regular expression"),
    ({"loss": {"mse": {"reduction": "none"}}}, "no single loss"),
    ({"loss": {"CategoricalCrossentropy": {"label_smoothing": 2}}}, "label_smoothing"),
    ({"loss": "mse", "epochs": -1}, "epochs"),
    ({"loss": "mse", "epochs": 0}, "epochs"),
    ({"loss": "mse", "epochs": 1.5}, "epochs"),
    ({"loss": "mse", "batch_size": True}, "batch_size"),
    ({"loss": "mse", "metrics": ["acuracy"]}, "Did you mean 'accuracy'"),
    ({"loss": "mse", "metrics": [{"Precision": {"threshold": 0.5}}]}, "Did you mean 'thresholds'"),
    ({"loss": "mse", "early_stopping": {"patience": -1}}, "patience"),
    ({"loss": "mse", "early_stopping": {"monitors": "loss"}}, "Did you mean 'monitor'"),
    ({"loss": "mse", "early_stopping": 3}, "cannot read 3 as early stopping"),
    ({"loss": "mse", "phases": {"name": "a"}}, "list of phases"),
    ({"loss": "mse", "phases": [{"epochs": 3}]}, r"phases\[0\].*'name' is required"),
    ({"loss": "mse", "phases": [{"name": "a"}, {"name": "b", "freze": "x"}]}, r"phases\[1\].*Did you mean 'freeze'"),
    ({"loss": "mse", "phases": [{"name": "a"}, {"name": "a"}]}, "two phases are named 'a'"),
    ({"loss": "mse", "phases": [{"name": "../a"}]}, "name"),
    ({"loss": "mse", "phases": [{"name": "a", "split": "test"}]}, "split"),
    ({"loss": "mse", "phases": [{"name": "a", "start_from": "pytorch"}]}, "nothing was trained before"),
    ({"loss": "mse", "phases": [{"name": "a", "learning_rate_multipliers": {"x": -1}}]}, "learning_rate_multipliers"),
    (3, "cannot read 3 as a recipe"),
]


@pytest.mark.parametrize(("value", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_recipes_say_what_is_wrong(value: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        Recipe.parse(value)
    assert caught.value.exit_code == 4
    assert "Traceback" not in str(caught.value)


def test_positions_are_those_of_keras() -> None:
    assert optimizers.SGD(0.1, 0.9, True) == optimizers.SGD(learning_rate=0.1, momentum=0.9, nesterov=True)
    adam = optimizers.Adam(0.1, 0.8, 0.9, 1e-3, True)
    assert (adam.beta_1, adam.beta_2, adam.epsilon, adam.amsgrad) == (0.8, 0.9, 1e-3, True)
    assert optimizers.AdamW(0.1, 0.2, 0.8) == optimizers.AdamW(0.1, weight_decay=0.2, beta_1=0.8)
    assert optimizers.RMSprop(0.1, 0.8, 0.5).momentum == 0.5
    assert losses.Huber(2.0).delta == 2.0
    assert losses.SparseCategoricalCrossentropy(True, 255).ignore_class == 255
    assert schedules.PolynomialDecay(0.1, 10, 0.01, 2.0).power == 2.0


def test_keras_serialized_forms_are_read() -> None:
    serialized = {
        "module": "keras.optimizers", "class_name": "Adam", "registered_name": None,
        "config": {"name": "adam", "weight_decay": None, "clipnorm": None, "global_clipnorm": None, "clipvalue": None,
                   "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None, "loss_scale_factor": None,
                   "gradient_accumulation_steps": None, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7,
                   "amsgrad": False,
                   "learning_rate": {"class_name": "ExponentialDecay", "config": {
                       "initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": False,
                       "name": "ExponentialDecay"}}},
    }
    assert optimizers.OPTIMIZERS.parse(serialized) == optimizers.Adam(schedules.ExponentialDecay(0.1, 10, 0.5))
    config = {"name": "f1_score", "dtype": "float32", "average": "macro", "threshold": None}
    metric = {"class_name": "F1Score", "config": config}
    assert parse_metric(metric).to_data() == {"F1Score": {"name": "f1_score", "average": "macro"}}


def test_decay_patterns_are_searched_for_as_keras_does() -> None:
    optimizer = optimizers.AdamW(exclude_from_weight_decay=["bias", "^norm"])
    assert [optimizer.decays(name) for name in ("hidden/kernel", "hidden/bias", "norm_1/gamma", "my_norm/gamma")] == [
        True, False, False, True]
    assert not optimizers.Adam().decays("hidden/kernel")


REQUIRED: dict[str, dict[str, Any]] = {
    "SensitivityAtSpecificity": {"specificity": 0.5}, "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "PrecisionAtRecall": {"recall": 0.5}, "RecallAtPrecision": {"precision": 0.5}, "MeanIoU": {"num_classes": 3},
    "OneHotMeanIoU": {"num_classes": 3}, "IoU": {"num_classes": 3, "target_class_ids": [0, 2]},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [1]},
}


@pytest.mark.parametrize("table", [losses, metrics, optimizers])
def test_what_is_imported_later_is_listed_where_it_is(table: Any) -> None:
    family = next(getattr(table, name) for name in ("LOSSES", "METRICS", "OPTIMIZERS") if hasattr(table, name))
    for module, names in table.LATER.items():
        found = {name for name, item in vars(importlib.import_module(module)).items()
                 if isinstance(item, type) and item.__module__ == module and name in family.classes}
        assert found == set(names)
        assert all(getattr(table, name) is family.find(name) and name in table.__all__ for name in names)
    early = list(family.classes)[: -sum(map(len, table.LATER.values()))]
    assert list(family.classes) == [*early, *(name for names in table.LATER.values() for name in names)]
    with pytest.raises(AttributeError, match="no attribute 'Adma'"):
        _ = table.Adma


@pytest.mark.parametrize("name", METRICS.classes)
def test_metrics_read_back(name: str) -> None:
    metric = METRICS.classes[name](**REQUIRED.get(name, {}))
    assert parse_metric(metric.to_data()) == metric


def test_metrics_keep_the_name_by_which_they_were_asked_for() -> None:
    metrics = [parse_metric(name) for name in ("accuracy", "acc", "mse", "mean_squared_error", "Precision", "mse")]
    names = ["accuracy", "acc", "mse", "mean_squared_error", "Precision", "mse_1"]
    assert list(metrics_by_name(metrics)) == names
    assert list(metrics_by_name(metrics[:1], "head")) == ["head_accuracy"]


def test_losses_and_metrics_find_their_outputs() -> None:
    mse, mae = losses.MeanSquaredError(), losses.MeanAbsoluteError()
    assert losses_by_output(mse, ["a", "b"]) == {"a": mse, "b": mse}
    assert losses_by_output((mse, None), ["a", "b"]) == {"a": mse}
    assert losses_by_output({"b": mae}, ["a", "b"]) == {"b": mae}
    with pytest.raises(SpecError, match="no output 'c'"):
        losses_by_output({"c": mae}, ["a", "b"])
    assert loss_weights_by_output({"b": 2.0}, ["a", "b"]) == {"a": 1.0, "b": 2.0}
    recipe = Recipe(loss="mse", metrics={"a": ["mse"], "b": "mae"})
    assert {key: len(value) for key, value in metrics_by_output(recipe.metrics, ["a", "b"]).items()} == {"a": 1, "b": 1}
    assert metrics_by_output(Recipe(loss="mse", metrics=["mse", "mae"]).metrics, ["a"])["a"][1].reported_name == "mae"
    with pytest.raises(SpecError, match="2 outputs"):
        metrics_by_output(Recipe(loss="mse", metrics=["mse"]).metrics, ["a", "b"])


def test_a_phase_reads_single_patterns() -> None:
    assert Phase(name="a", freeze="hidden_*").freeze == ("hidden_*",)


def test_nothing_heavy_is_imported() -> None:
    script = "import sys, harness.spec.recipe; print([m for m in ('numpy', 'tensorflow', 'torch') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
