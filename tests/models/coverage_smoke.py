"""The experiments of docs/coverage.md at smoke size: the same file and data, few examples and steps, small networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.records.folder import checkpoint_file
from harness.records.record import Record
from harness.records.store import Store
from harness.runner.check import check
from harness.runner.dependencies import ordered
from harness.runner.workers import Job, Worker
from harness.spec.dataset import DatasetSpec
from harness.spec.experiment import KEYS, Experiment, with_defaults
from harness.spec.overrides import apply_override
from tests.models.coverage import EXPERIMENTS
from tests.models.coverage_sources import stand_in

STEPS = 3
# Of each split, before blocks or windows are made of it.
LIMIT = {"train": 96, "validation": 32, "test": 48}
GLOSSES = 600  # of WordNet, at least five in each of 26 categories, of which LIMIT would leave none in some
ALL = ("matrix.seed=[0]", "execution.device=cpu", "execution.compile=none", "recipe.batch_size=16", "timing=false")


@dataclass(frozen=True)
class Smoke:
    """overrides: of the experiment, as on the command line. without: variants that are left out."""

    experiment: str
    overrides: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


TINY_GPT = "{gpt2: {vocabulary: %d, width: 16, depth: 1, heads: 2, max_positions: 128}}"
VOICES = ("data.source.spoken_digits.voices=[en-us]", "data.source.spoken_digits.variants=[m1, f1, m7, f4]",
          "data.source.spoken_digits.speeds=[130, 160]", "data.source.spoken_digits.pitches=[35, 65]")
SMOKES = {
    "quickstart": Smoke("quickstart", without=("c",)),
    "which_cpu": Smoke("which_cpu", ("tier=idiomatic", "execution.compile=auto", "variants.lstm.data.split.test=100"),
                       without=("mlp", "resnet", "transformer")),
    "reference_programs": Smoke("reference_programs", without=("a", "c", "d", "e", "b_from_pytorch")),
    "tabular": Smoke("tabular"),
    "image_classification": Smoke("image_classification", (
        "matrix.model=[{resnet: {depth: 8, filters: 4}}, {vit: {width: 16, heads: 2, depth: 1}}]",)),
    "text_classification": Smoke("text_classification", (
        "matrix.model=[{gru_classifier: {vocabulary: 10000, embedding: 8, units: [8], bidirectional: true, mask_zero: "
        "true}}, {bert: {vocabulary: 10000, width: 16, depth: 1, heads: 2, feedforward: 32, max_positions: 200, "
        "inputs: [input_ids]}}]",)),
    "text_classification, sentiment": Smoke("text_classification", (
        "data={source: {imdb: {num_words: 10000, maxlen: 50}}}",
        "matrix.model=[{lstm_classifier: {vocabulary: 10000, embedding: 8, units: [8]}}]")),
    "finetune_bert": Smoke("finetune_bert", without=("full", "frozen", "scratch")),
    "gpt_scratch_finetune": Smoke("gpt_scratch_finetune", (f"model={TINY_GPT % 257}",)),
    "two_by_two": Smoke("two_by_two"),
    "building_blocks": Smoke("building_blocks", (
        "matrix.model=[{mlp: {units: [8], activation: sigmoid}}, {mlp: {units: [8], activation: tanh}}]",
        "matrix.loss=[mean_squared_error]", "matrix.optimizer=[{SGD: {learning_rate: 0.1, momentum: 0.9}}]")),
    "overfitting": Smoke("overfitting", without=("nothing", "more data", "L2", "early stopping", "smaller")),
    "large_models": Smoke("large_models", (f"model={TINY_GPT % 65}",), without=("plain",)),
    "image_generation": Smoke("image_generation", without=("autoencoder",)),
    "segmentation": Smoke("segmentation", (
        "data.source.scenes.examples=120", "data.source.scenes.test=48",
        "model={unet: {filters: 4, depth: 2, input_shape: [64, 64, 1], num_classes: 11}}")),
    "language_models": Smoke("language_models", (
        "matrix.model=[{character_language_model: {vocabulary: 65, embedding: 8, units: [8], output_activation: "
        "null}}]",)),
    "seq2seq": Smoke("seq2seq", (
        "matrix.model=[{seq2seq_lstm: {source_steps: 20, target_steps: 21, source_vocabulary: 31, target_vocabulary: "
        "43, embedding: 8, units: 8, output_activation: null}}, {transformer: {source_steps: 20, target_steps: 21, "
        "source_vocabulary: 31, vocabulary: 43, width: 16, heads: 2, feedforward: 32, depth: 1}}]",)),
    "spoken_digits": Smoke("spoken_digits", (*VOICES, "model={audio_cnn: {filters: [[4], [4]]}}")),
    "speech_recognition": Smoke("speech_recognition", (
        *VOICES, "model={crnn: {convolutions: [[4, 3, true, [2, 4]], [4, 3, true, [2, 4]]], units: [8]}}")),
    "financial_series": Smoke("financial_series"),
    "time_series": Smoke("time_series", ("data.source=[sunspots]", (
        "matrix.model=[{time_series_transformer: {width: 16, heads: 2, feedforward: 32, depth: 1}}]"))),
    "dqn_cartpole": Smoke("dqn_cartpole", (
        "recipe.epochs=1",
        "recipe.deep_q_learning={first_moves: 64, rounds_per_epoch: 2, round_steps: 16, test_games: 2}")),
}


def smoke_experiment(smoke: Smoke, folder: Path) -> Experiment:
    """The experiment at smoke size. folder: for what stands in for data that this machine does not have."""
    path = EXPERIMENTS / f"{smoke.experiment}.yaml"
    data = with_defaults(yaml.safe_load(path.read_text()))
    for override in (*ALL, *smoke.overrides):
        data = apply_override(data, override, KEYS)
    if smoke.without:
        data["variants"] = [item for item in data["variants"] if item["name"] not in smoke.without]
    return Experiment.parse(_smaller(data, folder), name=smoke.experiment, folder=path.parent)


def _smaller(value: Any, folder: Path) -> Any:
    """Few examples of every data set, few steps of every phase, wherever they stand."""
    if isinstance(value, list):
        return [_smaller(item, folder) for item in value]
    if not isinstance(value, Mapping):
        return value
    found = {key: _smaller(item, folder) for key, item in value.items()}
    if "source" in found and set(found) <= set(DatasetSpec.model_fields):
        source = stand_in(found["source"], folder)
        if isinstance(source, Mapping) and "wordnet" in source:
            source = {"wordnet": {**source["wordnet"], "examples": GLOSSES}}
            found["limit"] = {**LIMIT, "train": None}
        else:
            found["limit"] = LIMIT
        found["source"] = source
    elif "limit" in found:  # of a variant, in place of the base's
        found["limit"] = LIMIT
    if isinstance(found.get("phases"), list):
        found["phases"] = [{**phase, "epochs": 1, "steps": STEPS} for phase in found["phases"]]
    return found


def run_smoke(experiment: Experiment, workers: Mapping[str, Worker], folder: Path) -> list[Record]:
    """Every cell's record, trained as a run trains it, in children of these workers. Raises what a cell raises."""
    store = Store(folder)
    for cell, needed in ordered(check(experiment)):
        checkpoints = {f"{need.backend}/{need.after}": str(store.folder(need.twin.id) / checkpoint_file(need.after))
                       for need in needed}
        workers[cell.backend].run(Job("harness.runner.cell:cell_job", {
            "cell": cell.to_data(), "folder": str(store.folder(cell.id)), "checkpoints": checkpoints,
        }), timeout=300).unwrap()
    return store.records()
