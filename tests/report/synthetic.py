"""Stores of made-up records: what a runner would have left, without running anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.records.blocks import write_block
from harness.records.certificates import certificate_key, write_certificate
from harness.records.record import write_record
from harness.records.settings_key import setting_cell, setting_key
from harness.records.store import Store
from tests.certify.made_up import certificate

STEPS_PER_EPOCH = 4
BATCH_SIZE = 8
SPEEDS = {"tensorflow": 1000.0, "pytorch": 1500.0}


def record_id(model: str, backend: str, seed: int) -> str:
    """16 characters that differ for every model, backend and seed."""
    return f"{abs(hash_text(f'{model}/{backend}/{seed}')):016x}"[:16]


def hash_text(text: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def payload(
    model: str = "mlp",
    backend: str = "tensorflow",
    seed: int = 0,
    *,
    speed: float | None = None,
    accuracy: float = 0.9,
    labels: dict[str, str] | None = None,
    environment: dict[str, Any] | None = None,
    phases: tuple[str, ...] = ("pretrain", "finetune"),
) -> dict[str, Any]:
    """run.json of a finished run: two epochs per phase, the first window of each phase is warm-up."""
    speed = SPEEDS.get(backend, 1200.0) * (1 + 0.002 * seed) if speed is None else speed
    seconds = STEPS_PER_EPOCH * BATCH_SIZE / speed
    recorded, step = [], 0
    for name in phases:
        epochs, windows, start = [], [], 0
        for epoch in (1, 2):
            loss = 1.0 / (1 + step)
            epochs.append(
                {
                    "epoch": epoch,
                    "loss": loss,
                    "accuracy": accuracy - 0.02,
                    "val_loss": loss * 1.1,
                    "val_accuracy": accuracy - 0.01,
                    "seconds": seconds,
                }
            )
            stop = start + STEPS_PER_EPOCH
            warmup = epoch == 1
            windows.append({"start": start, "stop": stop, "seconds": seconds * (9 if warmup else 1), "warmup": warmup})
            start, step = stop, step + STEPS_PER_EPOCH
        recorded.append(
            {
                "name": name,
                "epochs": epochs,
                "windows": windows,
                "samples": 64,
                "best_epoch": 2,
                "stopped_early": False,
                "program": "Adam",
            }
        )
    return {
        "id": record_id(model, backend, seed),
        "status": "done",
        "reason": None,
        "cell": {
            "model": {"name": model, "parameters": 1234, "flops": 5678, "digest": f"digest-of-{model}"},
            "data": {"source": "digits"},
            "recipe": {"loss": "mse", "batch_size": BATCH_SIZE},
            "backend": backend,
            "execution": {
                "device": "cpu",
                "precision": "float32",
                "tier": "tuned",
                "compile": "auto",
                "threads": 1,
            },
            "seed": seed,
            "experiment": "synthetic",
            "labels": {"model": model, "backend": backend, "seed": str(seed), **(labels or {})},
            "identity": {},
            "checkpoints": {},
        },
        "plan": {"digest": f"plan-{model}-{seed}"},
        "data": {"name": "digits", "fingerprint": "f" * 8, "classes": 10, "notes": []},
        "environment": {
            "machine": "x86_64-test-2c",
            "cpu": "Test CPU",
            "cores": 2,
            "gpu": None,
            "python": "3.11.0",
            "versions": {"numpy": "2.0"},
            "threads": {"intra_op": 1},
            "precision": {"tf32": False},
            "platform": "Linux",
            **(environment or {}),
        },
        "phases": recorded,
        "test": {"loss": 0.2, "accuracy": accuracy},
        "timing": {"open_seconds": 1.0, "first_step_seconds": 0.5, "total_seconds": 30.0},
        "memory": {"peak_bytes": None, "process_peak_bytes": 2**28},
        "started_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:01:00+00:00",
    }


def series(data: dict[str, Any], noise: float = 0.0) -> dict[str, np.ndarray]:
    """The step series that goes with `payload`; noise: relative, the same at every step."""
    steps = sum(window["stop"] - window["start"] for phase in data["phases"] for window in phase["windows"])
    names = [phase["name"] for phase in data["phases"] for _ in range(2 * STEPS_PER_EPOCH)]
    return {
        "phase": np.array(names, dtype=str),
        "epoch": np.arange(steps) // STEPS_PER_EPOCH + 1,
        "step": np.arange(steps),
        "loss": (1 + noise) / (1.0 + np.arange(steps)),
        "learning_rate": np.full(steps, 1e-3),
        "batch_size": np.full(steps, BATCH_SIZE),
        "step_seconds": np.full(steps, 0.01),
    }


def add(store: Store, data: dict[str, Any], noise: float = 0.0) -> str:
    """Writes one record with a small checkpoint per phase; returns its id."""
    weights = {"dense/kernel": np.full((2, 3), float(data["cell"]["seed"] or 0)), "dense/bias": np.zeros(3)}
    done = data["status"] == "done"
    checkpoints = {phase["name"]: weights for phase in data["phases"]} if done else {}
    write_record(store.folder(data["id"]), data, series(data, noise) if data["phases"] else {}, checkpoints)
    return str(data["id"])


def fail(data: dict[str, Any], kind: str = "nan_loss", message: str = "the loss is NaN") -> dict[str, Any]:
    """The same run, failed before its first step."""
    return {
        **data,
        "status": "failed",
        "reason": {"kind": kind, "message": message},
        "phases": [],
        "test": None,
    }


def certify(store: Store, data: dict[str, Any], label: str = "same to rounding", **changes: Any) -> str:
    """Puts a certificate beside the records whose cell is that of `data`; returns its key."""
    key = certificate_key(data["cell"])
    assert key is not None
    write_certificate(store.path, key, certificate(label, data["cell"]["model"]["name"], **changes).to_data())
    return key


def pairs(
    path: Path, seeds: int = 3, models: tuple[str, ...] = ("mlp",), noise: float = 1e-7,
    label: str | None = "same to rounding", blocks: int = 6, **options: Any,
) -> Store:
    """A store in which both backends ran every model over so many seeds. label: of its certificates, None for none.
    blocks: in which each model was timed, as fast as its trainings."""
    store = Store(path)
    for model in models:
        for seed in range(seeds):
            add(store, payload(model, "tensorflow", seed, **options))
            add(store, payload(model, "pytorch", seed, **options), noise)
        if label is not None:
            certify(store, payload(model, **options), label)
        for number in range(blocks):
            speeds = {name: options.get("speed") or SPEEDS[name] for name in SPEEDS}
            write_block(store.path, block(payload(model, **options), number, speeds))
    return store


def block(
    data: dict[str, Any], number: int = 0, speeds: Mapping[str, float] = SPEEDS, **changes: Any
) -> dict[str, Any]:
    """A timed block of the setting of `data` (what `payload` gives), done, at these examples per second; those of the
    last backend are a quarter of a percent more or less from block to block."""
    cell = setting_cell(data["cell"])
    names = list(speeds) if number % 4 in (0, 3) else list(speeds)[::-1]
    halves = {name: half(speed * (math.exp(0.0025 * (-1) ** number) if name == list(speeds)[-1] else 1))
              for name, speed in speeds.items()}
    return {
        "setting": setting_key(cell), "number": number, "order": names, "status": "done", "reason": None, "cell": cell,
        "started_at": f"2026-01-02T00:{number:02d}:00+00:00", "finished_at": f"2026-01-02T00:{number:02d}:30+00:00",
        "seconds": 30.0, "machine": {"machine": "x86_64-test-2c"}, "halves": halves, **changes,
    }


def half(speed: float, **changes: Any) -> dict[str, Any]:
    """What one backend measured in a block."""
    return {
        "program": "graph loop", "versions": {"numpy": "2.0"}, "open_seconds": 0.4, "first_step_seconds": 0.5,
        "compile_seconds": None, "compile_seconds_reason": "nothing is compiled",
        "warmup": {"steps": 30, "seconds": 1.0, "steady": True},
        "window": {"start": 30, "steps": 500, "seconds": 500 * BATCH_SIZE / speed, "samples": 500 * BATCH_SIZE,
                   "tokens": None},
        "evaluation": {"samples": 100, "seconds": 30 / speed},
        "latency": {"batch": 1, "p50_seconds": 1 / speed, "p90_seconds": 1.2 / speed, "p99_seconds": 2 / speed,
                    "n": 100, "throughput": {"1": speed, "32": 20 * speed}},
        "memory": {"peak_bytes": None, "peak_bytes_reason": "the CPU has no allocator to ask",
                   "process_peak_bytes": 2**28, "largest_batch": None},
        "end_to_end": None, "flops_per_step": 5678 * BATCH_SIZE,
        "energy": {"joules": None, "seconds": None, "reason": "no counter on this machine"}, "loss": 0.3, **changes,
    }
