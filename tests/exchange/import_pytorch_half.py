"""The PyTorch half: python -m tests.exchange.import_pytorch_half FOLDER

Imports every file that the Keras half wrote, builds the PyTorch twin, compares its outputs with Keras's and writes what
it found into pytorch.json; and writes each model back as NAME.back.keras.
"""

import json
import sys
import traceback
from pathlib import Path

import numpy as np
import torch

import harness
from harness.exchange.keras_writer import write_keras_file
from harness.records.checkpoint import load_checkpoint
from harness.spec.keras_config import model_to_keras_config, read_keras_config
from harness.spec.model import ModelSpec
from tests.exchange.keras_models import MODELS, NOT_IN_JSON, NOT_LEGACY


def equal(first, second):
    return set(first) == set(second) and all(np.array_equal(first[key], second[key]) for key in first)


def look(folder, name):
    saved = np.load(folder / f"{name}.npz")
    spec, weights = harness.from_keras(folder / f"{name}.keras")
    spec.save(folder / f"{name}.yaml")
    again = harness.load_model(folder / f"{name}.yaml")
    twin = harness.build(again, "pytorch", weights=weights, dtype="float64").eval()
    arrays = [torch.from_numpy(saved[f"x{index}"]) for index in range(len(spec.inputs))]
    with torch.no_grad():
        outputs = twin(*arrays)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    wanted = [saved[key] for key in sorted(saved.files) if key.startswith("y")]
    kept = harness.get_weights(twin)
    live = ModelSpec.from_data(json.loads((folder / f"{name}.live.json").read_text()))
    found = {
        "error": max(float(np.abs(a.numpy() - b).max()) for a, b in zip(outputs, wanted, strict=True)),
        "yaml": again.digest == spec.digest, "weights": equal(kept, weights),
        "live": live.digest == spec.digest
        and equal(load_checkpoint(folder / f"{name}.live.safetensors").weights, weights),
    }
    flat = read_keras_config(model_to_keras_config(spec)).spec
    found["config"] = renamed(flat) == renamed(spec)
    if name not in NOT_IN_JSON:
        other, parts = harness.from_keras(folder / f"{name}.config.json", weights=folder / f"{name}.weights.h5")
        found["parts"] = other.digest == spec.digest and equal(parts, weights)
    if name not in NOT_LEGACY:
        legacy, old = harness.from_keras(folder / f"{name}.h5")
        found["legacy"] = legacy.digest == spec.digest and equal(old, weights)
    write_keras_file(spec, kept, folder / f"{name}.back.keras")
    return found


def renamed(spec):
    """The spec with the names that Keras can have, its own name left out."""
    data = spec.to_data()
    data.pop("name")
    return json.loads(json.dumps(data, sort_keys=True).replace("/", "_"))


def main(folder):
    found = {}
    for name in MODELS:
        try:
            found[name] = look(folder, name)
        except Exception:
            found[name] = {"failed": traceback.format_exc(limit=-4)[-1500:]}
    (folder / "pytorch.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
