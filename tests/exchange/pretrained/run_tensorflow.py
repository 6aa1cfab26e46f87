"""`python -m tests.exchange.pretrained.run_tensorflow FOLDER CASE...`: what the TensorFlow backend makes of what
run_pytorch saved, in FOLDER/<case>/tensorflow.npz."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import harness
from harness.exchange.pretrained.loading import load_pretrained
from harness.exchange.pretrained.models import from_pretrained
from tests.exchange.pretrained.cases import CASES, MINILM, RESNETS, fed, inputs_of


def ours(spec: Any, weights: Any, arrays: list[np.ndarray], dtype: str = "float64") -> np.ndarray:
    model = harness.build(spec, "tensorflow", weights=weights, dtype=dtype)
    return np.asarray(model(arrays if len(arrays) > 1 else arrays[0], training=False))


def library(name: str, folder: Path) -> None:
    """One of CASES or RESNETS."""
    place = folder / name
    if name in RESNETS:
        spec = harness.load_model("resnet", form="imagenet", depth=RESNETS[name], filters=4, num_classes=3,
                                  input_shape=(64, 64, 3), output_activation=None)
        weights = load_pretrained(f"hf:{place}", spec, architecture="resnet").weights
        arrays = [np.load(place / "reference.npz")["image"]]
    else:
        spec, weights = from_pretrained(f"hf:{place}", **CASES[name].parameters)
        arrays = fed(spec, inputs_of(CASES[name]))
    np.savez(place / "tensorflow.npz", output=ours(spec, weights, arrays))


def minilm(folder: Path, outputs: dict[str, tuple[str, str]], file: str) -> None:
    """outputs: name -> (head, precision)."""
    arrays = dict(np.load(folder / "reference.npz"))
    found = {}
    for name, (head, dtype) in outputs.items():
        spec, weights = from_pretrained(MINILM, input_shape=arrays["input_ids"].shape[1:], head=head)
        found[name] = ours(spec, weights, fed(spec, arrays), dtype)
    np.savez(folder / file, **found)


def main(folder: Path, names: list[str]) -> None:
    for name in names:
        if name == "minilm":
            minilm(folder / name, {"hidden": ("hidden", "float32"), "embedding": ("embedding", "float32")},
                   "tensorflow.npz")
        elif name == "minilm, the rest":
            minilm(folder / "minilm", {"hidden64": ("hidden", "float64"), "pooled": ("pooled", "float32")},
                   "tensorflow, the rest.npz")
        else:
            library(name, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
