"""A store of any size without a training: the cells of an experiment, each with a record as a run would have left it.

Records differ in what a reader looks at (figures, seeds, a hundredth failed); their series and weights are one file
each, linked: they are not what makes a large store slow.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np

from harness.certify.certificate import PASSED, SAME_TO_ROUNDING, Certificate, Difference, Phase, Rung
from harness.records.blocks import block_path
from harness.records.certificates import FOLDER as CERTIFICATES
from harness.records.checkpoint import save_checkpoint
from harness.records.folder import RUN_FILE, SERIES_FILE, _write_series, checkpoint_file
from harness.records.planned import write_planned
from harness.records.settings_key import setting_cell
from harness.records.store import Store
from harness.runner.cell import opening
from harness.runner.check import check
from harness.runner.driver import write_experiment
from harness.runner.identity import certificate_of, setting_of
from harness.runner.matrix import Cell
from harness.spec.experiment import Experiment, read_experiment

EPOCHS, STEPS, BATCH = 3, 4, 32
SPEEDS = {"tensorflow": 20_000.0, "pytorch": 30_000.0}
BLOCKS = 6
# A file has so many names at most on some file systems.
LINKS = 10_000
YAML = """\
name: made_up
model: mlp_64_64
data: data.npz
recipe: {{optimizer: adam, phases: [{{name: pretrain, epochs: {epochs}}}]}}
matrix:
  batch_size: [16, 32]
  recipe.optimizer.learning_rate: [{rates}]
  backend: [tensorflow, pytorch]
  seed: [{seeds}]
"""


def experiment_file(folder: Path, cells: int, seeds: int) -> Path:
    """An experiment of so many cells: two batch sizes, two backends, so many seeds, and learning rates for the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=chance.normal(size=(240, 8)).astype("float32"), y=np.arange(240) % 10)
    rates = max(1, cells // (4 * seeds))
    path = folder / "experiment.yaml"
    path.write_text(YAML.format(epochs=EPOCHS, seeds=", ".join(map(str, range(seeds))),
                                rates=", ".join(f"{0.1 * (index + 1) / rates:.6f}" for index in range(rates))))
    return path


def make_store(experiment: Path, out: Path, blocks: int = BLOCKS) -> int:
    """Writes the records, blocks and certificates of all cells; returns how many cells there are."""
    read = read_experiment(experiment)
    cells = check(read)
    (out / "cells").mkdir(parents=True)
    (out / CERTIFICATES).mkdir()
    (out / "logs").mkdir()
    files = _Files(out)
    about: dict[str, Any] = {}
    for index, cell in enumerate(cells):
        key = setting_of(cell)
        if about.get("setting") != key:
            about = {"setting": key, "cell": opening(cell, "")["cell"]}
            _write_setting(out, cell, about["cell"], blocks)
        folder = out / "cells" / cell.id
        folder.mkdir()
        failed = index % 100 == 99
        sizes = files.link(folder, with_weights=not failed)
        text = json.dumps({**payload(cell, about["cell"], failed), "files": sizes}, indent=1)
        (folder / RUN_FILE).write_text(text + "\n", encoding="utf-8")
    _write_rest(read, cells, out)
    return len(cells)


def _write_rest(experiment: Experiment, cells: list[Cell], out: Path) -> None:
    write_experiment(experiment, out)
    write_planned(out, (cell.id for cell in cells))


class _Files:
    """The series and the weights that all records share."""

    def __init__(self, out: Path) -> None:
        self.out, self.made = out, 0

    def link(self, folder: Path, *, with_weights: bool) -> dict[str, int]:
        if self.made % LINKS == 0:
            self._write()
        self.made += 1
        names = {SERIES_FILE: self.series, **({checkpoint_file("pretrain"): self.weights} if with_weights else {})}
        for name, path in names.items():
            os.link(path, folder / name)
        return {name: path.stat().st_size for name, path in names.items()}

    def _write(self) -> None:
        first = self.out / "cells" / f".made-{self.made}"
        first.mkdir()
        self.series, self.weights = first / SERIES_FILE, first / "weights.safetensors"
        steps = EPOCHS * STEPS
        _write_series(self.series, {
            "phase": np.full(steps, "pretrain", dtype=object), "epoch": np.arange(steps) // STEPS + 1,
            "step": np.arange(steps), "loss": 1 / (1.0 + np.arange(steps)), "learning_rate": np.full(steps, 1e-3),
            "batch_size": np.full(steps, BATCH), "step_seconds": np.full(steps, 1e-3)})
        save_checkpoint(self.weights, {"dense/kernel": np.zeros((2, 3), np.float32)}, {"phase": "pretrain"})


def payload(cell: Cell, about: dict[str, Any], failed: bool) -> dict[str, Any]:
    """run.json of a cell; about: the "cell" of one of its setting."""
    chance = random.Random(cell.id)
    own = {**about, "backend": cell.backend, "seed": cell.seed, "labels": dict(cell.labels)}
    accuracy = 0.9 + chance.gauss(0, 0.004)
    return {
        "schema": 1, "id": cell.id, "cell": own, "started_at": "2026-01-01T00:00:00.000+00:00",
        "status": "failed" if failed else "done",
        "reason": {"kind": "nan_loss", "message": "the loss is NaN at step 7"} if failed else None,
        "plan": {"digest": "0" * 64}, "phases": [] if failed else [_phase(cell, accuracy, chance)],
        "test": None if failed else {"loss": 0.3, "accuracy": accuracy},
        "timing": {} if failed else {"open_seconds": 1.0, "first_step_seconds": 0.5, "total_seconds": 10.0},
        "memory": {} if failed else {"peak_bytes": None, "process_peak_bytes": 2**29}, "notes": [],
        "data": {"name": "data", "fingerprint": "0" * 64, "examples": {"train": 240}, "classes": 10, "notes": [],
                 "vocabularies": {}},
        "environment": {"machine": "made-up-2c", "cpu": "none", "cores": 2, "memory_bytes": 2**34, "gpu": None,
                        "python": "3.11.0", "versions": {"numpy": "2.0", "torch": "2.13.0", "tensorflow": "2.21.0"},
                        "threads": {"intra_op": 1}, "precision": {"tf32": False}, "platform": "Linux"},
        "finished_at": "2026-01-01T00:01:00.000+00:00",
    }


def _phase(cell: Cell, accuracy: float, chance: random.Random) -> dict[str, Any]:
    seconds = STEPS * BATCH / (SPEEDS[cell.backend] * (1 + chance.gauss(0, 0.01)))
    epochs = [{"epoch": epoch, "loss": 1 / epoch, "accuracy": accuracy - 0.1 / epoch, "val_loss": 1.1 / epoch,
               "val_accuracy": accuracy - 0.11 / epoch, "seconds": seconds} for epoch in range(1, EPOCHS + 1)]
    windows = [{"start": index * STEPS, "stop": (index + 1) * STEPS, "seconds": seconds, "warmup": index == 0,
                "examples": STEPS * BATCH} for index in range(EPOCHS)]
    return {"name": "pretrain", "epochs": epochs, "windows": windows, "samples": EPOCHS * STEPS * BATCH,
            "best_epoch": EPOCHS, "restored_best": False, "stopped_early": False, "program": "loop",
            "plan_digest": "0" * 64, "parameters": 5000, "trainable_parameters": 5000}


def _write_setting(out: Path, cell: Cell, about: dict[str, Any], blocks: int) -> None:
    """The certificate and the timed blocks of the setting that the cell belongs to."""
    key = certificate_of(cell)
    rungs = tuple(Rung(name, PASSED, 12, Difference("output logits", 3e-16, 1e-10), seconds=0.1)
                  for name in ("R0", "R1", "R2", "R3", "R4"))
    made = Certificate(SAME_TO_ROUNDING, ("tensorflow", "pytorch"), {"model": cell.model.name},
                       (Phase("pretrain", rungs),))
    (out / CERTIFICATES / f"{key}.json").write_text(json.dumps({**made.to_data(), "key": key}) + "\n")
    setting = setting_of(cell)
    for number in range(blocks):
        path = block_path(out, setting, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_block(setting, number, about)) + "\n")


def _block(setting: str, number: int, about: dict[str, Any]) -> dict[str, Any]:
    chance = random.Random(f"{setting}/{number}")
    order = ["tensorflow", "pytorch"] if number % 4 in (0, 3) else ["pytorch", "tensorflow"]
    samples = 100 * BATCH
    halves = {name: {
        "program": "loop", "versions": {}, "open_seconds": 0.4, "first_step_seconds": 0.5, "compile_seconds": None,
        "compile_seconds_reason": "nothing is compiled", "warmup": {"steps": 30, "seconds": 1.0, "steady": True},
        "window": {"start": 30, "steps": 100, "samples": samples, "tokens": None,
                   "seconds": samples / (SPEEDS[name] * (1 + chance.gauss(0, 0.01)))},
        "evaluation": None, "latency": None, "memory": {"peak_bytes": None, "process_peak_bytes": 2**28},
        "end_to_end": None, "loss": 0.3,
    } for name in order}
    return {"schema": 1, "setting": setting, "number": number, "order": order, "status": "done", "reason": None,
            "cell": setting_cell(about), "started_at": f"2026-01-02T00:{number:02d}:00+00:00",
            "finished_at": f"2026-01-02T00:{number:02d}:30+00:00", "seconds": 30.0,
            "machine": {"machine": "made-up-2c"}, "halves": halves}


def drop_index(store: Path) -> None:
    """As a store that nobody has looked at yet."""
    for path in Store(store).path.glob("index.sqlite*"):
        path.unlink()
