"""Canonical checkpoints: weights in Keras's layout and under canonical names, as safetensors.

Both backends read and write the same file, so a fine-tuning may start from the other framework's
checkpoint. A file holds the weights ("dense/kernel"), the optimizer's slots ("optimizer/...") and the
number of updates made ("optimizer/iterations"). Nothing here can execute code: pickles are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import SpecError, did_you_mean

SCHEMA = 1
OPTIMIZER = "optimizer/"
ITERATIONS = "optimizer/iterations"
SUFFIX = ".safetensors"
# The first bytes of what people call a checkpoint and what this is not.
FOREIGN = (
    (b"PK\x03\x04", "a zip archive (torch.save or a .keras file)"),
    (b"\x80", "a Python pickle"),
    (b"\x89HDF\r\n", "an HDF5 file (.h5, .weights.h5)"),
    (b"\x93NUMPY", "a .npy file"),
)


@dataclass(frozen=True)
class Checkpoint:
    """weights: canonical name -> array. optimizer: slot name -> array, without the "optimizer/" in front.
    iterations: updates made so far, None where the file does not say."""

    weights: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)
    iterations: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def save_checkpoint(
    path: Path | str, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes weights and, under "optimizer/...", slots and iterations; not atomic by itself."""
    from safetensors.numpy import save_file

    # np.require keeps zero-dimensional arrays, which ascontiguousarray would turn into vectors.
    arrays = {name: np.require(value, requirements="C") for name, value in tensors.items()}
    for name, value in arrays.items():
        if value.dtype.hasobject:
            raise SpecError("an object array cannot be stored.", where=f"{path}: {name}")
    header = {**(metadata or {}), "format": "harness", "schema": str(SCHEMA)}
    save_file(arrays, str(path), metadata=header)


def load_checkpoint(path: Path | str, expected: Mapping[str, Sequence[int | None]] | None = None) -> Checkpoint:
    """Reads a checkpoint and, where `expected` is given, checks it.

    expected: canonical weight name -> shape (None fits any size), the model's own table.
    Raises SpecError for a missing, foreign, truncated or newer file, and lists every tensor that is
    missing, extra or wrongly shaped.
    """
    path = Path(path)
    _refuse_foreign(path)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            _check_schema(path, metadata)
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, TypeError, KeyError, AttributeError) as error:
        raise SpecError(
            f"this is not a readable safetensors file ({error}).",
            where=str(path),
            hint="It may be truncated; a checkpoint is written by a run, or by harness.records.checkpoint.",
        ) from None
    checkpoint = _split(tensors, metadata)
    if expected is not None:
        check_weights(checkpoint.weights, expected, where=str(path))
    return checkpoint


def check_weights(
    weights: Mapping[str, np.ndarray], expected: Mapping[str, Sequence[int | None]], where: str | None = None
) -> None:
    """Raises SpecError, with one list for each kind of misfit, unless the tables agree name by name."""
    problems = []
    missing = [name for name in expected if name not in weights]
    extra = [name for name in weights if name not in expected]
    if missing:
        problems.append(f"missing: {_listing([f'{n} {_shape(expected[n])}' for n in missing])}")
    if extra:
        problems.append(f"not in the model: {_listing([f'{n} {_shape(weights[n].shape)}' for n in extra])}")
    wrong = [
        f"{name} is {_shape(weights[name].shape)}, the model's is {_shape(shape)}"
        for name, shape in expected.items()
        if name in weights and not _fits(weights[name].shape, shape)
    ]
    if wrong:
        problems.append(f"wrongly shaped: {_listing(wrong)}")
    if problems:
        near = did_you_mean(missing[0], extra) if missing and extra else ""
        raise SpecError(
            f"the weights do not fit the model; {'; '.join(problems)}.",
            where=where,
            hint=near or "Are they of another model?",
        )


def _refuse_foreign(path: Path) -> None:
    if path.is_dir():
        raise SpecError("expected a .safetensors file, found a folder.", where=str(path))
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        near = did_you_mean(path.name, _neighbours(path))
        raise SpecError(f"cannot open the checkpoint: {error.strerror}.", where=str(path), hint=near) from None
    for magic, kind in FOREIGN:
        # A pickle's second byte is its protocol number; a safetensors header length may begin with 0x80 too.
        if head.startswith(magic) and not (magic == b"\x80" and not 2 <= (head[1:2] or b"\0")[0] <= 5):
            if magic == b"\x80" and _looks_like_safetensors(path):
                continue
            raise SpecError(
                f"this is {kind}, not a canonical checkpoint.",
                where=str(path),
                hint="Only .safetensors is read, because it cannot run code.",
            )


def _looks_like_safetensors(path: Path) -> bool:
    """8 bytes of header length, then a JSON object that ends inside the file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= path.stat().st_size - 8 or length > 100_000_000:
            return False
        try:
            return isinstance(json.loads(file.read(length)), dict)
        except ValueError:
            return False


def _check_schema(path: Path, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != "harness":
        raise SpecError(
            "this safetensors file holds no canonical weights (its metadata has no format: harness).",
            where=str(path),
            hint="Its names and layouts are another program's; weights are not moved by guessing.",
        )
    schema = metadata.get("schema", "")
    if not schema.isdigit() or int(schema) > SCHEMA:
        raise SpecError(
            f"the checkpoint has schema {schema!r}, this version reads up to {SCHEMA}.",
            where=str(path),
            hint="Update the harness.",
        )


def _split(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> Checkpoint:
    weights = {name: value for name, value in tensors.items() if not name.startswith(OPTIMIZER)}
    slots = {
        name.removeprefix(OPTIMIZER): value
        for name, value in tensors.items()
        if name.startswith(OPTIMIZER) and name != ITERATIONS
    }
    iterations = int(tensors[ITERATIONS]) if ITERATIONS in tensors else None
    return Checkpoint(weights, slots, iterations, metadata)


def _neighbours(path: Path) -> list[str]:
    try:
        return [other.name for other in path.parent.iterdir()]
    except OSError:
        return []


def _fits(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    return len(shape) == len(expected) and all(
        want is None or have == want for have, want in zip(shape, expected, strict=True)
    )


def _shape(shape: Sequence[Any]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def _listing(items: list[str], most: int = 8) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
