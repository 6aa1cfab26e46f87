"""A record comes back as it was written, and a damaged one is never taken for whole."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from harness.errors import HarnessError, SpecError
from harness.records import strict_json
from harness.records.record import CorruptRecordError, Record, read_record, write_record
from harness.records.store import Store
from tests.report.synthetic import BATCH_SIZE, STEPS_PER_EPOCH, add, fail, payload, series


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_round_trip(store):
    data = payload(seed=2)
    record = read_record(store.folder(add(store, data)))
    assert (record.id, record.status, record.reason, record.seed) == (data["id"], "done", None, 2)
    assert record.cell == data["cell"]
    assert record.environment == data["environment"]
    np.testing.assert_array_equal(record.losses, series(data)["loss"])
    assert record.losses.dtype == np.float64
    assert list(record.series.columns) == list(series(data))
    assert list(record.series["phase"][[0, 15]]) == ["pretrain", "finetune"]
    np.testing.assert_array_equal(record.weights["dense/kernel"], np.full((2, 3), 2.0))


def test_metrics_and_history_have_keras_names(store):
    record = read_record(store.folder(add(store, payload(accuracy=0.9))))
    assert set(record.metrics) == {
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "test_loss",
        "test_accuracy",
    }
    assert record.metrics["test_accuracy"] == 0.9
    assert record.metrics["val_accuracy"] == pytest.approx(0.89)
    assert len(record.history["loss"]) == 4
    assert "seconds" not in record.history
    assert "epoch" not in record.history


def test_metrics_are_of_the_weights_that_were_kept():
    data = payload()
    data["phases"][-1] |= {"best_epoch": 1, "restored_best": True}
    first = data["phases"][-1]["epochs"][0]
    assert Record(data).metrics["loss"] == first["loss"]
    data["phases"][-1]["restored_best"] = False
    assert Record(data).metrics["loss"] != first["loss"]


def test_samples_per_second_leaves_warm_up_out(store):
    data = payload(speed=800.0)
    record = read_record(store.folder(add(store, data)))
    # The warm-up windows are nine times slower; counted in, this would be 160.
    assert record.samples_per_second == pytest.approx(800.0)
    assert record.train_seconds == pytest.approx(2 * 10 * STEPS_PER_EPOCH * BATCH_SIZE / 800.0)


def test_a_partial_last_batch_is_counted_by_its_own_size(store):
    data = payload(phases=("pretrain",))
    columns = series(data)
    columns["batch_size"][-1] = 1
    write_record(store.folder(data["id"]), data, columns, {})
    record = read_record(store.folder(data["id"]))
    seconds = data["phases"][0]["windows"][1]["seconds"]
    assert record.samples_per_second == pytest.approx((3 * BATCH_SIZE + 1) / seconds)


def test_only_warm_up_is_no_throughput():
    data = payload()
    for phase in data["phases"]:
        for window in phase["windows"]:
            window["warmup"] = True
    assert Record(data, memory_series=series(data)).samples_per_second is None


def test_what_is_not_finite_survives_strict_json(store):
    data = payload()
    data["phases"][1]["epochs"][1]["loss"] = math.nan
    data["phases"][1]["epochs"][1]["val_loss"] = -math.inf
    data["phases"][1]["name"] = "NaN"
    folder = store.folder(add(store, data))
    text = (folder / "run.json").read_text()
    assert json.loads(text, parse_constant=lambda constant: pytest.fail(constant))
    metrics = read_record(folder).metrics
    assert math.isnan(metrics["loss"])
    assert metrics["val_loss"] == -math.inf
    assert read_record(folder).phases[1]["name"] == "NaN"


def test_numpy_values_are_written_as_numbers():
    assert strict_json.loads(strict_json.dumps({"a": np.float32(0.5), "b": np.arange(2), "c": np.int64(3)})) == {
        "a": 0.5,
        "b": [0, 1],
        "c": 3,
    }


def test_a_failed_run_has_no_steps_and_keeps_its_reason(store):
    record = read_record(store.folder(add(store, fail(payload(), "out_of_memory", "8 GiB"))))
    assert record.status == "failed"
    assert record.reason == {"kind": "out_of_memory", "message": "8 GiB"}
    assert record.losses.shape == (0,)
    assert record.weights == {}
    assert record.metrics == {}
    assert record.samples_per_second is None


def test_a_phase_name_cannot_leave_the_folder(store, tmp_path):
    data = payload(phases=("../../escape", "x" * 300))
    folder = store.folder(add(store, data))
    assert {path.parent for path in folder.iterdir()} == {folder}
    assert not list(tmp_path.glob("escape*"))
    assert read_record(folder).checkpoint("../../escape").keys() == {"dense/kernel", "dense/bias"}
    assert read_record(folder).checkpoint("x" * 300).keys() == {"dense/kernel", "dense/bias"}


def test_a_record_in_memory_needs_no_folder():
    data = payload()
    record = Record(
        data,
        model="live",
        memory_series=series(data),
        memory_checkpoints={"finetune": {"d/kernel": np.ones(2), "optimizer/iterations": np.array(3)}},
    )
    assert record.model == "live"
    assert list(record.weights) == ["d/kernel"]
    assert len(record.losses) == 16


@pytest.mark.parametrize("damage", ["truncate", "remove", "not json", "bare nan", "no cell", "bad status"])
def test_damage_is_noticed(store, damage):
    folder = store.folder(add(store, payload()))
    run = folder / "run.json"
    data = json.loads(run.read_text())
    if damage == "truncate":
        file = folder / "series.parquet"
        file.write_bytes(file.read_bytes()[:-9])
    elif damage == "remove":
        (folder / "pretrain.safetensors").unlink()
    elif damage == "not json":
        run.write_text(run.read_text()[:200])
    elif damage == "bare nan":
        run.write_text(run.read_text().replace('"schema": 1', '"schema": 1, "x": NaN'))
    elif damage == "no cell":
        run.write_text(json.dumps({key: value for key, value in data.items() if key != "cell"}))
    else:
        run.write_text(json.dumps({**data, "status": "perhaps"}))
    with pytest.raises(CorruptRecordError):
        read_record(folder)
    assert not store.has(folder.name)
    assert store.records() == []
    assert len(store.notes) == 1
    assert folder.name in store.notes[0]


def test_a_newer_schema_is_refused_clearly(store):
    folder = store.folder(add(store, payload()))
    run = folder / "run.json"
    run.write_text(run.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(SpecError, match=r"schema 2.*up to 1.*Update"):
        store.get(folder.name)


@pytest.mark.parametrize("broken", [{"id": 3}, {"status": "maybe"}, {"cell": None}, {"phases": None}])
def test_an_incomplete_payload_is_not_written(store, broken):
    with pytest.raises(HarnessError):
        write_record(store.folder("abc"), {**payload(), **broken}, {}, {})
    assert not store.cells_path.exists()


def test_columns_of_unequal_length_are_not_written(store):
    with pytest.raises(HarnessError, match="one length"):
        write_record(store.folder("abc"), payload(), {"loss": np.zeros(2), "step": np.zeros(3)}, {})


def test_windows_count_the_steps_of_their_phase():
    data = payload(speed=800.0)
    columns = series(data)
    columns["batch_size"][8:] = 2 * BATCH_SIZE
    record = Record(data, memory_series=columns)
    assert record.throughput(data["phases"][:1]) == pytest.approx(800.0)
    assert record.throughput(data["phases"][1:]) == pytest.approx(1600.0)
