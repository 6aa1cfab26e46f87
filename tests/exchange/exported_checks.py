"""Checks of exported files and of their loader, in a process with torch: `python -m tests.exchange.exported_checks
FOLDER`. A failed one ends the process with its traceback."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness import Input, Model, SpecError, layers, load_model
from harness.backends.pytorch.state_files import load_weights, read_tensors, save_weights
from harness.exchange.export import export
from harness.plan.initial import initial_weights
from tests.exchange.run_exported_pytorch import load_file, model_of


def raised(kind: type[Exception], function: Any, *arguments: Any) -> str:
    try:
        function(*arguments)
    except kind as error:
        return str(error)
    raise AssertionError(f"{function} raised nothing")


def check_loader(folder: Path) -> None:
    model, path = torch.nn.Linear(3, 2), folder / "weights.safetensors"
    before = model.weight.detach().clone()
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        save_weights({"weight": torch.arange(6).reshape(2, 3).to(dtype), "bias": torch.zeros(2)}, path, {"note": "n"})
        load_weights(model, path)
        assert torch.equal(model.weight, torch.arange(6.0).reshape(2, 3))
        assert read_tensors(path)["weight"].dtype == dtype
    with torch.no_grad():
        model.weight.copy_(before)
    save_weights({"weight": torch.zeros(3, 2), "other": torch.zeros(0)}, path, {})
    message = raised(ValueError, load_weights, model, path)
    for part in ("bias is missing", "other is not in the model", "weight has the shape (3, 2), the model's is (2, 3)"):
        assert part in message, message
    assert torch.equal(model.weight, before)
    whole = path.read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    for broken in (b"", whole[:5], whole[:20], whole[:8 + length], b"\xff" * 40):
        path.write_bytes(broken)
        assert str(path) in raised(ValueError, load_weights, model, path)
    header = json.dumps({"weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 4_000_000]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 24)
    assert "damaged at weight" in raised(ValueError, load_weights, model, path)


def check_frozen_shared_and_named(folder: Path) -> None:
    left, right = Input((6,), name="left"), Input((6,), name="right image")
    shared = layers.Dense(4, name="forward")
    joined = layers.Concatenate(name="x")([shared(left), shared(right)])
    first = layers.Dense(3, trainable=False, name="block/dense.1")(joined)
    spec = Model([left, right], [first, layers.Dense(1, name="class")(first)], name="dense")
    weights = initial_weights(spec, 3)
    path, stored = export(spec, "pytorch", folder / "named.py", weights, dtype="float64")
    names = load_file(path)
    model = model_of(names)
    names["load_weights"](model, stored)
    assert type(model).__name__ == "DenseModel"
    assert sorted(name for name, _ in model.named_children()) == ["block_dense_1", "class_", "forward_", "x"]
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == [
        "block_dense_1.weight", "block_dense_1.bias"]
    assert np.array_equal(model.get_parameter("forward_.weight").detach().numpy(), weights["forward/kernel"].T)
    outputs = model(torch.zeros(2, 6, dtype=torch.float64), torch.ones(2, 6, dtype=torch.float64))
    assert [tuple(y.shape) for y in outputs] == [(2, 3), (2, 1)]


def check_hostile_names(folder: Path) -> None:
    """A model that came in a file may have any names: none of them becomes code."""
    code = '__"""\\n\'\'\';(_:=__import__("os").mkdir("hacked"));#\\'
    x = image = Input((3,), name="image")
    spec = Model(image, layers.Dense(2, name=code.replace(" ", "").replace(":", ""))(x), name=code)
    path, stored = export(spec, "pytorch", folder / "hostile.py")
    names = load_file(path)
    names["load_weights"](model_of(names), stored)
    assert not Path("hacked").exists()
    assert not (folder / "hacked").exists()
    odd = Model(image := Input((3,), name="text", dtype="string"), layers.Identity()(image), name="odd")
    assert "no tensors of 'string'" in raised(SpecError, export, odd, "pytorch", folder / "odd.py")


def check_refusals(folder: Path) -> None:
    class Odd(torch.nn.Module):
        """Takes what no text can be made of."""

        def __init__(self, array: np.ndarray) -> None:
            super().__init__()
            self.array = torch.from_numpy(array)

    from harness.backends.pytorch.layers import BUILDERS
    from harness.spec.layers.core import Identity

    original = BUILDERS[Identity]
    x = image = Input((3,), name="image")
    for name in ("first", "second"):
        x = layers.Identity(name=name)(x)
    spec = Model(image, x, name="odd")
    try:
        BUILDERS[Identity] = lambda layer, *shapes: Odd(np.zeros(3))
        message = raised(SpecError, export, spec, "pytorch", folder / "odd.py")
        assert "'first' (Identity: ndarray)" in message, message
        assert "'second' (Identity: ndarray)" in message, message
        BUILDERS[Identity] = lambda layer, *shapes: _local()
        assert "top level" in raised(SpecError, export, spec, "pytorch", folder / "odd.py")
    finally:
        BUILDERS[Identity] = original
    assert not (folder / "odd.py").exists()


def _local() -> torch.nn.Module:
    class Local(torch.nn.Module):
        """Is defined in a function."""

    return Local()


def check_drawing(folder: Path) -> None:
    """The exported dropout draws from torch's generator, and from nothing else."""
    path, _ = export(load_model("mlp", dropout=0.5), "pytorch", folder / "mlp.py")
    text = path.read_text()
    assert "key" not in text.replace("for key", "")
    assert "class Dropout(Drawing)" in text
    model = model_of(load_file(path)).train()
    x = torch.ones(4, 28, 28)
    torch.manual_seed(0)
    first, second = model(x), model(x)
    torch.manual_seed(0)
    assert torch.equal(model(x), first)
    assert not torch.equal(first, second)
    model.eval()
    assert torch.equal(model(x), model(x))


def main() -> None:
    folder = Path(sys.argv[1])
    for check in (check_loader, check_frozen_shared_and_named, check_hostile_names, check_refusals, check_drawing):
        check(folder)
        print(check.__name__)


if __name__ == "__main__":
    main()
