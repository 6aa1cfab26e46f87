"""harness show: the layer table of a model."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.exits import OK
from harness.cli.output import Json, emit, write


def show(
    model: Annotated[str | None, typer.Argument(help="A library name, a spec (.yaml, .json), or FILE.py[:FUNCTION]; "
                                                "without it the library is listed.")] = None,
    parameters: Annotated[list[str] | None, typer.Argument(help="The model's parameters: units=[32,32].")] = None,
    spec: Annotated[bool, typer.Option("--spec", help="Print the model as a YAML spec.")] = False,
    as_json: Json = False,
) -> int:
    """Show a model's layers, shapes, parameters and FLOPs."""
    if model is None:
        return _library(as_json)
    from harness.cli.arguments import pairs
    from harness.models import load_model
    from harness.spec.summary import rows

    found = load_model(model, **pairs(parameters or []))
    if spec and not as_json:
        import yaml

        write(yaml.safe_dump(found.to_data(), sort_keys=False, default_flow_style=None, width=110).rstrip("\n"))
        return OK
    data = {
        "name": found.name, "parameters": found.parameters, "trainable_parameters": found.trainable_parameters,
        "flops": found.flops, "digest": found.digest,
        "layers": [
            {"name": row.name, "type": row.type, "output_shape": row.output_shape, "parameters": row.parameters,
             "flops": row.flops, "inputs": row.inputs}
            for row in rows(found)
        ],
        "spec": found.to_data(),
    }
    emit(data, found.summary(), as_json)
    return OK


def _library(as_json: bool) -> int:
    from harness.models import accepted_parameters, available_models

    models = {
        name: {"path": str(path), "parameters": sorted(accepted_parameters(name))}
        for name, path in available_models().items()
    }
    width = max((len(name) for name in models), default=0)
    lines = [f"{name.ljust(width)}  {', '.join(entry['parameters'])}" for name, entry in models.items()]
    emit(models, "\n".join(lines), as_json)
    return OK
