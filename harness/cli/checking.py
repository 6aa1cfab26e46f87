"""harness check and harness schema: what is written down, judged and described without a framework."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.exits import OK, USAGE
from harness.cli.output import Json, emit, print_error
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.spec.files import Document

# What each kind of file holds; the first key is the one that no other kind has.
KEYS = {
    "model": ("layers", "inputs", "outputs", "name"),
    "experiment": ("matrix", "recipe", "data", "execution", "question", "verdict", "name"),
    "recipe": ("loss", "optimizer", "metrics", "batch_size", "epochs", "phases", "shuffle", "early_stopping"),
}


class Kind(StrEnum):
    model = "model"
    recipe = "recipe"
    data = "data"
    execution = "execution"
    experiment = "experiment"


def check(
    files: Annotated[list[str], typer.Argument(help="Models, experiments or recipes: .yaml, .json, .py.")],
    as_json: Json = False,
) -> int:
    """Check files without loading a framework. Exit code 4 if one of them is wrong."""
    found, failed = [], False
    for file in files:
        try:
            found.append({"file": file, "ok": True, **check_file(file)})
        except SpecError as error:
            failed = True
            found.append({"file": file, "ok": False, "error": str(error)})
            print_error(str(error), None, "spec", as_json, error)
    passed = [line for entry in found if entry["ok"] for line in (
        f"{entry['file']}: {entry['summary']}", *(f"warning: {text}" for text in entry.get("warnings", [])))]
    if passed or as_json:
        emit(found, "\n".join(passed), as_json)
    return USAGE if failed else OK


def check_file(file: str) -> dict[str, Any]:
    """{"kind", "summary"} of a file without mistakes. Raises SpecError for one with some."""
    path = Path(file)
    if path.suffix == ".py" or ".py:" in file or not path.suffix:
        return _model(file)
    from harness.spec.files import read_document

    document = read_document(path)
    kind = kind_of(document.data, str(path))
    if kind == "model":
        return _model(file)
    if kind == "experiment":
        return _experiment(document)
    from harness.spec.recipe import Recipe

    try:
        recipe = Recipe.parse(document.data)
    except SpecError as error:
        raise error.at(str(path)) from None
    return {"kind": kind, "summary": f"recipe, {len(recipe.resolved_phases())} phase(s)"}


def kind_of(data: Any, where: str) -> str:
    """The kind of file, by the keys that it has (or nearly has). Raises SpecError if it fits none."""
    if not isinstance(data, Mapping):
        raise SpecError(f"expected a mapping, got {'nothing' if data is None else type(data).__name__}.", where=where,
                        hint="A model has 'layers', an experiment 'matrix' or 'data', a recipe 'loss'.")
    scores = {kind: sum(_nearness(str(key), keys) for key in data) for kind, keys in KEYS.items()}
    best = max(scores, key=lambda kind: scores[kind])
    if scores[best] == 0:
        raise SpecError(f"this is no model, experiment or recipe: found {', '.join(map(str, data)) or 'nothing'}.",
                        where=where, hint="A model has 'layers', an experiment 'matrix' or 'data', a recipe 'loss'.")
    return best


def _nearness(key: str, keys: tuple[str, ...]) -> float:
    if key in keys:
        return 2.0 if key == keys[0] else 1.0
    return 0.5 if difflib.get_close_matches(key, keys, n=1, cutoff=0.7) else 0.0


def _model(file: str) -> dict[str, Any]:
    from harness.models import load_model

    model = load_model(file)
    return {"kind": "model", "summary": f"model {model.name!r}, {len(model.nodes)} layers, "
                                        f"{model.parameters:,} parameters"}


def _experiment(document: Document) -> dict[str, Any]:
    from harness.cli.experiments import check_experiment, doubts
    from harness.spec.experiment import Experiment

    path = document.path
    cells = check_experiment(
        Experiment.parse(document.data, name=path.stem, folder=path.resolve().parent, document=document))
    return {"kind": "experiment", "summary": f"experiment, {len(cells)} cells", "warnings": doubts(cells)}


def schema(
    kind: Annotated[Kind, typer.Argument(help="What to describe.")] = Kind.experiment,
    as_json: Json = True,
) -> int:
    """Print the JSON Schema of what you write."""
    from harness.cli.schema import json_schema

    data = json_schema(kind.value)
    emit(data, "", True)
    return OK
