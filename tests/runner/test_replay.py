"""A bundle made here replays: to the bit, within the band, or not at all; and whatever was changed is refused.

The cells are made up (tests/runner/replay_jobs.py); plans, tapes, data, records and the driver are real.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from harness.backends.contract import State
from harness.cli.bundle import replay_text
from harness.cli.main import main
from harness.errors import DataError, SpecError
from harness.exchange.bundle import digest_of, read_bundle
from harness.models import load_model
from harness.records.blocks import Block
from harness.records.certificates import certificate_key, write_certificate
from harness.records.checkpoint import load_checkpoint, save_checkpoint
from harness.records.record import Record
from harness.records.store import Store
from harness.report.results import Results
from harness.runner.cell_runner import Settings
from harness.runner.check import check
from harness.runner.driver import run, write_experiment
from harness.runner.pretrained import first_weights
from harness.runner.replay import Replay, entries_of, replay
from harness.runner.replay_figures import digest_of_weights, plans_of
from harness.runner.replay_judging import Expected, Margins, judge_blocks_again, judge_run
from harness.runner.replay_making import make_bundle
from harness.spec.experiment import Experiment, read_experiment
from tests.certify.made_up import certificate
from tests.report.synthetic import block, payload
from tests.runner.replay_jobs import planned_cell

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = {
    "name": "heart", "model": "mlp_64_64", "data": {"npz": "data.npz", "split": {"validation": 0.2, "seed": 1}},
    "backend": ["pytorch"], "seed": [0, 1], "certify": False, "timing": False,
    "recipe": {"loss": "sparse_categorical_crossentropy", "batch_size": 16,
               "phases": [{"name": "pretrain", "epochs": 2}, {"name": "tune", "epochs": 1, "freeze": ["hidden_1"]}]},
}


def made_up(folder: Path) -> Settings:
    return Settings(function="tests.runner.replay_jobs:planned_cell", backend_of=lambda cell: "none",
                    lock=folder / "lock")


@dataclass
class Place:
    """Where the runs were made, and what can be asked of them."""

    folder: Path
    results: Path

    def bundle(self, *filters: str, name: str = "c.zip", **options: bool) -> Path:
        make_bundle(self.results, self.folder / name, filters, **options)
        return self.folder / name

    def replay(self, path: Path, **drift: str) -> Replay:
        os.environ.update(drift)
        try:
            return replay(path, settings=made_up(self.folder))
        finally:
            for name in drift:
                del os.environ[name]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    folder = tmp_path_factory.mktemp("replay")
    chance = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=chance.normal(size=(100, 8)).astype("float32"), y=np.arange(100) % 10)
    (folder / "heart.yaml").write_text(json.dumps(EXPERIMENT))
    experiment = read_experiment(folder / "heart.yaml")
    store = Store(folder / "results")
    for cell in check(experiment):
        planned_cell({"cell": cell.to_data(), "folder": str(store.folder(cell.id))}, None)
    write_experiment(experiment, store.path)
    assert [record.status for record in store.records()] == ["done"] * 2
    key = certificate_key(store.records()[0].cell)
    assert key is not None
    found = certificate("same to rounding", "mlp_64_64").to_data()
    curve = {"quantity": "loss", "dtype": "float32", "program": "lock-step", "steps": [1, 2, 3],
             "between": [0.0] * 3, "controls": {}, "limit": [1e-5] * 3, "seeds": [], "horizon": None}
    write_certificate(store.path, key, {**found, "phases": [{**found["phases"][0], "curves": [curve]}]})
    return Place(folder, folder / "results")


@pytest.fixture(scope="module")
def whole(place: Place) -> Path:
    return place.bundle("seed=0", with_data=True)


def test_a_bundle_holds_what_a_dispute_needs(place: Place, whole: Path, tmp_path: Path):
    with zipfile.ZipFile(whole) as archive:
        names = {name.split("/")[0] for name in archive.namelist()}
        text = archive.read("README.txt").decode()
    assert names == {"challenge.json", "README.txt", "experiment.json", "cells", "losses", "tapes", "data",
                     "certificates"}
    assert "harness run challenge.zip" in text
    assert "torch 2.0" in text
    found = read_bundle(whole, tmp_path / "out")
    (name,) = found.below("cells")
    entry = found.json(name)
    assert entry["cell"]["seed"] == 0
    assert entry["cell"]["data"]["source"]["arrays"].startswith("data/")
    assert set(entry["weights"]) == {"pretrain", "tune"}
    assert str(place.folder) not in json.dumps(entry) + json.dumps(found.about)
    from harness.runner.replay_figures import read_arrays

    tape = read_arrays(found.folder / entry["tape"])
    assert tape["0/indices"].shape == (10, 16)
    assert set(tape) == {f"{phase}/{part}" for phase in "01" for part in
                         ("indices", "sizes", "learning_rates", "epochs", "keys")}
    assert make_bundle(place.results, place.folder / "d.zip", ["seed=0"], with_data=True).digest == found.digest


def test_it_replays_elsewhere_to_the_same_bits(place: Place, whole: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # without the data beside it
    found = place.replay(whole)
    assert [run.outcome for run in found.runs] == ["same to the bit"]
    assert found.holds
    assert found.differences == []
    rows = {row.what: row for row in found.runs[0].rows}
    assert rows["final weights"].exact
    assert rows["losses"].exact
    assert rows["val_accuracy"].holds
    assert "same to the bit in 1" in replay_text(found)
    assert list(tmp_path.iterdir()) == []


def test_other_bits_under_the_same_versions_do_not_hold(place: Place, whole: Path):
    found = place.replay(whole, HARNESS_TEST_DRIFT="1e-7")
    assert not found.holds
    rows = {row.what: row for row in found.runs[0].rows}
    assert rows["final weights"].holds is False
    assert "same versions, processor and one thread" in rows["losses"].says
    assert rows["plan"].holds
    assert "DIFFERS" in replay_text(found)


def expected_of(place: Place, **changes: object) -> Expected:
    """The run of seed 0 as a bundle states it."""
    record, = (record for record in Store(place.results).records() if record.seed == 0)
    found, = Results(place.results).certificates().values()
    weights = {phase["name"]: digest_of_weights(record.checkpoint(phase["name"])) for phase in record.phases}
    return replace(Expected(record, weights, found, True, "float32", True), **changes)


def drifted(record: Record, drift: float, version: str = "3.0", **changes: object) -> Record:
    """The same run with its figures off by that much, by another version."""
    data = json.loads(json.dumps(dict(record.data)))
    data["environment"]["versions"]["torch"] = version
    data["phases"][-1]["epochs"][-1]["val_accuracy"] *= 1 + drift
    weights = {phase["name"]: {name: array * (1 + drift) for name, array in record.checkpoint(phase["name"]).items()}
               for phase in record.phases}
    series = {"loss": record.losses * (1 + drift)}
    return Record({**data, **changes}, memory_series=series, memory_checkpoints=weights)


@pytest.mark.parametrize(("drift", "losses", "accuracy"), [
    (1e-7, True, True), (1e-4, False, True), (0.02, False, False)])
def test_another_version_is_held_against_the_certificates_band(place: Place, drift, losses, accuracy):
    expected = expected_of(place)
    found, apart = judge_run(expected, drifted(expected.record, drift), Margins(0.03, 0.005))
    assert apart == ["torch 2.0 there, 3.0 here"]
    rows = {row.what: row for row in found}
    assert rows["losses"].holds is losses
    assert "over the certificate's first 3 steps" in rows["losses"].says
    assert rows["val_accuracy"].holds is accuracy
    assert rows["final weights"].holds is None


def test_bits_are_asked_for_where_they_can_be_given_and_nowhere_else(place: Place):
    expected, margins = expected_of(place), Margins(0.03, 0.005)
    same = drifted(expected.record, 1e-7, "2.0")

    def holds(expected: Expected, found: Record) -> bool | None:
        return {row.what: row.holds for row in judge_run(expected, found, margins)[0]}["final weights"]

    def with_environment(**changes: object) -> Record:
        environment = {**expected.record.environment, **changes}
        return drifted(expected.record, 1e-7, "2.0", environment=environment)

    assert holds(expected, same) is False
    assert holds(expected, with_environment(cpu="another")) is None
    assert holds(replace(expected, deterministic=False), same) is None
    assert holds(replace(expected, same_version=False), same) is None
    threads = {**expected.record.environment, "threads": {"intra_op": 2}}
    on_two = Record({**expected.record.data, "environment": threads}, expected.record.folder)
    assert holds(replace(expected, record=on_two), with_environment(threads={"intra_op": 2})) is None
    rows = {row.what: row for row in judge_run(replace(expected, certificate=None), drifted(same, 1e-3), margins)[0]}
    assert rows["losses"].holds is None
    assert "no certificate" in rows["losses"].says


def test_past_the_horizon_a_single_run_is_only_shown(place: Place):
    expected = expected_of(place)
    assert expected.certificate is not None
    phase = expected.certificate["phases"][0]
    curves = [{**curve, "horizon": 2} for curve in phase["curves"]]
    known = replace(expected, certificate={**expected.certificate, "phases": [{**phase, "curves": curves}]})
    rows = {row.what: row for row in judge_run(known, drifted(expected.record, 0.02), Margins(0.03, 0.005))[0]}
    assert rows["val_accuracy"].holds is None
    assert "(T*)" in rows["val_accuracy"].says
    assert "first 1 steps" in rows["losses"].says


def test_a_failure_holds_if_it_fails_the_same_way(place: Place):
    expected = expected_of(place)

    def failed(kind: str) -> Record:
        return Record({**expected.record.data, "status": "failed", "reason": {"kind": kind, "message": "at step 1"}})

    def outcome(was: Record, found: Record | None) -> list[bool | None]:
        return [row.holds for row in judge_run(replace(expected, record=was), found, Margins(0.03, 0.005))[0]]

    assert outcome(failed("nan_loss"), failed("nan_loss")) == [True]
    assert outcome(failed("nan_loss"), failed("out_of_memory")) == [False]
    assert outcome(failed("nan_loss"), expected.record) == [False]
    assert outcome(expected.record, failed("error")) == [False]
    assert outcome(expected.record, None) == [False]


def test_without_its_data_it_needs_the_same_file_beside_it(place: Place, tmp_path: Path, monkeypatch, capsys):
    assert main(["bundle", str(place.results), "seed=0", "-o", str(tmp_path / "c.zip"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert any("--with-data" in note for note in said["notes"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="replay it where they lie"):
        replay(tmp_path / "c.zip")
    arrays = dict(np.load(place.folder / "data.npz"))
    arrays["x"][3] += 1
    np.savez(tmp_path / "data.npz", **arrays)
    found = replay(tmp_path / "c.zip")  # nothing is trained on other data
    assert [row.what for row in found.runs[0].rows] == ["data"]
    assert not found.holds


def test_weights_that_no_seed_gives_go_with_it(place: Place, tmp_path: Path):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "data.npz").write_bytes((place.folder / "data.npz").read_bytes())
    recipe = {**EXPERIMENT["recipe"], "weights": "first.safetensors"}
    recipe["phases"] = [recipe["phases"][0], {"name": "tune", "epochs": 1, "start_from": "second.safetensors"}]
    experiment = Experiment.parse({**EXPERIMENT, "seed": [0], "recipe": recipe}, folder=folder)
    model = load_model("mlp_64_64", input_shape=(8,), num_classes=10)
    arrays = {}
    for number, name in enumerate(("first", "second")):
        arrays[name] = {weight.name: np.full(weight.shape, number + 0.5, np.float32) for weight in model.weights}
        save_checkpoint(folder / f"{name}.safetensors", arrays[name])
    cell, = check(experiment)
    store = Store(folder / "results")
    planned_cell({"cell": cell.to_data(), "folder": str(store.folder(cell.id))}, None)
    (folder / "heart.yaml").write_text("")
    (store.path / "experiment.json").write_text(json.dumps({"source": str(folder / "heart.yaml")}))
    digests = [phase["plan_digest"] for phase in store.records()[0].phases]
    make_bundle(store.path, tmp_path / "c.zip", with_data=True)
    shutil.rmtree(folder)
    bundle = read_bundle(tmp_path / "c.zip", tmp_path / "out")
    assert len(bundle.below("weights")) == 2
    (entry,) = entries_of(bundle)
    begun = first_weights(entry.cell.model, entry.cell.recipe, 0, entry.cell.folder)
    assert begun is not None
    assert all(np.array_equal(begun[name], arrays["first"][name]) for name in arrays["first"])
    plans = plans_of(entry.cell, lambda phase: State(begun, {}, 7))
    assert [plan.digest for plan in plans] == digests
    start = Path(entry.cell.recipe.phases[1].start_from)
    assert np.array_equal(load_checkpoint(start).weights["hidden_1/bias"], arrays["second"]["hidden_1/bias"])


def test_another_plan_is_named_by_what_differs(place: Place, whole: Path, tmp_path: Path):
    with zipfile.ZipFile(whole) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.startswith("cells/"))
    entry = json.loads(members[name])
    entry["cell"]["recipe"]["phases"][0]["learning_rate"] = None
    entry["cell"]["recipe"]["optimizer"]["Adam"]["learning_rate"] = 0.002
    del entry["cell"]["recipe"]["phases"][0]["learning_rate"]
    members[name] = json.dumps(entry).encode()
    from harness.exchange.bundle import write_bundle

    about = json.loads(members.pop("challenge.json"))
    kept = {key: value for key, value in about.items() if key not in ("files", "digest", "format", "schema")}
    write_bundle(tmp_path / "other.zip", kept, members)
    found = replay(tmp_path / "other.zip")
    assert "the tape differs in learning_rates" in {row.says for row in found.runs[0].rows}
    assert not found.holds


@pytest.mark.parametrize("damage", [
    lambda entry: entry.pop("cell"), lambda entry: entry["cell"].update(seed="zero", model={"name": 3}),
    lambda entry: entry["run"].update(phases=None), lambda entry: entry["run"].update(id="ffff"),
    lambda entry: entry["cell"].update(backend="jax"), lambda entry: entry.update(run=[])])
def test_contents_that_no_bundle_has_are_refused(whole: Path, tmp_path: Path, damage, capsys):
    with zipfile.ZipFile(whole) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.startswith("cells/"))
    entry = json.loads(members[name])
    damage(entry)
    from harness.exchange.bundle import write_bundle

    about = json.loads(members.pop("challenge.json"))
    assert digest_of(about) == about["digest"]
    write_bundle(tmp_path / "bad.zip", {"cells": []}, {**members, name: json.dumps(entry).encode()})
    assert main(["run", str(tmp_path / "bad.zip")]) == 4
    assert name in capsys.readouterr().err


def test_a_tampered_bundle_is_refused_by_the_command(whole: Path, tmp_path: Path, capsys):
    with zipfile.ZipFile(whole) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.startswith("cells/"))
    members[name] = members[name].replace(b'"val_accuracy": 0.9', b'"val_accuracy": 0.8')
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    assert main(["run", str(tmp_path / "t.zip")]) == 4
    assert "it was changed" in capsys.readouterr().err
    assert main(["run", str(whole), "recipe.epochs=3"]) == 4
    assert "a bundle is replayed as it is" in capsys.readouterr().err


@pytest.mark.parametrize(("place_of", "filters", "cells"), [
    (lambda results, id: results, [], 2), (lambda results, id: results, ["seed=1"], 1),
    (lambda results, id: results / "cells" / id, [], 1), (lambda results, id: results / id[:6], [], 1)])
def test_a_bundle_is_of_results_of_some_of_them_or_of_one_cell(place: Place, tmp_path: Path, place_of, filters, cells):
    id = Store(place.results).ids()[0]
    made = make_bundle(place_of(place.results, id), tmp_path / "c.zip", filters)
    assert len(made.cells) == cells


@pytest.mark.parametrize(("filters", "message"), [
    (["sed=0"], "Did you mean 'seed'"), (["seed=9"], "no such run"), (["seed"], "column=value")])
def test_a_bundle_of_nothing_is_refused(place: Place, tmp_path: Path, filters, message):
    with pytest.raises(SpecError, match=message):
        make_bundle(place.results, tmp_path / "c.zip", filters)
    assert not list(tmp_path.iterdir())


def blocks(speed: float, machine: str = "x86_64-test-2c", count: int = 6) -> list[Block]:
    made = [block(payload(), number, {"tensorflow": 1000.0, "pytorch": speed}) for number in range(count)]
    return [Block({**item, "machine": {"machine": machine}}) for item in made]


@pytest.mark.parametrize(("ours", "holds"), [
    (blocks(1500.0), True), (blocks(1480.0), True), (blocks(1300.0), False), (blocks(1800.0), False),
    (blocks(1455.0), None),
    (blocks(1300.0, "another"), None), (blocks(1300.0, count=1), None)])
def test_timings_are_compared_by_interval_on_the_same_machine(ours: list[Block], holds: bool | None):
    rows = {row.what: row for row in judge_blocks_again(blocks(1500.0), ours, Margins(0.03, 0.005))}
    assert rows["samples_per_second of PyTorch over TensorFlow"].holds is holds
    assert rows["samples_per_second of PyTorch"].holds is holds
    assert rows["samples_per_second of TensorFlow"].holds in (True, None)


@pytest.mark.frameworks
@pytest.mark.sweep
def test_both_frameworks_replay_to_the_same_bits(tmp_path: Path):
    results = run(ROOT / "experiments" / "smoke.yaml", out=tmp_path / "results", certify=False)
    assert main(["bundle", str(results.path), "-o", str(tmp_path / "c.zip")]) == 0
    found = replay(tmp_path / "c.zip", tmp_path / "again")
    assert [run.outcome for run in found.runs] == ["same to the bit"] * 2
    assert {record.backend for record in Results(tmp_path / "again").records()} == {"tensorflow", "pytorch"}
    with pytest.raises(SpecError, match="empty folder"):
        replay(tmp_path / "c.zip", tmp_path / "again")
