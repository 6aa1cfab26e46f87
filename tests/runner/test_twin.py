"""harness.twin: agreement of real models, and the name of the call where a planted fault is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.spec.layers.registration import VARIABLE

ROOT = Path(__file__).parents[2]
AGREEING = """
name: several
inputs: [{name: ids, shape: [null], dtype: int32}, {name: image, shape: [9, 9, 2]}]
layers:
  - Embedding: {input_dim: 11, output_dim: 6, mask_zero: true, name: embedding, inputs: [ids]}
  - LSTM: {units: 5, dropout: 0.3, name: lstm}
  - Conv2D: {filters: 5, kernel_size: 3, strides: 2, padding: same, name: conv, inputs: [image]}
  - BatchNormalization: {name: norm}
  - ReLU: {name: relu}
  - GlobalMaxPooling2D: {name: pool}
  - Dense: {units: 5, name: shared, inputs: [pool]}
  - call: {layer: shared, inputs: [lstm]}
  - Add: {name: add, inputs: [shared, "shared@1"]}
  - Dropout: {rate: 0.4, name: dropout}
  - Dense: {units: 3, activation: softmax, name: classes}
outputs: [classes, lstm]
"""
FAULTY = """
name: faulty
inputs: [{name: x, shape: [6]}]
layers:
  - Dense: {units: 4, activation: relu, name: hidden}
  - FaultyScale: {offset: 0.25, name: scale}
  - Dense: {units: 3, name: logits}
outputs: [logits]
"""
pytestmark = pytest.mark.frameworks


def test_a_model_with_everything_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "several.yaml").write_text(AGREEING)
    code = main(["twin", str(tmp_path / "several.yaml"), "--json", "--size", "7", "--no-export"])
    printed = capsys.readouterr()
    assert not printed.err
    found = json.loads(printed.out)
    assert code == 0
    assert found["agrees"]
    assert found["largest"]["float64"] < 1e-10
    assert 1e-9 < found["largest"]["float32"] < 1e-3  # single precision was really used
    calls = {row["call"]: row for row in found["calls"]["float64"]}
    assert len(calls) == 11
    assert calls["norm"]["state"] is not None
    assert calls["norm"]["state"] > -1
    assert calls["dropout"]["weight_gradient"] is None


def test_the_faulty_call_is_named(tmp_path: Path) -> None:
    (tmp_path / "faulty.yaml").write_text(FAULTY)
    environment = {**os.environ, VARIABLE: "tests.own_layers.faulty", "PYTHONPATH": str(ROOT),
                   "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", "harness.cli.main", "twin", str(tmp_path / "faulty.yaml"), "--no-export"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "The twins differ: the first call beyond 1e-08 in float64 is 'scale' (FaultyScale), inference" in done.stdout
