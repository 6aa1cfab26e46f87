"""harness import: a model that another program saved as a spec and canonical weights, without that program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.exits import OK
from harness.cli.output import Json, emit

ENDINGS = (".yaml", ".yml", ".json")


def import_model(
    model: Annotated[str, typer.Argument(help="A .keras file, a legacy .h5 file, a config .json; or hf:FOLDER of "
                                         "pretrained safetensors.")],
    parameters: Annotated[list[str] | None, typer.Argument(help="Of hf:FOLDER, the model's parameters: "
                                                           "head=classification.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The spec (.yaml, .json), with the weights "
                                                "beside it as .safetensors; by default MODEL.yaml here.")] = None,
    weights: Annotated[Path | None, typer.Option(help="A .weights.h5 file, for a config without weights.")] = None,
    new: Annotated[list[str] | None, typer.Option(help="Of hf:FOLDER, a layer that it need not have.")] = None,
    force: Annotated[bool, typer.Option(help="Write over files that exist.")] = False,
    as_json: Json = False,
) -> int:
    """Import a saved model: read its files without running code, write a spec and its weights."""
    from harness.errors import SpecError
    from harness.records.checkpoint import SUFFIX, save_checkpoint

    path = output or Path(f"{Path(model.removeprefix('hf:')).resolve().name.split('.')[0]}.yaml")
    if path.suffix not in ENDINGS:
        raise SpecError(f"a spec's file ends in {', '.join(ENDINGS)}, got {path.name!r}.")
    beside = path.with_suffix(SUFFIX)
    for file in (path, beside):
        if file.exists() and not force:
            raise SpecError("the file exists already.", where=str(file), hint="Give another -o, or --force.")
    spec, arrays, said = _read(model, parameters or [], weights, new or [])
    spec.save(path)
    if arrays is not None:
        save_checkpoint(beside, arrays, {"model": spec.name, "digest": spec.digest, "source": Path(model).name})
    data = {"model": spec.name, "spec": str(path), "weights": str(beside) if arrays is not None else None,
            "layers": len(spec.layers), "calls": len(spec.nodes), "parameters": spec.parameters,
            "digest": spec.digest, **said}
    text = [f"{spec.name}: {len(spec.layers)} layers, {spec.parameters:,} parameters", f"spec     {path}",
            f"weights  {beside}" if arrays is not None else "weights  none in the file; a build draws them",
            *(f"left out {name}: {reason}" for name, reason in said.get("ignored", {}).items())]
    emit(data, "\n".join(text), as_json)
    return OK


def _read(
    model: str, parameters: list[str], weights: Path | None, new: list[str]
) -> tuple[Any, Any, dict[str, Mapping[str, Any]]]:
    """(spec, weights, what to say of the tensors)."""
    from harness.errors import SpecError

    if not model.startswith("hf:"):
        if parameters or new:
            raise SpecError("parameters and --new are for hf:FOLDER; a Keras file says what its model is.")
        from harness.exchange.from_keras import from_keras

        return (*from_keras(Path(model), weights), {})
    if weights is not None:
        raise SpecError("--weights is for a Keras config; hf:FOLDER has its weights with it.")
    from harness.cli.arguments import pairs
    from harness.exchange.pretrained.loading import load_pretrained
    from harness.exchange.pretrained.models import complete, pretrained_model

    spec = pretrained_model(model, **pairs(parameters))
    found = load_pretrained(model, spec, new=new)
    sources = {name: {"tensor": tensor, "layout": layout} for name, (tensor, layout) in found.sources.items()}
    return spec, complete(spec, found), {"tensors": sources, "ignored": found.ignored}
