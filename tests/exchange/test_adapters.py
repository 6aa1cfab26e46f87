"""harness merge-lora: adapters out of a run's checkpoint, merged or alone, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.cli.main import main
from harness.errors import SpecError
from harness.exchange.adapters import merge_adapters, save_adapters
from harness.plan.finetune import model_of_phase
from harness.records.checkpoint import load_checkpoint, save_checkpoint
from harness.records.record import write_record
from harness.spec.explicit import explicit
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

RECIPE = Recipe.parse({"loss": "mse", "phases": [
    {"name": "pretrain"},
    {"name": "finetune", "lora": {"rank": 2, "alpha": 8.0, "layers": ["hidden"]}, "unfreeze": ["head"]}]})


def mlp() -> ModelSpec:
    inputs = Input((4,), name="x")
    return Model(inputs, layers.Dense(2, name="head")(layers.Dense(3, name="hidden")(inputs)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a finished run, with the checkpoints of its two phases."""
    rng, spec, tensors = np.random.default_rng(0), mlp(), {}
    for phase in RECIPE.resolved_phases():
        spec = model_of_phase(spec, phase)
        tensors[phase.name] = {weight.name: rng.normal(size=weight.shape).astype(np.float32)
                               for weight in spec.weights}
    folder = tmp_path / "cells" / "0123456789abcdef"
    cell = {"model": {"name": "mlp", "digest": mlp().digest, "spec": mlp().to_data()}, "recipe": explicit(RECIPE),
            "backend": "pytorch", "seed": 0}
    phases = [{"name": name, "epochs": [], "windows": []} for name in tensors]
    write_record(folder, {"id": folder.name, "status": "done", "reason": None, "cell": cell, "phases": phases},
                 {"step": np.zeros(0, np.int64)}, tensors)
    return folder


def expected(weights: dict[str, np.ndarray]) -> np.ndarray:
    a, b = (weights[f"hidden/lora_kernel_{letter}"].astype(np.float64) for letter in "ab")
    return (weights["hidden/kernel"].astype(np.float64) + 4.0 * a @ b).astype(np.float32)


def test_a_checkpoint_is_merged_by_its_record(run: Path, tmp_path: Path) -> None:
    weights = load_checkpoint(run / "finetune.safetensors").weights
    assert merge_adapters(run / "finetune.safetensors", tmp_path / "merged.safetensors") == ["hidden/kernel"]
    merged = load_checkpoint(tmp_path / "merged.safetensors",
                             {weight.name: weight.shape for weight in mlp().weights}).weights
    assert np.array_equal(merged["hidden/kernel"], expected(weights))
    assert np.array_equal(merged["head/bias"], weights["head/bias"])


def test_adapters_alone_go_back_onto_the_weights_that_they_were_made_for(run: Path, tmp_path: Path) -> None:
    tuned, base = load_checkpoint(run / "finetune.safetensors").weights, tmp_path / "base.safetensors"
    save_checkpoint(base, {**{name: array for name, array in tuned.items() if "lora" not in name},
                           "head/kernel": np.zeros((3, 2), np.float32)})
    alone, merged = tmp_path / "adapters.safetensors", tmp_path / "merged.safetensors"
    kept = save_adapters(run / "finetune.safetensors", alone)
    assert set(kept) == {"hidden/lora_kernel_a", "hidden/lora_kernel_b", "head/kernel", "head/bias"}
    assert main(["merge-lora", str(base), "--adapters", str(alone), "-o", str(merged)]) == 0
    found = load_checkpoint(merged).weights
    assert np.array_equal(found["hidden/kernel"], expected(tuned))
    assert np.array_equal(found["head/kernel"], tuned["head/kernel"])


def test_what_has_no_adapters_or_no_record_is_refused(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    with pytest.raises(SpecError, match="has no adapters"):
        merge_adapters(run / "pretrain.safetensors", out)
    with pytest.raises(SpecError, match="no file of adapters"):
        merge_adapters(run / "pretrain.safetensors", out, run / "finetune.safetensors")
    elsewhere = tmp_path / "finetune.safetensors"
    elsewhere.write_bytes((run / "finetune.safetensors").read_bytes())
    with pytest.raises(SpecError, match="not beside the checkpoint"):
        merge_adapters(elsewhere, out)
    save_adapters(run / "finetune.safetensors", tmp_path / "adapters.safetensors")
    save_checkpoint(tmp_path / "other.safetensors", {"other/kernel": np.zeros((4, 3), np.float32)})
    with pytest.raises(SpecError, match=r"not in the model: head/"):
        merge_adapters(tmp_path / "other.safetensors", out, tmp_path / "adapters.safetensors")
    assert not out.exists()


def test_the_verb_asks_what_to_write_and_writes_over_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint = str(run / "finetune.safetensors")
    assert main(["merge-lora", checkpoint]) == 4
    assert "what should be written" in capsys.readouterr().err
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"mine")
    assert main(["merge-lora", checkpoint, "-o", str(out)]) == 4
    assert out.read_bytes() == b"mine"
    assert main(["merge-lora", checkpoint, "-o", str(out), "--adapters-to", str(tmp_path / "a.safetensors"),
                 "--force"]) == 0
    assert "22 parameters" in capsys.readouterr().out  # 4 * 2 + 2 * 3 of the adapter, 3 * 2 + 2 of the head


def test_pairs_needs_runs_with_pretrained_in(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pairs", str(run.parents[1])]) == 5
    assert "pretrained_in" in capsys.readouterr().err
