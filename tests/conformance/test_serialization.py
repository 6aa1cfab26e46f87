"""Recipes speak Keras: what `keras.X.serialize` makes of every class is read, and nothing is lost on the way from a
spec to a Keras object, to its dictionary (through JSON), and back; every name that `keras.X.get` knows is read.

One subprocess with Keras builds and serializes everything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import SpecError
from harness.spec.activations import parse_activation
from harness.spec.configured import snake_case
from harness.spec.constraints import CONSTRAINTS
from harness.spec.initializers import INITIALIZERS
from harness.spec.losses import LOSSES
from harness.spec.metrics import METRICS, parse_metric
from harness.spec.optimizers import OPTIMIZERS
from harness.spec.recipe import Recipe
from harness.spec.regularizers import REGULARIZERS
from harness.spec.schedules import SCHEDULES
from tests.forked import run_source

CLASSES: dict[str, dict[str, dict[str, Any]]] = {
    "losses": {
        "BinaryCrossentropy": {"from_logits": True, "label_smoothing": 0.1, "axis": 1},
        "BinaryFocalCrossentropy": {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5, "label_smoothing": 0.1},
        "CategoricalCrossentropy": {"label_smoothing": 0.2, "axis": 1, "reduction": "sum"},
        "CategoricalFocalCrossentropy": {"alpha": 0.6, "gamma": 1.5, "from_logits": True},
        "CategoricalGeneralizedCrossEntropy": {"q": 0.8, "reduction": "mean_with_sample_weight"},
        "SparseCategoricalCrossentropy": {"ignore_class": 3, "from_logits": True},
        "Circle": {"gamma": 40.0, "margin": 0.3, "remove_diagonal": False},
        "Dice": {"axis": [1, 2]}, "Tversky": {"alpha": 0.3, "beta": 0.7, "axis": [-1]},
        "CTC": {"reduction": "sum"}, "Huber": {"reduction": "sum"}, "CosineSimilarity": {"reduction": "mean"},
        "MeanSquaredError": {"reduction": "mean"}, "Hinge": {"reduction": "sum"},
    },
    "metrics": {
        "BinaryAccuracy": {"threshold": 0.3}, "TopKCategoricalAccuracy": {"k": 3},
        "SparseTopKCategoricalAccuracy": {"k": 2}, "Precision": {"thresholds": [0.2, 0.5], "class_id": 1},
        "Recall": {"top_k": 2, "thresholds": 0.3}, "F1Score": {"average": "macro", "threshold": 0.4},
        "FBetaScore": {"average": "weighted", "beta": 2.0}, "R2Score": {"num_regressors": 2, "name": "adjusted"},
        "AUC": {"curve": "PR", "num_thresholds": 50, "multi_label": True, "num_labels": 3,
                "summation_method": "minoring", "from_logits": True, "label_weights": [1.0, 0.5, 2.0]},
        "CosineSimilarity": {"name": "direction"}, "PearsonCorrelation": {"axis": 1},
        "BinaryCrossentropy": {"from_logits": True, "label_smoothing": 0.1},
        "CategoricalCrossentropy": {"axis": 1, "label_smoothing": 0.2},
        "SparseCategoricalCrossentropy": {"ignore_class": 2}, "TruePositives": {"thresholds": [0.2, 0.7]},
        "TrueNegatives": {"thresholds": 0.2}, "FalsePositives": {"thresholds": [0.1]}, "FalseNegatives": {},
        "SensitivityAtSpecificity": {"specificity": 0.4, "num_thresholds": 30, "class_id": 1},
        "SpecificityAtSensitivity": {"sensitivity": 0.4}, "PrecisionAtRecall": {"recall": 0.4},
        "RecallAtPrecision": {"precision": 0.4}, "MeanIoU": {"num_classes": 3, "ignore_class": 1},
        "IoU": {"num_classes": 4, "target_class_ids": [0, 2], "sparse_y_pred": False},
        "BinaryIoU": {"threshold": 0.3, "target_class_ids": [1]}, "OneHotIoU": {"num_classes": 4,
                                                                                "target_class_ids": [1]},
        "OneHotMeanIoU": {"num_classes": 4, "sparse_y_pred": True}, "MeanSquaredError": {"name": "error"},
    },
    "optimizers": {
        "SGD": {"learning_rate": 0.03, "momentum": 0.9, "nesterov": True, "clipnorm": 0.7},
        "Adam": {"learning_rate": 3e-4, "beta_1": 0.8, "epsilon": 1e-3, "amsgrad": True, "global_clipnorm": 1.0},
        "AdamW": {"weight_decay": 0.02, "use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 10},
        "RMSprop": {"rho": 0.8, "momentum": 0.5, "centered": True, "clipvalue": 0.1},
        "Adagrad": {"initial_accumulator_value": 0.2, "epsilon": 1e-5},
        "Adadelta": {"learning_rate": 1.0, "rho": 0.8}, "Adamax": {"beta_2": 0.99},
        "Nadam": {"gradient_accumulation_steps": 4}, "Ftrl": {"learning_rate_power": -0.7, "beta": 0.1,
                                                              "l1_regularization_strength": 0.01},
        "Lion": {"beta_2": 0.9, "weight_decay": 0.1}, "Lamb": {"loss_scale_factor": 1024.0},
        "Adafactor": {"relative_step": False, "clip_threshold": 0.5},
        "Muon": {"exclude_layers": ["head"], "adam_weight_decay": 0.01, "ns_steps": 3, "rms_rate": 0.1},
        "ScheduleFreeAdamW": {"warmup_steps": 10, "beta_1": 0.8},
    },
    "optimizers.schedules": {
        "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True},
        "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
        "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "power": 2.0, "cycle": True},
        "PiecewiseConstantDecay": {"boundaries": [10, 20], "values": [0.1, 0.01, 0.003]},
        "CosineDecay": {"initial_learning_rate": 0.0, "decay_steps": 10, "alpha": 0.1, "warmup_target": 0.1,
                        "warmup_steps": 5},
        "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 10, "t_mul": 1.5, "m_mul": 0.8},
    },
    "regularizers": {"L1": {"l1": 0.003}, "L2": {"l2": 0.0007}, "L1L2": {"l1": 0.1, "l2": 0.2},
                     "OrthogonalRegularizer": {"factor": 0.02, "mode": "columns"}},
    "constraints": {"MaxNorm": {"max_value": 1.5, "axis": [0, 1]}, "NonNeg": {}, "UnitNorm": {"axis": 1},
                    "MinMaxNorm": {"min_value": 0.2, "max_value": 0.7, "rate": 0.5, "axis": 1}},
    "initializers": {
        "STFT": {"side": "imag", "window": "hamming", "scaling": "spectrum", "periodic": True},
        "Zeros": {}, "Ones": {}, "Constant": {"value": 0.3}, "RandomNormal": {"mean": 0.1, "stddev": 0.2, "seed": 3},
        "TruncatedNormal": {"stddev": 0.3, "seed": 4}, "RandomUniform": {"minval": -0.3, "maxval": 0.1, "seed": 5},
        "VarianceScaling": {"scale": 2.0, "mode": "fan_out", "distribution": "uniform", "seed": 6},
        "GlorotUniform": {"seed": 1, "input_axes": [0], "output_axes": [1, 2]}, "GlorotNormal": {"seed": 1},
        "HeUniform": {"seed": 1}, "HeNormal": {"seed": 1},
        "LecunUniform": {"seed": 1}, "LecunNormal": {"seed": 1}, "Orthogonal": {"gain": 0.5, "seed": 1},
        "Identity": {},
    },
}
# Keras's get_config of these lacks an argument (losses.py, 3.15.1): what is read is its default.
LOST = {"losses/Huber": "delta", "losses/CosineSimilarity": "axis", "metrics/CosineSimilarity": "axis",
        "initializers/Identity": "gain"}
READERS = {
    "losses": LOSSES.parse, "metrics": parse_metric, "optimizers": OPTIMIZERS.parse,
    "optimizers.schedules": SCHEDULES.parse, "regularizers": REGULARIZERS.parse, "initializers": INITIALIZERS.parse,
    "constraints": CONSTRAINTS.parse,
}
FAMILIES = {"losses": LOSSES, "metrics": METRICS, "optimizers": OPTIMIZERS, "optimizers.schedules": SCHEDULES,
            "regularizers": REGULARIZERS, "initializers": INITIALIZERS, "constraints": CONSTRAINTS}
# What takes no argument, or is no class of Keras's.
OURS = {"accuracy", "Perplexity", "BLEU", "WordErrorRate", "CharacterErrorRate", "Huber", "BinaryFocalCrossentropy",
        "CategoricalFocalCrossentropy", "WarmupDecay"}

KERAS = """
import inspect, json, operator, sys
import keras
sys.path.insert(0, sys.argv[1])
from test_serialization import CLASSES

found = {"classes": {}, "names": {}, "functions": {}, "activations": {}}
for family, classes in CLASSES.items():
    module = operator.attrgetter(family)(keras)
    for name, arguments in classes.items():
        found["classes"][f"{family}/{name}"] = module.serialize(getattr(module, name)(**arguments))
for family in ("losses", "metrics", "optimizers", "regularizers", "initializers", "activations", "constraints"):
    source = __import__(f"keras.src.{family}", fromlist=["ALL_OBJECTS_DICT"])
    found["names"][family] = {name: item.__name__ for name, item in source.ALL_OBJECTS_DICT.items()}
for family in ("losses", "metrics", "activations"):
    module = getattr(keras, family)
    known = set(vars(keras.src.losses.losses)) | set(vars(keras.src.metrics.accuracy_metrics)) | \\
        set(keras.src.activations.ALL_OBJECTS_DICT) | set(vars(keras.src.metrics.correlation_metrics))
    found["functions"][family] = {
        name: module.serialize(item) for name, item in vars(module).items()
        if inspect.isfunction(item) and name in known}
for name, layer in {"leaky": keras.layers.LeakyReLU(negative_slope=0.1), "elu": keras.layers.ELU(alpha=0.3),
                    "relu": keras.layers.ReLU(max_value=1.5, negative_slope=0.2, threshold=0.1),
                    "softmax": keras.layers.Softmax()}.items():
    found["activations"][name] = keras.layers.serialize(keras.layers.Dense(2, activation=layer))["config"]["activation"]
schedule = keras.optimizers.schedules.CosineDecay(0.1, 100, warmup_target=0.3, warmup_steps=10)
inner = keras.optimizers.AdamW(schedule, clipnorm=0.5)
found["nested"] = keras.optimizers.serialize(inner)
found["wrapped"] = keras.optimizers.serialize(keras.optimizers.LossScaleOptimizer(inner, initial_scale=1024.0))
found["multi"] = keras.optimizers.serialize(keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(inner)))
found["mean of"] = keras.metrics.serialize(keras.metrics.MeanMetricWrapper(keras.losses.huber, name="h", delta=0.3))
found["mean"] = keras.metrics.serialize(keras.metrics.Mean())


@keras.saving.register_keras_serializable("mine")
def spread(y_true, y_pred):
    return y_pred - y_true


found["own"] = keras.losses.serialize(spread)
json.dump(found, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def serialized(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("serialized") / "keras.json"
    run_source("tensorflow", KERAS, Path(__file__).parent, path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def every() -> list[str]:
    return [f"{family}/{name}" for family, classes in CLASSES.items() for name in classes]


@pytest.mark.frameworks
@pytest.mark.parametrize("key", every())
def test_nothing_is_lost(key: str, serialized: dict[str, Any]) -> None:
    family, _, name = key.rpartition("/")
    arguments = CLASSES[family][name]
    expected = FAMILIES[family].classes[name](**arguments)
    found = READERS[family](serialized["classes"][key])
    if family == "metrics" and "name" not in arguments:
        # A serialized metric names itself, as its log's entry is named without that.
        assert found.reported_name == expected.reported_name == expected.default_name()
        expected = type(expected)(**arguments, name=found.name)
    assert found == expected
    assert type(found) is type(expected)
    assert READERS[family](json.loads(json.dumps(found.to_data()))) == found


@pytest.mark.frameworks
def test_keras_loses_what_is_named_here(serialized: dict[str, Any]) -> None:
    for key, argument in LOST.items():
        assert argument not in serialized["classes"][key]["config"], f"Keras now serializes {argument} of {key}"


def test_every_class_with_arguments_is_tried() -> None:
    for family, table in FAMILIES.items():
        plain = {"name", "dtype", "reduction", "axis", "seed"}
        for name, cls in table.classes.items():
            if name not in OURS and set(cls.model_fields) - plain - set(cls.ignored):
                assert name in CLASSES[family], f"{family}/{name}"


@pytest.mark.frameworks
@pytest.mark.parametrize("family", ["losses", "metrics", "optimizers", "regularizers", "initializers", "constraints"])
def test_every_name_is_read(family: str, serialized: dict[str, Any]) -> None:
    bases = {"Loss", "LossFunctionWrapper", "Metric", "Mean", "Sum", "MeanMetricWrapper", "Optimizer", "Regularizer",
             "Initializer", "Constraint", "RandomInitializer", "MultiOptimizer", "OptimizerMap", "LossScaleOptimizer"}
    for name, meaning in serialized["names"][family].items():
        if meaning in bases:
            continue
        found = FAMILIES[family].find(name).canonical_name()
        assert meaning in (found, snake_case(found)) or (name.lower() in ("accuracy", "acc") and found == "accuracy")


@pytest.mark.frameworks
def test_functions_are_read(serialized: dict[str, Any]) -> None:
    for name, value in serialized["functions"]["losses"].items():
        assert LOSSES.parse(value) == LOSSES.parse(name) == LOSSES.parse(value["config"])
    for name, value in serialized["functions"]["metrics"].items():
        assert parse_metric(value) == parse_metric(name)
        assert parse_metric(value).reported_name == name
    assert {"huber", "log_cosh", "pearson_correlation"} <= set(serialized["functions"]["metrics"])
    for name, value in serialized["functions"]["activations"].items():
        if name not in ("glu", "threshold"):
            assert parse_activation(value) == parse_activation(name)
    assert set(serialized["names"]["activations"]) <= {*serialized["functions"]["activations"], "swish", "hard_swish"}


@pytest.mark.frameworks
def test_layers_as_activations(serialized: dict[str, Any]) -> None:
    found = {name: parse_activation(value) for name, value in serialized["activations"].items()}
    assert found == {
        "leaky": {"LeakyReLU": {"negative_slope": 0.1}}, "elu": {"ELU": {"alpha": 0.3}}, "softmax": "softmax",
        "relu": {"ReLU": {"max_value": 1.5, "negative_slope": 0.2, "threshold": 0.1}}}


@pytest.mark.frameworks
def test_objects_within_objects(serialized: dict[str, Any]) -> None:
    nested = OPTIMIZERS.parse(serialized["nested"])
    schedule = SCHEDULES.classes["CosineDecay"](0.1, 100, warmup_target=0.3, warmup_steps=10)
    assert nested == OPTIMIZERS.classes["AdamW"](schedule, clipnorm=0.5)
    assert OPTIMIZERS.parse(serialized["wrapped"]) == nested
    with pytest.raises(SpecError, match="a learning rate each"):
        OPTIMIZERS.parse(serialized["multi"])
    metric = parse_metric(serialized["mean of"])
    assert metric.to_data() == {"Huber": {"name": "h", "delta": 0.3}}
    with pytest.raises(SpecError, match="metric of given values"):
        parse_metric(serialized["mean"])
    with pytest.raises(SpecError, match="of your own"):
        LOSSES.parse(serialized["own"])


@pytest.mark.frameworks
def test_a_recipe_of_serialized_objects_goes_through_yaml(serialized: dict[str, Any]) -> None:
    import yaml

    of = serialized["classes"]
    recipe = Recipe.parse({
        "loss": {"kind": of["losses/SparseCategoricalCrossentropy"], "size": of["losses/Huber"]},
        "loss_weights": {"size": 0.5}, "optimizer": serialized["nested"],
        "metrics": {"kind": [of["metrics/SparseTopKCategoricalAccuracy"], "accuracy"], "size": of["metrics/R2Score"]},
        "weighted_metrics": {"kind": [serialized["functions"]["metrics"]["sparse_categorical_crossentropy"]]},
    })
    assert Recipe.parse(yaml.safe_load(yaml.safe_dump(recipe.to_data(), sort_keys=False))) == recipe
    assert recipe.to_data()["optimizer"] == {"AdamW": {
        "learning_rate": {"CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 100.0, "warmup_target": 0.3,
                                          "warmup_steps": 10.0}}, "clipnorm": 0.5}}
