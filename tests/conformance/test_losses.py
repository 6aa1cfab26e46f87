"""Every loss: value and gradient of the PyTorch backend against the TensorFlow backend's stock Keras losses, in
float64, with sample weights, masks, label smoothing, ignored classes, and Keras's way back to the logits.

One subprocess per framework runs all cases; they exchange arrays as .npz.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.spec.losses import LOSSES, Loss
from tests.forked import run_source

# name -> (loss, kind of data, activation of the output, sample weights, mask)
CASES: dict[str, tuple[Any, str, str | None, str | None, bool]] = {}


def case(name: str, loss: Any, data: str, activation: str | None = None, weight: str | None = None,
         mask: bool = False) -> None:
    CASES[name] = (loss, data, activation, weight, mask)


SPARSE, ONE_HOT, BINARY = "SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy"
LOGITS = {"from_logits": True}
case("sparse_logits", {SPARSE: LOGITS}, "classes")
case("sparse_recovered", SPARSE, "classes", "softmax")
case("sparse_recovered_far", SPARSE, "far_classes", "softmax")
case("sparse_probabilities", SPARSE, "class_probabilities")
case("sparse_column_of_labels", {SPARSE: LOGITS}, "classes_column")
case("sparse_weights", {SPARSE: LOGITS}, "classes", None, "example")
case("sparse_weights_column", SPARSE, "classes", "softmax", "column")
case("sparse_sequence", {SPARSE: LOGITS}, "sequence_classes")
case("sparse_sequence_weights", SPARSE, "sequence_classes", "softmax", "element")
case("sparse_sequence_mask", SPARSE, "sequence_classes", "softmax", None, True)
case("sparse_sequence_mask_weights", {SPARSE: LOGITS}, "sequence_classes", None, "element", True)
case("sparse_ignore", {SPARSE: {"ignore_class": 0, "from_logits": True}}, "classes", None, "example")
case("sparse_ignore_minus_one", {SPARSE: {"ignore_class": -1, "from_logits": True}}, "ignored_classes")
case("sparse_ignore_all", {SPARSE: {"ignore_class": -1, "from_logits": True}}, "all_ignored_classes")
case("sparse_ignore_mask", {SPARSE: {"ignore_class": 0, "from_logits": True}}, "sequence_classes", None, None, True)
case("sparse_ignore_softmax", {SPARSE: {"ignore_class": 1}}, "far_classes", "softmax")
case("one_hot_logits", {ONE_HOT: LOGITS}, "one_hot")
case("one_hot_recovered", ONE_HOT, "one_hot", "softmax", "example")
case("one_hot_probabilities", ONE_HOT, "one_hot_probabilities")
case("one_hot_smoothed", {ONE_HOT: {"from_logits": True, "label_smoothing": 0.1}}, "one_hot")
case("one_hot_smoothed_recovered", {ONE_HOT: {"label_smoothing": 0.2}}, "one_hot", "softmax")
case("one_hot_smoothed_probabilities", {ONE_HOT: {"label_smoothing": 0.2}}, "one_hot_probabilities", None, "example")
case("one_hot_axis", {ONE_HOT: {"axis": 1, "from_logits": True}}, "sequence_one_hot_axis_1")
case("one_hot_axis_probabilities", {ONE_HOT: {"axis": 1}}, "sequence_one_hot_axis_1_probabilities")
case("one_hot_sequence_mask", {ONE_HOT: LOGITS}, "sequence_one_hot", None, None, True)
case("soft_labels", ONE_HOT, "soft_labels", "softmax")
case("binary_logits", {BINARY: LOGITS}, "binary")
case("binary_recovered", BINARY, "binary", "sigmoid")
case("binary_recovered_far", BINARY, "far_binary", "sigmoid")
case("binary_flat_labels", BINARY, "binary_flat", "sigmoid", "example")
case("binary_probabilities", BINARY, "binary_probabilities")
case("binary_smoothed", {BINARY: {"label_smoothing": 0.1}}, "multi_label", "sigmoid")
case("binary_smoothed_probabilities", {BINARY: {"label_smoothing": 0.1}}, "binary_probabilities", None, "example")
case("binary_multi_label", {BINARY: LOGITS}, "multi_label", None, "example")
case("binary_sequence_squeezed", BINARY, "sequence_binary", "sigmoid")
case("binary_sequence_mask", BINARY, "sequence_multi_label", "sigmoid", None, True)
FOCAL, CLASS_FOCAL = "BinaryFocalCrossentropy", "CategoricalFocalCrossentropy"
GENERALIZED = "CategoricalGeneralizedCrossEntropy"
case("one_hot_not_summing_to_1", {ONE_HOT: LOGITS}, "multi_label", None, "example")
case("one_hot_recovered_not_summing_to_1", ONE_HOT, "multi_label", "softmax")
case("focal_logits", {FOCAL: LOGITS}, "binary", None, "example")
case("focal_recovered", FOCAL, "binary", "sigmoid")
case("focal_recovered_far", {FOCAL: {"gamma": 1.5}}, "far_binary", "sigmoid")
case("focal_softmax", FOCAL, "one_hot", "softmax")
case("focal_flat_labels", {FOCAL: {"apply_class_balancing": True}}, "binary_flat", "sigmoid", "example")
case("focal_balanced", {FOCAL: {"apply_class_balancing": True, "alpha": 0.7, "gamma": 3.0, "label_smoothing": 0.1}},
     "multi_label", "sigmoid")
case("focal_probabilities", FOCAL, "binary_probabilities")
case("focal_sequence_squeezed", FOCAL, "sequence_binary", "sigmoid")
case("focal_sequence_mask", FOCAL, "sequence_multi_label", "sigmoid", None, True)
case("focal_axis", {FOCAL: {"axis": 1, "from_logits": True}}, "sequence_multi_label")
case("class_focal_logits", {CLASS_FOCAL: LOGITS}, "one_hot", None, "example")
case("class_focal_softmax", CLASS_FOCAL, "far_one_hot", "softmax")
case("class_focal_probabilities", {CLASS_FOCAL: {"alpha": 0.6, "gamma": 1.5, "label_smoothing": 0.1}},
     "one_hot_probabilities")
case("class_focal_axis", {CLASS_FOCAL: {"axis": 1, "from_logits": True}}, "sequence_one_hot_axis_1")
case("generalized", GENERALIZED, "classes", "softmax", "example")
case("generalized_q", {GENERALIZED: {"q": 0.8}}, "class_probabilities")
case("generalized_sequence", GENERALIZED, "sequence_classes", "softmax", "element", True)
case("mape", "mape", "regression", None, "example")
case("mape_zeros", "mape", "regression_with_zeros")
case("msle", "msle", "regression", None, "example")
case("msle_sequence", "msle", "sequence_regression", None, "element", True)
case("log_cosh", "log_cosh", "regression", None, "example")
case("log_cosh_far", "log_cosh", "far_regression")
case("cosine", "cosine_similarity", "regression", None, "example")
case("cosine_zeros", "cosine_similarity", "regression_with_zeros")
case("cosine_axis", {"CosineSimilarity": {"axis": 1}}, "sequence_regression")
case("poisson", "poisson", "class_probabilities_one_hot", None, "example")
case("hinge", "hinge", "multi_label", None, "example")
case("hinge_signs", "hinge", "signs")
case("hinge_numbers", "hinge", "regression")
case("hinge_flat", "hinge", "binary_flat")
case("hinge_edge", "hinge", "edge_signs")
case("squared_hinge", "squared_hinge", "multi_label", None, "example")
case("squared_hinge_signs", "squared_hinge", "signs")
case("categorical_hinge", "categorical_hinge", "one_hot", None, "example")
case("categorical_hinge_sequence", "categorical_hinge", "sequence_one_hot", None, "element", True)
case("dice", "dice", "one_hot", "softmax")
case("dice_weights", "dice", "one_hot", "softmax", "example")
case("dice_axis", {"Dice": {"axis": [1, 2]}}, "sequence_one_hot", "softmax", "example")
case("dice_last_axis", {"Dice": {"axis": -1}}, "sequence_one_hot", "softmax", "element", True)
case("dice_mask", "dice", "sequence_one_hot", "softmax", None, True)
case("tversky", "tversky", "one_hot", "softmax")
case("tversky_axis", {"Tversky": {"alpha": 0.3, "beta": 0.9, "axis": [1, 2]}}, "sequence_one_hot", "softmax", "example")
for reduction in ("sum", "mean_with_sample_weight", "mean"):
    case(f"{reduction}", {"mse": {"reduction": reduction}}, "regression")
    case(f"{reduction}_weights", {"mae": {"reduction": reduction}}, "regression", None, "example")
    case(f"{reduction}_mask", {SPARSE: {"reduction": reduction, **LOGITS}}, "sequence_classes", None, None, True)
    case(f"{reduction}_mask_weights", {"mse": {"reduction": reduction}}, "sequence_regression", None, "element", True)
    case(f"{reduction}_plain", {SPARSE: {"reduction": reduction, **LOGITS}}, "classes")
    case(f"{reduction}_ignore", {SPARSE: {"reduction": reduction, "ignore_class": 0, **LOGITS}}, "classes")
    case(f"{reduction}_dice", {"Dice": {"reduction": reduction}}, "one_hot", "softmax", "example")
    case(f"{reduction}_all_masked", {"mse": {"reduction": reduction}}, "all_masked_regression", None, None, True)
case("ctc", "CTC", "sequence_labels")
case("ctc_weights", "ctc", "sequence_labels", None, "example")
case("ctc_far", "CTC", "far_sequence_labels")
case("ctc_one_step", "CTC", "single_step_labels")
for reduction in ("sum", "mean", "mean_with_sample_weight"):
    case(f"ctc_{reduction}", {"CTC": {"reduction": reduction}}, "sequence_labels", None, "example")
case("circle", "Circle", "unit_vectors")
case("circle_column", "circle", "unit_vectors_column", None, "example")
case("circle_soft", {"Circle": {"gamma": 5.0, "margin": 0.1}}, "unit_vectors", None, "example")
case("circle_with_itself", {"Circle": {"gamma": 8.0, "remove_diagonal": False}}, "unit_vectors")
case("circle_one_class", {"Circle": {"gamma": 8.0}}, "unit_vectors_one_class")
case("circle_not_unit", {"Circle": {"gamma": 2.0, "margin": 0.25}}, "vectors_of_identities")
for reduction in ("sum", "mean", "mean_with_sample_weight"):
    case(f"circle_{reduction}", {"Circle": {"gamma": 10.0, "reduction": reduction}}, "unit_vectors", None, "example")
case("mse", "mse", "regression", None, "example")
case("mse_flat_labels", "mse", "regression_flat")
case("mse_sequence", "mse", "sequence_regression", None, "element")
case("mse_sequence_mask", "mse", "sequence_regression", None, "element", True)
case("mse_sequence_all_masked", "mse", "all_masked_regression", None, None, True)
case("mae", "mae", "regression")
case("mae_weights", "mae", "regression", None, "negative")
case("huber", "Huber", "regression")
case("huber_delta", {"Huber": {"delta": 0.3}}, "regression", None, "example")
case("kld", "kld", "distributions")
case("kld_zeros", "kld", "distributions_with_zeros", None, "example")
# Every loss with every reduction, weighted, and under a mask where Keras combines the two.
NATURAL = {
    SPARSE: "sequence_classes", ONE_HOT: "sequence_one_hot", BINARY: "sequence_multi_label",
    FOCAL: "sequence_multi_label", CLASS_FOCAL: "sequence_one_hot", GENERALIZED: "sequence_classes",
    "MeanSquaredError": "sequence_regression", "MeanAbsoluteError": "sequence_regression",
    "MeanAbsolutePercentageError": "sequence_regression", "MeanSquaredLogarithmicError": "sequence_regression",
    "Huber": "sequence_regression", "LogCosh": "sequence_regression", "CosineSimilarity": "sequence_regression",
    "KLDivergence": "sequence_distributions", "Poisson": "sequence_probabilities_one_hot",
    "Hinge": "sequence_multi_label", "SquaredHinge": "sequence_multi_label", "CategoricalHinge": "sequence_one_hot",
    "Dice": "sequence_one_hot", "Tversky": "sequence_one_hot", "CTC": "sequence_labels", "Circle": "unit_vectors",
}
for name, kind in NATURAL.items():
    whole_batch = {"axis": -1} if name in ("Dice", "Tversky") else {"gamma": 8.0} if name == "Circle" else {}
    flat = name in ("CTC", "Circle")
    activation = None if flat or "regression" in kind or "distributions" in kind else "softmax"
    for reduction in ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"):
        case(f"{name}_{reduction}", {name: {"reduction": reduction, **whole_batch}}, kind, activation,
             "example" if flat else "element", not flat)

N, T, C = 7, 5, 4


def data_of(name: str) -> dict[str, np.ndarray]:
    """Labels, predictions (before the activation, if there is one), and as asked weights and mask."""
    _, kind, _, weight, mask = CASES[name]
    random = np.random.default_rng(sorted(CASES).index(name))
    shape = (N, T) if kind.startswith(("sequence", "all_masked")) else (N,)
    labels = random.integers(0, C, shape)
    y_pred = random.normal(size=(*shape, C)) * (80.0 if kind.startswith("far") else 2.0)
    y_true: np.ndarray = labels
    if "one_hot" in kind:
        y_true = np.eye(C)[labels]
    elif kind == "classes_column":
        y_true = labels[:, None]
    elif kind == "soft_labels":
        y_true = random.dirichlet(np.ones(C), N)
    elif "distributions" in kind:
        y_true, y_pred = random.dirichlet(np.ones(C), shape), random.dirichlet(np.ones(C), shape)
        if kind.endswith("zeros"):
            y_true[0], y_pred[1, 0] = np.eye(C)[1], 0.0
    elif kind in ("ignored_classes", "all_ignored_classes"):
        y_true = np.where(random.random(N) < (0.4 if kind == "ignored_classes" else 2.0), -1, labels)
    elif kind in ("binary", "far_binary", "binary_probabilities", "binary_flat", "sequence_binary"):
        y_true, y_pred = labels % 2, y_pred[..., :1]
        y_true = y_true if kind in ("binary_flat", "sequence_binary") else y_true[..., None]
    elif "multi_label" in kind:
        y_true = random.integers(0, 2, y_pred.shape)
    elif "regression" in kind:
        y_true = random.normal(size=y_pred.shape)
        if kind == "regression_flat":
            y_true, y_pred = y_true[:, 0], y_pred[:, :1]
        if kind.endswith("zeros"):
            y_true[0], y_true[1, 0], y_pred[2] = 0.0, 0.0, 0.0
    elif kind.endswith("signs"):
        y_true = random.choice([-1, 1], y_pred.shape)
        if kind == "edge_signs":
            y_pred = np.where(random.random(y_pred.shape) < 0.5, 1.0 * y_true, y_pred)
    if kind.endswith("labels") and "sequence" in kind:
        # Of every length up to 3, equal neighbours among them; what CTC needs of steps is never more than T.
        y_pred = random.normal(size=(N, 8, C)) * (30.0 if kind.startswith("far") else 2.0)
        y_true = random.integers(1, C, (N, 4)) * (np.arange(4) < random.integers(0, 5, (N, 1)))
    elif kind == "single_step_labels":
        y_pred, y_true = random.normal(size=(N, 1, C)), random.integers(0, C, (N, 1))
    elif "vectors" in kind:
        y_true = random.integers(0, 1 if kind.endswith("one_class") else 3, (N, 1) if kind.endswith("column") else N)
        y_pred = y_pred / np.linalg.norm(y_pred, axis=-1, keepdims=True) if kind.startswith("unit") else y_pred
    if "probabilities" in kind:
        y_pred = random.random(y_pred.shape)
        # Beyond the clip on both sides, where Keras's gradient is 0.
        y_pred[0, 0], y_pred[1, 0] = 1e-9, 1.0 - 1e-9  # [0, 0] of a sequence: a whole step
    if "axis_1" in kind:
        y_true, y_pred = np.moveaxis(y_true, -1, 1), np.moveaxis(y_pred, -1, 1)
    data = {"y_true": y_true, "y_pred": y_pred}
    if weight:
        size = {"example": (N,), "negative": (N,), "column": (N, 1), "element": shape}[weight]
        data["weight"] = random.random(size) * 3 - (1 if weight == "negative" else 0)
    if mask:
        data["mask"] = np.zeros(shape, bool) if kind.startswith("all_masked") else random.random(shape) < 0.6
    return data


def loss_of(name: str) -> Loss:
    return LOSSES.parse(CASES[name][0])


TENSORFLOW = """
import sys, warnings
import numpy as np, keras, tensorflow as tf
sys.path.insert(0, sys.argv[1])
from test_losses import *
from harness.backends.tensorflow.losses import loss_function

keras.config.set_floatx("float64")
results = {}
for name, (_, _, activation, _, _) in CASES.items():
    data, function = data_of(name), loss_function(loss_of(name), "float64")

    def both():
        x = tf.constant(data["y_pred"])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y_pred = keras.layers.Activation(activation)(x) if activation else tf.identity(x)
            if "mask" in data:
                keras.src.backend.set_keras_mask(y_pred, tf.constant(data["mask"]))
            value = function(tf.constant(data["y_true"]), y_pred, data.get("weight"))
        return value, tape.gradient(value, x)

    results[f"{name}|value"], results[f"{name}|gradient"] = (item.numpy() for item in tf.function(both)())
    eager = [item.numpy() for item in both()]
    assert np.allclose(eager[0], results[f"{name}|value"], rtol=1e-12, atol=1e-12), name

# Keras's own CTC computes in float32 (backend/tensorflow/nn.py), and so cannot be met more closely.
for name in [name for name in CASES if name.startswith("ctc")]:
    data = data_of(name)
    x = tf.constant(data["y_pred"])
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = keras.losses.CTC(loss_of(name).reduction)(data["y_true"], x, data.get("weight"))
    results[f"stock {name}|value"], results[f"stock {name}|gradient"] = value.numpy(), tape.gradient(value, x).numpy()

# What a loss makes of the output of the other activation: by the attribute, Keras goes back to those logits too.
for activation, notation, y_true in (("softmax", BINARY, np.eye(4)[:3]), ("sigmoid", ONE_HOT, np.eye(4)[:3])):
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(4, activation, kernel_initializer="identity")(x))
    function = loss_function(LOSSES.parse(notation), "float64")
    logits = np.random.default_rng(0).normal(size=(3, 4)) * 30
    results[f"other|{activation}"] = tf.function(lambda z: function(y_true, model(z, training=True)))(logits).numpy()
np.savez(sys.argv[2], **results)
"""

PYTORCH = """
import sys
import numpy as np, torch
sys.path.insert(0, sys.argv[1])
from test_losses import *
from harness.backends.pytorch.losses import loss_function

results = {}
for name, (_, _, activation, _, _) in CASES.items():
    data, loss = data_of(name), loss_of(name)
    x = torch.tensor(data["y_pred"], requires_grad=True)
    logits = activation if loss.recovers_logits else None
    y_pred = x
    if activation and not logits:
        y_pred = x.softmax(-1) if activation == "softmax" else x.sigmoid()
    weight, mask = (torch.tensor(data[key]) if key in data else None for key in ("weight", "mask"))
    value = loss_function(loss)(torch.tensor(data["y_true"]), y_pred, weight, mask, logits=logits)
    value.backward()
    results[f"{name}|value"], results[f"{name}|gradient"] = value.detach().numpy(), x.grad.numpy()
for activation, notation, y_true in (("softmax", BINARY, np.eye(4)[:3]), ("sigmoid", ONE_HOT, np.eye(4)[:3])):
    z = torch.tensor(np.random.default_rng(0).normal(size=(3, 4)) * 30)
    function = loss_function(LOSSES.parse(notation))
    results[f"other|{activation}"] = function(torch.tensor(y_true), z, logits=activation).numpy()
np.savez(sys.argv[2], **results)
"""


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    folder, here = tmp_path_factory.mktemp("losses"), str(Path(__file__).parent)
    found = []
    for framework, program in (("tensorflow", TENSORFLOW), ("pytorch", PYTORCH)):
        path = folder / f"{framework}.npz"
        run_source(framework, program, here, path)
        found.append(dict(np.load(path)))
    return found[0], found[1]


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name: str, computed: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]) -> None:
    of_tensorflow, of_pytorch = computed
    for part in ("value", "gradient"):
        expected, found = of_tensorflow[f"{name}|{part}"], of_pytorch[f"{name}|{part}"]
        assert found.dtype == expected.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14, err_msg=part)
    assert np.isfinite(of_pytorch[f"{name}|value"])


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("ctc")])
def test_ctc_is_keras_s_but_for_float32(
    name: str, computed: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
) -> None:
    for part in ("value", "gradient"):
        expected, found = computed[0][f"stock {name}|{part}"], computed[1][f"{name}|{part}"]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=part)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_keras_takes_the_logits_of_whichever_activation(
    activation: str, computed: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
) -> None:
    of_tensorflow, of_pytorch = computed
    np.testing.assert_allclose(of_pytorch[f"other|{activation}"], of_tensorflow[f"other|{activation}"], rtol=1e-10)


def test_far_logits_were_recovered(computed: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]) -> None:
    """Without the way back to the logits Keras's clip would cap a loss at 16.118."""
    assert computed[0]["sparse_recovered_far|value"] > 16.2
    assert computed[0]["sparse_ignore_softmax|value"] < 16.2


def test_every_loss_has_a_case() -> None:
    assert {loss_of(name).canonical_name() for name in CASES} == set(LOSSES.classes) == set(NATURAL)
