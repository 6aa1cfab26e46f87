"""harness twin: the audit for people who move a Keras model to PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.exits import CONDITION_FAILED, OK
from harness.cli.output import Json, emit, table

if TYPE_CHECKING:
    from harness.certify.agreement import CallDifference
    from harness.runner.twin import Twin

HEADER = ("call", "type", "output shape", "outputs", "gradients", "state", "outputs 32", "gradients 32")


def twin(
    model: Annotated[str, typer.Argument(help="A .keras or .h5 file, a spec (.yaml, .json), FILE.py[:FUNCTION] or a "
                                              "library name.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The PyTorch source that is written; by default "
                                                                       "NAME_twin.py in this folder.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Canonical weights (.safetensors), not the model's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the generated inputs, and of first weights where there are none.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Examples of the generated inputs.")] = 2,
    size: Annotated[int, typer.Option(min=1, help="What a dimension becomes that the model leaves open.")] = 32,
    export: Annotated[bool, typer.Option(help="Write the PyTorch source.")] = True,
    as_json: Json = False,
) -> int:
    """Build a model in Keras and in PyTorch, compare outputs and gradients call by call, export the twin."""
    from harness.records.checkpoint import load_checkpoint
    from harness.runner.twin import twin as audit

    path = (output or Path(f"{_identifier(Path(model).stem)}_twin.py")) if export else None
    given = None if weights is None else load_checkpoint(weights).weights
    found = audit(model, given, export=path, seed=seed, batch=batch, size=size)
    emit(_data(found), _text(found), as_json)
    return OK if found.agrees else CONDITION_FAILED


def _identifier(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name) or "model"


def _text(found: Twin) -> str:
    rows = [(row.call, row.layer_type, " x ".join("?" if size is None else str(size) for size in row.output_shape),
             *_shown(row), *_shown(half)[:2])
            for row, half in zip(found.differences["float64"], found.differences["float32"], strict=True)]
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    return "\n".join([
        table(HEADER, rows), "",
        "Largest relative differences between Keras and PyTorch: outputs in inference and training, gradients by "
        "outputs and weights, state after a training step; float64, then float32.",
        *_conclusions(found), versions,
    ])


def _conclusions(found: Twin) -> list[str]:
    largest, worst = found.largest, found.first_difference
    lines = []
    if found.stock is not None:
        lines.append(f"Keras's own load_model of the file and the imported model: outputs differ by {found.stock:.1e}.")
    if worst is None:
        single = found.differences["float32"]
        outputs = max(row.differences["inference"] or 0.0 for row in single)
        lines.append(f"The twins agree: largest difference {largest['float64']:.1e} in float64 "
                     f"(limit {found.limit:.0e}); in float32 {outputs:.1e} in inference, "
                     f"{largest['float32']:.1e} in a training step.")
    else:
        kind = next(name for name, value in worst.differences.items() if value is not None and not value <= found.limit)
        lines.append(f"The twins differ: the first call beyond {found.limit:.0e} in float64 is {worst.call!r} "
                     f"({worst.layer_type}), {kind.replace('_', ' ')} {worst.differences[kind]:.1e}.")
    if found.exported is not None:
        lines.append(f"PyTorch source: {found.exported}, weights: {found.exported.with_suffix('.safetensors')}.")
    return lines


def _shown(row: CallDifference) -> tuple[str, str, str]:
    found = row.differences
    return _worst(found["inference"], found["training"]), _worst(found["gradient"], found["weight_gradient"]), \
        _worst(found["state"])


def _worst(*values: float | None) -> str:
    known = [value for value in values if value is not None]
    return f"{max(known):.0e}" if known else "-"


def _data(found: Twin) -> dict[str, Any]:
    worst = found.first_difference
    return {
        "model": found.spec.name, "digest": found.spec.digest, "parameters": found.spec.parameters,
        "agrees": found.agrees, "limit": found.limit, "largest": found.largest, "stock": found.stock,
        "first_difference": None if worst is None else worst.call,
        "exported": None if found.exported is None else str(found.exported), "versions": found.versions,
        "calls": {dtype: [{"call": row.call, "type": row.layer_type, "output_shape": row.output_shape,
                           **row.differences} for row in rows] for dtype, rows in found.differences.items()},
    }
