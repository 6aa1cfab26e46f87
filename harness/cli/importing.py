"""harness import: a Keras model's file as a spec and canonical weights, without Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.exits import OK
from harness.cli.output import Json, emit

ENDINGS = (".yaml", ".yml", ".json")


def import_model(
    model: Annotated[Path, typer.Argument(help="A .keras file, a legacy .h5 file, or a config .json.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The spec (.yaml, .json), with the weights "
                                                "beside it as .safetensors; by default MODEL.yaml here.")] = None,
    weights: Annotated[Path | None, typer.Option(help="A .weights.h5 file, for a config without weights.")] = None,
    force: Annotated[bool, typer.Option(help="Write over files that exist.")] = False,
    as_json: Json = False,
) -> int:
    """Import a Keras model: read its file without running code, write a spec and its weights."""
    from harness.errors import SpecError
    from harness.exchange.from_keras import from_keras
    from harness.records.checkpoint import SUFFIX, save_checkpoint

    path = output or Path(f"{model.name.split('.')[0]}.yaml")
    if path.suffix not in ENDINGS:
        raise SpecError(f"a spec's file ends in {', '.join(ENDINGS)}, got {path.name!r}.")
    beside = path.with_suffix(SUFFIX)
    for file in (path, beside):
        if file.exists() and not force:
            raise SpecError("the file exists already.", where=str(file), hint="Give another -o, or --force.")
    spec, arrays = from_keras(model, weights)
    spec.save(path)
    if arrays is not None:
        save_checkpoint(beside, arrays, {"model": spec.name, "digest": spec.digest, "source": model.name})
    data = {"model": spec.name, "spec": str(path), "weights": str(beside) if arrays is not None else None,
            "layers": len(spec.layers), "calls": len(spec.nodes), "parameters": spec.parameters,
            "digest": spec.digest}
    text = [f"{spec.name}: {len(spec.layers)} layers, {spec.parameters:,} parameters", f"spec     {path}",
            f"weights  {beside}" if arrays is not None else "weights  none in the file; a build draws them"]
    emit(data, "\n".join(text), as_json)
    return OK
