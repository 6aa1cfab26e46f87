"""The NumPy metrics against Keras's own (one subprocess with Keras), and early stopping against its callback."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.errors import SpecError
from harness.spec.metrics import METRICS, parse_metric
from harness.spec.recipe import EarlyStopping
from harness.training.early_stopping import BestKeeper, EarlyStopper, direction
from harness.training.metrics import MetricSet
from tests.forked import run_source

SETS = ("sparse", "one_hot", "binary", "multi_label", "regression", "sequence", "masked")

# metric as written, and the data sets for which it has a meaning
CASES: list[tuple[object, tuple[str, ...]]] = [
    ("accuracy", ("sparse", "one_hot", "binary", "sequence", "masked")),
    ("acc", ("sparse",)),
    ("sparse_categorical_accuracy", ("sparse", "sequence", "masked")),
    ("categorical_accuracy", ("one_hot",)),
    ("binary_accuracy", ("binary", "multi_label")),
    ({"BinaryAccuracy": {"threshold": 0.3}}, ("binary",)),
    ({"SparseTopKCategoricalAccuracy": {"k": 2}}, ("sparse", "sequence")),
    ({"TopKCategoricalAccuracy": {"k": 3}}, ("one_hot",)),
    ("precision", ("binary", "multi_label", "one_hot")),
    ("recall", ("binary", "multi_label", "one_hot")),
    ({"Precision": {"class_id": 1}}, ("one_hot", "multi_label")),
    ({"Recall": {"top_k": 2}}, ("one_hot",)),
    ({"Precision": {"top_k": 2, "class_id": 0}}, ("one_hot",)),
    ({"Precision": {"thresholds": 0.2}}, ("one_hot",)),
    ({"F1Score": {"average": "macro"}}, ("one_hot", "multi_label")),
    ({"F1Score": {"average": "micro"}}, ("one_hot",)),
    ({"F1Score": {"average": "weighted", "threshold": 0.4}}, ("multi_label",)),
    ("f1_score", ("one_hot",)),
    ("mse", ("regression", "one_hot", "masked_regression")),
    ("mean_absolute_error", ("regression", "masked_regression")),
    ("root_mean_squared_error", ("regression",)),
    ("r2_score", ("regression",)),
    ({"R2Score": {"class_aggregation": "variance_weighted_average"}}, ("regression",)),
    ("auc", ("binary", "multi_label")),
    ({"AUC": {"curve": "PR"}}, ("binary",)),
    ({"AUC": {"curve": "PR", "summation_method": "minoring", "num_thresholds": 50}}, ("binary",)),
    ({"AUC": {"summation_method": "majoring", "from_logits": True}}, ("regression_sign",)),
    ({"AUC": {"thresholds": [0.7, 0.15, 0.4]}}, ("binary", "multi_label")),
    ({"AUC": {"thresholds": [0.25, 0.5, 0.75], "curve": "PR"}}, ("binary",)),
    ({"AUC": {"multi_label": True}}, ("multi_label", "one_hot")),
    ({"AUC": {"multi_label": True, "num_labels": 4, "curve": "PR", "label_weights": [1.0, 0.5, 0.0, 2.0]}},
     ("multi_label",)),
    ({"AUC": {"label_weights": [1.0, 0.5, 0.0, 2.0], "summation_method": "minoring", "curve": "PR"}}, ("multi_label",)),
    ({"Precision": {"thresholds": [0.2, 0.5]}}, ("binary", "multi_label")),
    ({"Recall": {"thresholds": [0.0, 0.5, 1.0], "class_id": 2}}, ("multi_label",)),
    ({"Precision": {"thresholds": [0.1, 0.3], "top_k": 2}}, ("one_hot",)),
    ({"R2Score": {"num_regressors": 2}}, ("regression",)),
    ({"R2Score": {"class_aggregation": None}}, ("regression",)),
    ({"huber": {"delta": 0.7}}, ("regression", "masked_regression")),
    ({"binary_focal_crossentropy": {"apply_class_balancing": True, "alpha": 0.7, "label_smoothing": 0.1}},
     ("multi_label",)),
    ({"binary_focal_crossentropy": {"from_logits": True, "gamma": 1.5}}, ("regression_sign",)),
    ({"categorical_focal_crossentropy": {"gamma": 3.0, "label_smoothing": 0.2}}, ("one_hot",)),
    ({"categorical_focal_crossentropy": {"from_logits": True, "alpha": 0.4}}, ("one_hot",)),
    ({"FBetaScore": {"beta": 2.0, "average": "macro"}}, ("one_hot",)),
    ({"FBetaScore": {"beta": 0.5, "threshold": 0.3}}, ("multi_label",)),
    ("mape", ("regression", "masked_regression")),
    ("mean_absolute_percentage_error", ("regression_zeros",)),
    ("msle", ("regression", "masked_regression")),
    ({"LogCoshError": {}}, ("regression", "masked_regression")),
    ("cosine_similarity", ("regression", "masked_regression", "regression_zeros")),
    ({"CosineSimilarity": {"axis": 1}}, ("unmasked_regression",)),
    ("pearson_correlation", ("regression", "masked_regression")),
    ({"ConcordanceCorrelation": {"axis": -1}}, ("regression", "masked_regression")),
    ("hinge", ("multi_label", "regression")),
    ("squared_hinge", ("multi_label", "regression")),
    ("categorical_hinge", ("one_hot", "multi_label")),
    ("poisson", ("multi_label",)),
    ("kl_divergence", ("one_hot", "multi_label")),
    ("binary_crossentropy", ("multi_label",)),
    ({"BinaryCrossentropy": {"from_logits": True, "label_smoothing": 0.2}}, ("regression_sign",)),
    ({"CategoricalCrossentropy": {}}, ("one_hot",)),
    ({"CategoricalCrossentropy": {"from_logits": True, "label_smoothing": 0.1}}, ("one_hot",)),
    ({"SparseCategoricalCrossentropy": {}}, ("sparse",)),
    ({"SparseCategoricalCrossentropy": {"from_logits": True}}, ("sparse", "sequence", "masked")),
    ({"SparseCategoricalCrossentropy": {"from_logits": True, "ignore_class": 1}}, ("sparse", "masked")),
    ("true_positives", ("binary", "multi_label")),
    ({"TrueNegatives": {"thresholds": 0.3}}, ("binary",)),
    ({"FalsePositives": {"thresholds": [0.2, 0.5, 0.9]}}, ("multi_label",)),
    ({"FalseNegatives": {"thresholds": [0.0, 0.5, 1.0]}}, ("multi_label",)),
    ({"SensitivityAtSpecificity": {"specificity": 0.42}}, ("binary", "multi_label")),
    ({"SpecificityAtSensitivity": {"sensitivity": 0.6, "num_thresholds": 1}}, ("binary",)),
    ({"PrecisionAtRecall": {"recall": 0.5, "class_id": 1}}, ("one_hot", "multi_label")),
    ({"RecallAtPrecision": {"precision": 0.4, "num_thresholds": 30}}, ("multi_label",)),
    ({"MeanIoU": {"num_classes": 4}}, ("classes",)),
    ({"MeanIoU": {"num_classes": 4, "sparse_y_pred": False, "ignore_class": 2}}, ("sparse",)),
    ({"IoU": {"num_classes": 4, "target_class_ids": [0, 2]}}, ("classes",)),
    ({"BinaryIoU": {"threshold": 0.3, "target_class_ids": [1]}}, ("binary",)),
    ({"OneHotIoU": {"num_classes": 4, "target_class_ids": [1, 3]}}, ("one_hot",)),
    ({"OneHotMeanIoU": {"num_classes": 4}}, ("one_hot",)),
]
# The best of ours that Keras does not have.
OURS = {"Perplexity", "BLEU", "WordErrorRate", "CharacterErrorRate"}
# Keras computes these in float32: in_top_k has no float64 kernel, an IoU casts to it.
LOOSE = ("TopK", "IoU")


def batches(name: str) -> list[dict[str, np.ndarray]]:
    """Three batches of unequal size, with weights; predictions have ties and values at the thresholds."""
    random = np.random.default_rng(sorted(
        (*SETS, "masked_regression", "regression_sign", "regression_zeros", "unmasked_regression", "classes")
    ).index(name))
    made = []
    for size in (16, 16, 5):
        if name in ("sparse", "one_hot", "multi_label"):
            y_pred = random.integers(0, 6, (size, 4)) / 10.0
            labels = random.integers(0, 4, size)
            y_true = {"sparse": labels, "one_hot": np.eye(4)[labels]}.get(name)
            y_true = random.integers(0, 2, (size, 4)) if y_true is None else y_true
        elif name == "classes":
            y_pred, y_true = random.integers(0, 5, size) * 1.0, random.integers(-1, 4, size)
        elif name == "regression_zeros":
            y_pred, y_true = random.normal(size=(size, 3)), random.normal(size=(size, 3))
            y_pred[0], y_true[1], y_true[2, 0] = 0.0, 0.0, 0.0
        elif name == "binary":
            y_pred, y_true = random.integers(0, 11, (size, 1)) / 10.0, random.integers(0, 2, size)
        elif name == "regression":
            y_pred, y_true = random.normal(size=(size, 3)), random.normal(size=(size, 3))
        elif name == "regression_sign":
            y_pred, y_true = random.normal(size=(size, 1)), random.integers(0, 2, (size, 1))
        elif name in ("masked_regression", "unmasked_regression"):
            y_pred, y_true = random.normal(size=(size, 6, 2)), random.normal(size=(size, 6, 2))
        else:
            y_pred, y_true = random.normal(size=(size, 6, 4)), random.integers(0, 4, (size, 6))
        batch = {"y_true": y_true, "y_pred": y_pred, "weight": random.random(size)}
        if name.startswith("masked"):
            # Keras multiplies weights and mask, so under a mask the weights are those of its elements.
            batch["mask"], batch["weight"] = random.random((size, 6)) < 0.6, random.random((size, 6))
        made.append(batch)
    return made


def rows() -> list[tuple[object, str, bool]]:
    return [(metric, name, weighted) for metric, names in CASES for name in names for weighted in (False, True)]


KERAS = """
import json, sys
import numpy as np, keras
keras.config.set_floatx("float64")
from keras.src import backend
from keras.src.trainers.compile_utils import get_metric
sys.path.insert(0, sys.argv[1])
from test_metrics import batches, rows
results = []
for metric, name, weighted in rows():
    keras.utils.clear_session()  # or names would be numbered through: precision_1, precision_2...
    keras.config.set_floatx("float64")
    made = batches(name)
    if isinstance(metric, dict):
        ((cls, arguments),) = metric.items()
        if cls.islower():  # a function, of which compile makes a metric
            arguments, cls = {"fn": getattr(keras.metrics, cls), "name": cls, **arguments}, "MeanMetricWrapper"
        metric = getattr(keras.metrics, cls)(**arguments)
    if "TopK" in type(metric).__name__:
        keras.config.set_floatx("float32")  # in_top_k has no float64 kernel
        metric = type(metric)(k=metric.k)
    state = get_metric(metric, made[0]["y_true"], made[0]["y_pred"])
    for batch in made:
        y_pred = backend.convert_to_tensor(batch["y_pred"].astype(keras.config.floatx()))
        if "mask" in batch:
            backend.set_keras_mask(y_pred, backend.convert_to_tensor(batch["mask"]))
        state.update_state(batch["y_true"], y_pred, batch["weight"] if weighted else None)
    results.append([state.name, np.asarray(state.result()).tolist()])
json.dump(results, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def of_keras(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, object]]:
    path = tmp_path_factory.mktemp("metrics") / "keras.json"
    run_source("tensorflow", KERAS, Path(__file__).parent, path)
    return [(name, value) for name, value in json.loads(path.read_text())]


@pytest.mark.parametrize("index", range(len(rows())), ids=[f"{m}-{n}-{w}" for m, n, w in rows()])
def test_values_and_names_are_those_of_keras(index: int, of_keras: list[tuple[str, object]]) -> None:
    metric, name, weighted = rows()[index]
    metrics = MetricSet([parse_metric(metric)])
    for batch in batches(name):
        y_pred = batch["y_pred"]
        metrics.update(batch["y_true"], y_pred, batch["weight"] if weighted else None, batch.get("mask"))
    expected_name, expected = of_keras[index]
    if isinstance(expected, list):
        expected_by_name = {f"{expected_name}_{i}": value for i, value in enumerate(expected)}
    else:
        expected_by_name = {expected_name: expected}
    tolerance = 1e-6 if any(word in str(metric) for word in LOOSE) else 1e-12
    assert metrics.result() == pytest.approx(expected_by_name, rel=tolerance, abs=tolerance)


def test_every_metric_has_an_implementation() -> None:
    from harness.training import metrics

    assert set(METRICS.classes.values()) - set(metrics.METRICS) == {METRICS.find("accuracy")}
    tested = {type(parse_metric(metric)).canonical_name() for metric, _ in CASES}
    assert set(METRICS.classes) - tested == OURS | {"Accuracy"}


def test_perplexity() -> None:
    random = np.random.default_rng(3)
    logits, labels, mask = random.normal(size=(9, 5, 4)), random.integers(0, 4, (9, 5)), random.random((9, 5)) < 0.6
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    of_label = np.take_along_axis(probabilities, labels[..., None], -1)[..., 0]
    kept = mask & (labels != 2)
    for metric, y_pred in (({"ignore_class": 2}, probabilities), ({"ignore_class": 2, "from_logits": True}, logits)):
        metrics = MetricSet([parse_metric({"Perplexity": metric})])
        for part in (slice(0, 4), slice(4, 9)):
            metrics.update(labels[part], y_pred[part], None, mask[part])
        assert metrics.result()["perplexity"] == pytest.approx(np.exp(-np.log(of_label[kept]).mean()), rel=1e-9)


def ids(*sequences: str) -> np.ndarray:
    """Digits as ids."""
    return np.array([[int(item) for item in sequence] for sequence in sequences])


def test_error_rates() -> None:
    labels = ids("12300", "45000", "12120", "00000")
    found = np.eye(8)[ids("12500", "45600", "21200", "00700")]
    for name in ("wer", "cer", {"WordErrorRate": {"name": "wer"}}):
        metrics = MetricSet([parse_metric(name)])
        for part in (slice(0, 1), slice(1, 4)):
            metrics.update(labels[part], found[part])
        # One substitution, two insertions, one deletion, over nine labels.
        assert list(metrics.result().values()) == [pytest.approx(4 / 9)]
    weighted = MetricSet([parse_metric("wer")])
    weighted.update(labels, found, np.array([2.0, 1.0, 0.0, 0.0]))
    assert weighted.result()["wer"] == pytest.approx((2 + 1) / (6 + 2))
    ended = MetricSet([parse_metric({"CharacterErrorRate": {"end": 3, "ignore_class": None}})])
    ended.update(ids("1234"), np.eye(8)[ids("1237")])
    assert ended.result() == {"cer": 0.0}
    of_ctc = MetricSet([parse_metric({"WordErrorRate": {"decode": "ctc"}})])
    of_ctc.update(ids("1120", "3000"), np.eye(8)[ids("1110122", "0033400")])
    assert of_ctc.result()["wer"] == pytest.approx(1 / 4)
    nothing = MetricSet([parse_metric("wer")])
    nothing.update(ids("000"), np.eye(8)[ids("000")])
    assert nothing.result() == {"wer": 0.0}
    with pytest.raises(SpecError, match=r"labels \[n, length\]"):
        nothing.update(np.zeros(3, int), np.zeros((3, 8)))


def test_bleu() -> None:
    from sacrebleu.metrics import BLEU

    labels, found = ids("1234560", "2345000", "1212340"), ids("1234760", "2345000", "1213400")
    reference = [["1 2 3 4 5 6", "2 3 4 5", "1 2 1 2 3 4"]]
    hypotheses = ["1 2 3 4 7 6", "2 3 4 5", "1 2 1 3 4"]
    expected = BLEU(tokenize="none", force=True).corpus_score(hypotheses, reference).score / 100
    for y_pred in (np.eye(8)[found], found):
        metrics = MetricSet([parse_metric("BLEU"), parse_metric({"BLEU": {"max_ngram_order": 1, "name": "unigrams"}})])
        for part in (slice(0, 2), slice(2, 3)):
            metrics.update(labels[part], y_pred[part])
        results = metrics.result()
        assert results["BLEU"] == pytest.approx(expected)
        assert 0.3 < expected < results["unigrams"] < 1
    same = MetricSet([parse_metric("bleu")])
    same.update(labels, labels)
    assert same.result()["bleu"] == pytest.approx(1.0)
    with pytest.raises(SpecError, match="no sample weights"):
        same.update(labels, labels, np.array([0.5, 1, 1]))


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(SpecError, match="computed by sacrebleu, which is not installed") as caught:
        MetricSet([parse_metric("bleu")]).update(ids("12"), np.eye(8)[ids("12")])
    assert "harness[text]" in str(caught.value)


def test_weighted_metrics_stand_beside_the_others() -> None:
    mse = parse_metric("mse")
    metrics = MetricSet([mse], "head", [mse, parse_metric("mae")])
    metrics.update(np.zeros((2, 1)), np.array([[1.0], [2.0]]), np.array([3.0, 1.0]))
    assert metrics.result() == {"head_mse": 2.5, "head_weighted_mse": 7 / 4, "head_mae": 5 / 4}


def test_classes_that_do_not_exist() -> None:
    with pytest.raises(SpecError, match="classes from 0 to 2"):
        parse_metric({"IoU": {"num_classes": 3, "target_class_ids": [3]}})
    with pytest.raises(SpecError, match="do not fit the predicted classes"):
        MetricSet([parse_metric({"MeanIoU": {"num_classes": 3}})]).update(np.zeros(4, int), np.zeros((4, 3)))


def test_reset_forgets() -> None:
    metrics = MetricSet([parse_metric("accuracy")])
    metrics.update(np.array([0, 1]), np.eye(2))
    assert metrics.result() == {"accuracy": 1.0}
    metrics.reset()
    metrics.update(np.array([1, 1]), np.eye(2))
    assert metrics.result() == {"accuracy": 0.5}


def test_integer_labels_are_read_as_one_hot_where_keras_refuses_them() -> None:
    random = np.random.default_rng(0)
    y_pred, labels = random.random((30, 3)), random.integers(0, 3, 30)
    metrics = [parse_metric(name) for name in ("precision", "recall", {"F1Score": {"average": "macro"}}, "auc")]
    sparse, one_hot = MetricSet(metrics), MetricSet(metrics)
    sparse.update(labels, y_pred)
    one_hot.update(np.eye(3)[labels], y_pred)
    assert sparse.result() == one_hot.result()


def test_names_of_several_outputs_and_of_twins() -> None:
    metrics = MetricSet([parse_metric("mse"), parse_metric("mae"), parse_metric("mse")], output="head")
    metrics.update(np.zeros((2, 1)), np.ones((2, 1)))
    assert list(metrics.result()) == ["head_mse", "head_mae", "head_mse_1"]


def test_labels_that_do_not_fit() -> None:
    with pytest.raises(SpecError, match="do not fit"):
        MetricSet([parse_metric("precision")]).update(np.zeros((4, 2)), np.zeros((4, 3)))


# --- early stopping ------------------------------------------------------------------------------------------

STOPPERS: list[dict[str, object]] = [
    {},
    {"patience": 1},
    {"patience": 3, "restore_best_weights": True},
    {"patience": 2, "min_delta": 0.05},
    {"patience": 2, "baseline": 0.5, "restore_best_weights": True},
    {"patience": 1, "start_from_epoch": 4, "restore_best_weights": True},
    {"patience": 2, "mode": "max"},
    {"patience": 2, "monitor": "val_accuracy", "min_delta": -0.02, "restore_best_weights": True},
]


def traces() -> list[list[float]]:
    random = np.random.default_rng(5)
    made = [np.round(random.random(14), 2).tolist() for _ in range(12)]
    made.append([0.9, 0.8, math.nan, 0.7, 0.7, 0.7, 0.7])
    made.append([math.nan] * 6)
    made.append([0.5, 0.4, 0.4, 0.4, 0.39, 0.45, 0.38, 0.5, 0.5, 0.5, 0.5])
    return made


CALLBACK = """
import json, sys
import keras
sys.path.insert(0, sys.argv[1])
from test_metrics import STOPPERS, traces

class Model:
    def __init__(self):
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        metrics = keras.src.trainers.compile_utils.MetricsList([accuracy])
        self.metrics, self.stop_training, self.epoch, self.restored = [metrics], False, None, None
    def get_weights(self):
        return self.epoch
    def set_weights(self, weights):
        self.restored = weights

results = []
for arguments in STOPPERS:
    for trace in traces():
        callback, model = keras.callbacks.EarlyStopping(**arguments), Model()
        callback.set_model(model)
        callback.on_train_begin()
        for epoch, value in enumerate(trace):
            model.epoch = epoch
            callback.on_epoch_end(epoch, {callback.monitor: value})
            if model.stop_training:
                break
        callback.on_train_end()
        results.append([epoch, model.stop_training, model.restored])
json.dump(results, open(sys.argv[2], "w"))
"""


def test_early_stopping_is_that_of_keras(tmp_path: Path) -> None:
    path = tmp_path / "callback.json"
    run_source("tensorflow", CALLBACK, Path(__file__).parent, path)
    expected = json.loads(path.read_text())
    found = []
    for arguments in STOPPERS:
        for trace in traces():
            spec = EarlyStopping(**arguments)
            stopper = EarlyStopper(spec, direction(spec.monitor, spec.mode, {"accuracy": parse_metric("accuracy")}))
            kept = None
            for epoch, value in enumerate(trace):
                decision = stopper.epoch_end(epoch, {spec.monitor: value})
                kept = epoch if decision.keep else kept
                if decision.stop:
                    break
            assert kept == stopper.best_epoch
            found.append([epoch, decision.stop, kept if stopper.restores_best_weights else None])
    assert found == expected


def test_what_cannot_be_monitored() -> None:
    with pytest.raises(SpecError, match="small or large"):
        direction("val_something", "auto", {})
    assert direction("val_loss", "auto", {}) == "min"
    assert direction("val_something", "max", {}) == "max"
    with pytest.raises(SpecError, match="Did you mean 'val_loss'"):
        EarlyStopper(EarlyStopping(monitor="val_los"), "min").epoch_end(0, {"loss": 1.0, "val_loss": 1.0})


def test_best_keeper_takes_the_first_of_equals_and_no_nan() -> None:
    keeper = BestKeeper("val_accuracy", "max")
    taken = [keeper.epoch_end(epoch, {"val_accuracy": value}) for epoch, value in enumerate([math.nan, 0.5, 0.5, 0.6])]
    assert taken == [False, True, False, True]
    assert keeper.best_epoch == 3
