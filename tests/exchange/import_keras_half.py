"""The Keras half: python -m tests.exchange.import_keras_half FOLDER [back]

Writes every model of keras_models.py as a .keras and as a legacy file, with its inputs and outputs, and what
`harness.from_keras` makes of it live. With "back" it loads what the PyTorch half wrote, with stock Keras.
"""

import json
import sys
import traceback
from pathlib import Path

import keras
import numpy as np

import harness
from harness.records.checkpoint import save_checkpoint
from tests.exchange.keras_models import MODELS, NOT_LEGACY, inputs_of

keras.config.set_floatx("float64")


def randomise(model):
    rng = np.random.default_rng(7)
    for weight in model.weights:
        values = rng.normal(0.0, 0.4, weight.shape)
        if weight.path.endswith(("variance", "gamma")):
            values = np.exp(values)
        if not weight.path.endswith("count"):
            weight.assign(values)


def predict(model, arrays):
    # By the structure that the model was made with; a dict is sorted by key, as its inputs are.
    structure = getattr(model, "_inputs_struct", None)
    fed = dict(zip(sorted(structure), arrays, strict=True)) if isinstance(structure, dict) else (
        arrays if len(arrays) > 1 else arrays[0])
    return [np.asarray(item) for item in keras.tree.flatten(model(fed, training=False))]


def write(folder):
    for name, function in MODELS.items():
        keras.utils.set_random_seed(0)
        model = function(keras)
        if name != "preprocessing":
            randomise(model)
        arrays = inputs_of(name, [(item.shape, item.dtype) for item in model.inputs])
        outputs = predict(model, arrays)
        model.save(folder / f"{name}.keras")
        if name not in NOT_LEGACY:
            model.save(folder / f"{name}.h5")
        (folder / f"{name}.config.json").write_text(model.to_json())
        model.save_weights(folder / f"{name}.weights.h5")
        np.savez(folder / f"{name}.npz", **{f"x{index}": array for index, array in enumerate(arrays)},
                 **{f"y{index}": array for index, array in enumerate(outputs)})
        spec, weights = harness.from_keras(model)
        (folder / f"{name}.live.json").write_text(json.dumps(spec.to_data()))
        save_checkpoint(folder / f"{name}.live.safetensors", weights)


def back(folder):
    found = {}
    for name in MODELS:
        try:
            saved = np.load(folder / f"{name}.npz")
            model = keras.models.load_model(folder / f"{name}.back.keras")
            arrays = [saved[f"x{index}"] for index in range(len(model.inputs))]
            wanted = [saved[key] for key in sorted(saved.files) if key.startswith("y")]
            errors = [float(np.abs(a - b).max()) for a, b in zip(predict(model, arrays), wanted, strict=True)]
            _, weights = harness.from_keras(folder / f"{name}.keras")
            _, again = harness.from_keras(model)
            same = {key.replace("/", "_"): value for key, value in weights.items()}
            equal = {key.replace("/", "_"): value for key, value in again.items()}
            bits = set(same) == set(equal) and all(np.array_equal(same[key], equal[key]) for key in same)
            found[name] = {"error": max(errors), "weights": bits}
        except Exception:
            found[name] = {"failed": traceback.format_exc(limit=-4)[-1500:]}
    (folder / "back.json").write_text(json.dumps(found))


if __name__ == "__main__":
    (back if sys.argv[2:] == ["back"] else write)(Path(sys.argv[1]))
