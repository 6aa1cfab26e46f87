"""Stock Keras's side of test_text.py: writes what its layers make of text_cases.py to the .npz file that is named."""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np

from tests.data.text_cases import ADAPTED, CASES, CROSSINGS


def learned(layer: Any, kind: str) -> dict[str, np.ndarray]:
    """What adapt has found."""
    if kind == "Normalization":
        return {"mean": np.asarray(layer.adapt_mean), "variance": np.asarray(layer.adapt_variance)}
    if kind == "Discretization":
        return {"bin_boundaries": np.asarray(layer.bin_boundaries)}
    found = {"vocabulary": np.asarray(layer.get_vocabulary(include_special_tokens=False))}
    lookup = getattr(layer, "_lookup_layer", layer)
    if lookup.output_mode == "tf_idf":
        found["idf_weights"] = lookup.idf_weights_const.numpy()[-len(found["vocabulary"]):]
    return found


def main(path: str) -> None:
    arrays: dict[str, np.ndarray] = {}
    for name, (kind, arguments, values) in CASES.items():
        arrays[name] = np.asarray(getattr(keras.layers, kind)(**arguments)(np.array(values)))
    for name, (arguments, features) in CROSSINGS.items():
        layer = keras.layers.HashedCrossing(**arguments)
        arrays[name] = np.asarray(layer(tuple(np.array(feature) for feature in features)))
    for name, (kind, arguments, data) in ADAPTED.items():
        layer = getattr(keras.layers, kind)(**arguments)
        layer.adapt(np.array(data))
        arrays |= {f"{name}: {key}": value for key, value in learned(layer, kind).items()}
    np.savez(path, **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
