"""harness export: a model as PyTorch source, a Keras file, ONNX or a spec."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.exits import OK
from harness.cli.output import Json, byte_size, emit


class Kind(StrEnum):
    pytorch = "pytorch"
    keras = "keras"
    onnx = "onnx"
    yaml = "yaml"
    json = "json"


# The kind of a file by its ending, where --to is left out.
ENDINGS = {".py": Kind.pytorch, ".keras": Kind.keras, ".onnx": Kind.onnx, ".yaml": Kind.yaml, ".yml": Kind.yaml,
           ".json": Kind.json}


def export(
    model: Annotated[str, typer.Argument(help="A library name, a spec (.yaml, .json), FILE.py[:FUNCTION], or a .keras "
                                              "file.")],
    parameters: Annotated[list[str] | None, typer.Argument(help="The model's parameters: units=[32,32].")] = None,
    to: Annotated[Kind | None, typer.Option(help="What is written; by default what the output's ending says.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file; by default MODEL with the ending of "
                                                                       "its kind.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Canonical weights (.safetensors).")] = None,
    seed: Annotated[int, typer.Option(help="Of the first weights, where none are given.")] = 0,
    dtype: Annotated[str, typer.Option(help="Of the model: float32, float64, float16, bfloat16.")] = "float32",
    force: Annotated[bool, typer.Option(help="Write over files that exist.")] = False,
    as_json: Json = False,
) -> int:
    """Write a model as PyTorch source that stands alone, as a .keras file, as ONNX, or as a spec."""
    from harness.cli.arguments import pairs
    from harness.errors import SpecError
    from harness.exchange.export import export as write

    kind, path = _target(model, to, output)
    files = [path, *([path.with_suffix(".safetensors")] if kind is Kind.pytorch else [])]
    for file in files:
        if file.exists() and not force:
            raise SpecError("the file exists already.", where=str(file), hint="Give another -o, or --force.")
    if Path(model).suffix in (".keras", ".h5", ".hdf5"):
        from harness.exchange.from_keras import from_keras

        if parameters:
            raise SpecError("a Keras file takes no parameters.", where=model)
        spec, own = from_keras(model)
    else:
        from harness.models import load_model

        spec, own = load_model(model, **pairs(parameters or [])), None
    written = write(spec, kind.value, path, weights if weights is not None else own, seed=seed, dtype=dtype)
    data = {"model": spec.name, "to": kind.value, "files": [str(file) for file in written],
            "parameters": spec.parameters, "digest": spec.digest}
    lines = [f"{spec.name}: {spec.parameters:,} parameters",
             *(f"{file}  {byte_size(file.stat().st_size)}" for file in written)]
    emit(data, "\n".join(lines), as_json)
    return OK


def _target(model: str, to: Kind | None, output: Path | None) -> tuple[Kind, Path]:
    """What is written, and where."""
    from harness.errors import SpecError
    from harness.exchange.export import KINDS

    if to is None:
        if output is None or output.suffix not in ENDINGS:
            raise SpecError("what should be written?", hint=f"Give --to {', '.join(Kind)}, or an -o that ends in "
                                                            f"{', '.join(ENDINGS)}.")
        return ENDINGS[output.suffix], output
    name = Path(model.rpartition(":")[0] or model).stem
    return to, output or Path(f"{name}{KINDS[to.value][0]}")
