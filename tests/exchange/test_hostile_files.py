"""Broken and hostile files: a clear refusal, exit code 4, no code run, bounded memory and time."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import harness
from harness.cli.main import main
from harness.spec.keras_config import UnsupportedModelError
from tests.exchange.broken_files import CANARY, WORDS, archive, changed, good_config, serialized, tensor

ROOT = Path(__file__).parents[2]
SECONDS, BYTES = 5.0, 150 * 2**20


def test_the_file_that_the_others_are_made_of_is_good(tmp_path):
    spec, weights = harness.from_keras(archive(tmp_path))
    assert [weight.shape for weight in spec.weights] == [(3, 4), (4,), (4, 2), (2,)]
    assert set(weights) == {"a/kernel", "a/bias", "b/kernel", "b/bias"}
    assert all(np.isfinite(array).all() for array in weights.values())


@pytest.mark.parametrize("name", WORDS)
def test_it_is_refused(name, tmp_path, capsys, monkeypatch):
    make, words = WORDS[name]
    path = make(tmp_path)
    before = {item.name for item in tmp_path.rglob("*")}
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DEBUG", raising=False)
    start = time.process_time()
    with pytest.raises(harness.SpecError, match=words) as caught:
        harness.from_keras(path)
    assert time.process_time() - start < SECONDS
    assert str(tmp_path) in str(caught.value), "the message does not say which file"
    assert main(["import", str(path), "-o", "imported.yaml"]) == 4
    message = capsys.readouterr().err
    assert words in message
    assert "internal" not in message
    assert {item.name for item in tmp_path.rglob("*")} == before, "something was written"
    assert not (tmp_path / CANARY).exists()
    assert not (tmp_path.parent / CANARY).exists()


def test_there_are_enough():
    assert len(WORDS) >= 20


def test_memory_is_bounded(tmp_path):
    """All of them in one process that may not have more than some memory beyond what its imports take."""
    program = "\n".join([
        "import pathlib, resource, sys",
        "import h5py, numpy, harness",
        "from harness.spec.layers import LAYERS",
        "from tests.exchange.broken_files import WORDS",
        "folder = pathlib.Path(sys.argv[1])",
        "paths = []",
        "for name, (make, _) in WORDS.items():",
        "    (folder / name).mkdir()",
        "    paths.append(make(folder / name))",
        "len(LAYERS.classes)",
        "used = int(pathlib.Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()",
        f"resource.setrlimit(resource.RLIMIT_AS, (used + {BYTES},) * 2)",
        "for path in paths:",
        "    try:",
        "        harness.from_keras(path)",
        "    except harness.SpecError:",
        "        continue",
        "    raise SystemExit(f'{path} was read')",
    ])
    if not Path("/proc/self/statm").exists():
        assert hasattr(resource, "RLIMIT_AS")
        return
    result = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert result.returncode == 0, result.stderr[-2000:]


def test_every_part_is_listed(tmp_path):
    """Not only the first: what is refused in a layer, in an inner model and in a call."""
    def change(config):
        config["layers"][1].update(class_name="Lambda", config={"name": "a"})
        config["layers"][2]["config"]["units"] = -1
        inner = good_config()
        inner["config"]["layers"][1].update(class_name="Mystery")
        reads = [{"args": [tensor("b", [None, 3])], "kwargs": {}}]
        config["layers"].append({**inner, "name": "inner", "inbound_nodes": reads})
        odd = serialized("Fft9", {"name": "odd"}, module="keras.src.ops.numpy", name="odd", inbound_nodes=[
            {"args": [tensor("inner", [None, 2])], "kwargs": {}}])
        frozen = serialized("Dropout", {"name": "d", "rate": 0.5}, name="d", inbound_nodes=[
            {"args": [tensor("odd", [None, 2])], "kwargs": {"training": True}}])
        config["layers"] += [odd, frozen]
        config["output_layers"] = [["d", 0, 0]]

    with pytest.raises(UnsupportedModelError) as caught:
        harness.from_keras(archive(tmp_path, config=changed(change)))
    parts = {part.name: part for part in caught.value.parts}
    assert set(parts) == {"a", "b", "inner/a", "odd", "d"}
    assert all(str(part) in str(caught.value) for part in parts.values())
    assert parts["a"].class_name == "Lambda"
    assert parts["a"].way_out


def test_a_config_alone_has_no_weights(tmp_path):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(good_config()))
    spec, weights = harness.from_keras(path)
    assert weights is None
    assert spec.parameters == 3 * 4 + 4 + 4 * 2 + 2


def test_import_writes_what_load_model_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = archive(tmp_path)
    assert main(["import", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    spec, weights = harness.from_keras(path)
    assert harness.load_model("model.yaml").digest == spec.digest == told["digest"]
    from harness.records.checkpoint import load_checkpoint

    expected = {weight.name: weight.shape for weight in spec.weights}
    read = load_checkpoint("model.safetensors", expected).weights
    assert all(np.array_equal(read[name], weights[name]) for name in weights)
    assert main(["import", str(path)]) == 4
    assert main(["import", str(path), "--force"]) == 0
