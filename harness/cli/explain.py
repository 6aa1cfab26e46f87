"""harness explain: why the same model learns something else with each framework's own defaults."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.exits import CONDITION_FAILED, OK
from harness.cli.output import Json, emit, table

if TYPE_CHECKING:
    from harness.report.explanation import Explanation
    from harness.spec.model import ModelSpec


def explain(
    model: Annotated[str, typer.Argument(help="A library name, a spec (.yaml, .json), or FILE.py[:FUNCTION].")],
    parameters: Annotated[list[str] | None, typer.Argument(help="The model's parameters: units=[32,32].")] = None,
    data: Annotated[str, typer.Option(help="A named set, or YAML: a file, or the text itself.")] = "digits",
    recipe: Annotated[str | None, typer.Option(help="How to train, as YAML: a file, or the text itself. What it does "
                                                    "not say is a default.")] = None,
    execution: Annotated[str | None, typer.Option(help="Device, threads, compile..., as YAML.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many paired seeds.")] = 5,
    backend: Annotated[str, typer.Option(help="In which the variants are trained.")] = "pytorch",
    metric: Annotated[str | None, typer.Option(help="The final metric; by default the recipe's first.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the results; what it holds is not trained "
                                                                 "again.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Train again what failed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the defaults that differ, and leave.")] = False,
    as_json: Json = False,
) -> int:
    """Train with each framework's own defaults, and say how much of the gap each default explains.

    Switches the defaults one at a time over paired seeds: 2 n + 4 trainings per seed for n defaults.
    """
    from harness.cli.arguments import pairs
    from harness.cli.progress import progress_display
    from harness.runner.explain import explain as run
    from harness.runner.models import ModelSource
    from harness.spec.dataset import DatasetSpec

    described = DatasetSpec.parse(_yaml(data))
    _, spec = ModelSource(Path.cwd()).load({model: pairs(parameters or [])}, described)
    with progress_display() as display:
        found = run(spec, _recipe(spec, described, recipe), described, seeds, backend, metric, out,
                    execution=None if execution is None else _yaml(execution), on_event=display,
                    retry_failed=retry_failed, dry_run=dry_run, command=_command())
    emit(found.to_data(), _text(found), as_json)
    return CONDITION_FAILED if found.failed else OK


def _yaml(text: str) -> Any:
    """The content of a YAML file, or the text as YAML."""
    from harness.cli.arguments import value
    from harness.spec.files import read_document

    path = Path(text)
    return read_document(path).data if path.suffix in (".yaml", ".yml", ".json") else value(text, text)


def _recipe(spec: ModelSpec, data: Any, text: str | None) -> dict[str, Any]:
    """The recipe as written; loss and metrics by the model's last layer and the data where it leaves them out."""
    from harness.errors import SpecError

    given = {} if text is None else _yaml(text)
    if not isinstance(given, dict):
        raise SpecError(f"a recipe is a mapping, got {given!r}.", hint="Write {optimizer: adam, epochs: 2}.")
    if "loss" in given:
        return given
    from harness.cli.starting import objective
    from harness.runner.models import load_dataset

    loss, metrics = objective(spec, load_dataset(data, Path.cwd()).classes is None)
    return {"loss": loss, "metrics": metrics, **given}


def _command() -> str:
    return shlex.join(["harness", *(word for word in sys.argv[1:] if word != "--retry-failed")])


def _text(found: Explanation) -> str:
    from harness.report.explanation import HEADER, notes, rows, sentence

    lines = [table(HEADER if found.attribution else HEADER[:3], rows(found)), "", sentence(found), *notes(found)]
    return "\n".join([*lines, *([] if found.folder is None else [str(found.folder / "explanation.md")])])
