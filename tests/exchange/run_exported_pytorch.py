"""Exports models as PyTorch source and runs the files where there is no harness, beside the networks they stand for.

`python -m tests.exchange.run_exported_pytorch FOLDER KEY...` writes FOLDER/results.json: {key: {"worst": difference,
"file": name}, or for applications `application_differences`, or {"error": traceback}}. A key is a conformance case,
"operation/NAME", "model/NAME" of tests/models/small.py or "application/NAME", whose Keras half is in the folder
(NAME.keras, NAME.npz, NAME_float32.npy). Both sides get the same inputs, weights and seed of torch's generator, in
float64; outputs, gradients and what a training step leaves behind are compared. Of an application the outputs are
compared with Keras's, in both precisions.
"""

from __future__ import annotations

import builtins
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.backends.pytorch.model import build_network
from harness.exchange.export import export
from harness.exchange.from_keras import from_keras
from harness.models import load_model
from harness.spec.model import ModelSpec
from tests.conformance import engine
from tests.conformance.cases.operations import CASES as OPERATIONS
from tests.models.small import SMALL


def load_file(path: Path) -> dict[str, Any]:
    """Runs a file in a namespace where `import harness` fails."""
    real = builtins.__import__

    def guarded(name: str, *rest: Any, **more: Any) -> Any:
        top = name.partition(".")[0]
        if top in ("harness", "numpy", "tensorflow", "keras", "safetensors"):
            raise ImportError(f"an exported file may not import {name}")
        return real(name, *rest, **more)

    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path), "__builtins__": {
        **vars(builtins), "__import__": guarded}}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names


def model_of(names: dict[str, Any]) -> nn.Module:
    """The model of a loaded file: its last class."""
    classes = [value for value in names.values()
               if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == names["__name__"]]
    model: nn.Module = classes[-1]()
    return model


def difference(spec: ModelSpec, weights: engine.Arrays, inputs: list[np.ndarray], path: Path) -> float:
    """The largest difference of anything between the network and the exported file. Raises AssertionError where
    there is something on one side only."""
    network = build_network(spec, weights, "float64")
    _, stored = export(spec, "pytorch", path, weights, dtype="float64")
    names = load_file(path)
    model = model_of(names)
    names["load_weights"](model, stored)
    ours, theirs = _numbers(network, inputs), _numbers(model, inputs)
    assert len(ours) == len(theirs)
    worst = 0.0
    for x, y in zip(ours, theirs, strict=True):
        assert x.shape == y.shape
        worst = max(worst, float((x - y).abs().nan_to_num().max()) if x.numel() else 0.0)
        assert torch.equal(x.isnan(), y.isnan())
    return worst


def _numbers(model: nn.Module, arrays: list[np.ndarray]) -> list[torch.Tensor]:
    """Inference, outputs in training, gradients, and the tensors after it."""
    model.eval()
    with torch.no_grad():
        found = _listed(model(*map(torch.from_numpy, arrays)))
    model.train()
    torch.manual_seed(7)
    inputs = [torch.from_numpy(array) for array in arrays]
    floating = [x.requires_grad_() for x in inputs if x.is_floating_point()]
    outputs = _listed(model(*inputs))
    factors = np.random.default_rng(3)
    total = torch.stack([(y.double() * torch.from_numpy(factors.normal(size=tuple(y.shape)))).sum() for y in outputs])
    if total.requires_grad:
        total.sum().backward()  # type: ignore[no-untyped-call]
    # In the order of their registration, which is that of the layers on both sides.
    parameters = list(model.parameters())
    found += [y.detach() for y in outputs]
    found += [torch.zeros(()) if x.grad is None else x.grad for x in (*floating, *parameters)]
    found += [x.detach() for x in model.state_dict().values()]
    found.append(torch.tensor([float(parameter.requires_grad) for parameter in parameters]))
    return [x.double() for x in found]


def _listed(result: Any) -> list[torch.Tensor]:
    return list(result) if isinstance(result, (list, tuple)) else [result]


def library_model(name: str) -> tuple[ModelSpec, list[np.ndarray]]:
    """A small one of the model library, masks and dropout where there may be any, and its inputs."""
    case = SMALL[name]
    spec = load_model(case.model, **case.parameters)
    x, _ = case.data(engine.generator(name, "export"))
    by_name = x if isinstance(x, dict) else {spec.inputs[0].name: x}
    return spec, [by_name[item.name][:engine.BATCH] for item in spec.inputs]


def compared(key: str, path: Path) -> float:
    """The largest difference of what the key stands for."""
    kind, _, name = key.partition("/")
    if kind == "operation":
        case = next(case for case in OPERATIONS if case.name == name)
        return difference(case.spec(), {}, case.arrays(), path)
    if kind == "model":
        spec, inputs = library_model(name)
        return difference(spec, engine.weights_of(key, spec), inputs, path)
    layer_case = engine.all_cases()[key]
    spec = layer_case.spec()
    return difference(spec, engine.weights_of(key, spec), engine.inputs_of(key, layer_case), path)


def application_differences(name: str, folder: Path, path: Path) -> dict[str, float]:
    """Of the file's outputs from Keras's, relative to the largest: "float64", "float32"; "keras" is how far Keras's
    own float32 is from its float64."""
    spec, weights = from_keras(folder / f"{name}.keras")
    found = {}
    with np.load(folder / f"{name}.npz") as arrays:
        wanted = {"float64": arrays["y"], "float32": np.load(folder / f"{name}_float32.npy")}
        for dtype in ("float64", "float32"):
            _, stored = export(spec, "pytorch", path, weights, dtype=dtype)
            names = load_file(path)
            model = model_of(names).eval()
            names["load_weights"](model, stored)
            with torch.no_grad():
                y = model(torch.from_numpy(arrays["x"].astype(dtype))).numpy()
            found[dtype] = float(np.abs(y - wanted[dtype]).max() / np.abs(wanted[dtype]).max())
    found["keras"] = float(np.abs(wanted["float32"] - wanted["float64"]).max() / np.abs(wanted["float64"]).max())
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    results: dict[str, dict[str, Any]] = {}
    for number, key in enumerate(sys.argv[2:]):
        path = folder / f"exported_{number}.py"
        try:
            if key.startswith("application/"):
                results[key] = application_differences(key.partition("/")[2], folder, path)
            else:
                results[key] = {"worst": compared(key, path), "file": path.name}
        except Exception:  # reported by the key's own test
            results[key] = {"error": traceback.format_exc(limit=-5)}
    (folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
