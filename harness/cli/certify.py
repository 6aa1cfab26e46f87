"""harness certify: are the two trainings of this model the same, and if not, where do they part?"""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import certify_port as options
from harness.cli.arguments import value
from harness.cli.exits import DIFFERENT, NOT_ENOUGH_EVIDENCE, OK
from harness.cli.output import Json, emit
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.certify.certificate import Certificate, Phase

FILES = ("certificate.json", "certificate.html")


def certify(
    model: Annotated[str | None, typer.Argument(help="A library name, a spec (.yaml, .json), FILE.py[:FUNCTION], or a "
                                                     ".keras or .h5 file.")] = None,
    recipe: Annotated[list[str] | None, typer.Option(
        help="A recipe's or an experiment's file, or key=value; may be given several times.")] = None,
    data: Annotated[str | None, typer.Option(
        help="A source: digits, a .csv, .npz or .parquet file, a folder, or YAML; by default digits where they fit the "
             "model, else generated.")] = None,
    precision: Annotated[str, typer.Option(help="Of the program that is really timed: float32, float64, mixed_bfloat16 "
                                                  "or mixed_float16.")]
    = "float32",
    remat: Annotated[str | None, typer.Option(help="What is computed again in the backward pass: full, activations, "
                                                   "blocks, larger_than:N, or names of layers in YAML.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the trajectory.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of first weights, batches and masks.")] = 0,
    seeds: Annotated[int, typer.Option(min=0, help="Whole runs over so many paired seeds (R5).")] = 0,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for certificate.json and "
                                                                       "certificate.html.")] = None,
    as_json: Json = False,
    keras: options.Keras = None, torch: options.Torch = None, names: options.Names = None,
    layout: options.Layout = "auto", accept: options.Accept = None, own_weights: options.OwnWeights = False,
    torch_loss: options.TorchLoss = None, torch_optimizer: options.TorchOptimizer = None,
    torch_step: options.TorchStep = None, torch_compile: options.TorchCompile = False,
) -> int:
    """Prove that TensorFlow and PyTorch train a model identically, or name where they part.

    Exit code 0: certified; 7: different; 6: not certified.
    """
    from harness.cli.progress import progress_display
    from harness.runner.certify import certify as prove

    source, told = read_data(data), read_recipe(recipe or ())
    execution = {"precision": precision, **({"remat": value(remat, "--remat")} if remat else {})}
    with progress_display() as display:
        if torch is not None or keras is not None or model is None:
            if remat:
                raise SpecError("--remat is of the layers of a spec, and this certifies a module of your own.")
            certificate = options.port(
                keras or model, torch, names, output, recipe=told, data=source, seed=seed, steps=steps, layout=layout,
                accept=accept or (), own_weights=own_weights, torch_loss=torch_loss, torch_optimizer=torch_optimizer,
                torch_step=torch_step, torch_compile=torch_compile, precision=precision, seeds=seeds, on_event=display)
        else:
            display({"event": "certifying", "title": model, "index": 1, "of": 1})
            certificate = prove(model, told, source, execution=execution, seed=seed, steps=steps, folder=Path.cwd(),
                                on_event=display)
            if seeds:
                certificate = _whole_runs(certificate, model, source, seeds, output, display)
    return show(certificate, output, as_json)


def _whole_runs(
    certificate: Certificate, model: str, data: Any, seeds: int, output: Path | None, display: Any,
) -> Certificate:
    """R5; the records are kept beside the certificate where that is written."""
    import tempfile

    from harness.runner.whole_runs import with_whole_runs

    with tempfile.TemporaryDirectory(prefix="harness-certify-") as name:
        folder = Path(name) / "runs" if output is None else output / "runs"
        return with_whole_runs(certificate, model, data, seeds, folder, display)


def show(certificate: Certificate, output: Path | None, as_json: bool) -> int:
    """Prints a certificate, writes its files, and gives the exit code."""
    from harness.certify.certificate import DIFFERENT as PARTED
    from harness.records import strict_json

    written = [] if output is None else write(certificate, output)
    data = strict_json.to_plain(certificate.to_data())
    emit({**data, "files": [str(path) for path in written]}, text(certificate, written), as_json)
    if certificate.certified:
        return OK
    return DIFFERENT if certificate.label == PARTED else NOT_ENOUGH_EVIDENCE


def write(certificate: Certificate, folder: Path) -> list[Path]:
    """certificate.json and certificate.html, whole or not at all."""
    from harness.records import strict_json
    from harness.report.certificate_page import certificate_html
    from harness.report.write import write_file

    folder.mkdir(parents=True, exist_ok=True)
    contents = (strict_json.dumps(certificate.to_data()) + "\n", certificate_html(certificate))
    for name, content in zip(FILES, contents, strict=True):
        write_file(folder / name, content.encode(errors="backslashreplace"))
    return [folder / name for name in FILES]


def read_recipe(items: Sequence[str]) -> dict[str, Any] | None:
    """Files and key=value, later ones over earlier ones; None without any. Raises SpecError."""
    from harness.errors import SpecError
    from harness.spec.axes import with_value
    from harness.spec.experiment import DEFAULT_LOSS
    from harness.spec.files import read_document

    if not items:
        return None
    found: dict[str, Any] = {"loss": DEFAULT_LOSS}
    for item in items:
        key, equals, _ = item.partition("=")
        if equals and not Path(item).is_file():
            from harness.cli.arguments import pairs

            found = with_value({"recipe": found}, ("recipe", *key.strip().split(".")), pairs([item])[key.strip()])[
                "recipe"]
            continue
        written = read_document(Path(item)).data
        written = written.get("recipe") if isinstance(written, Mapping) and "recipe" in written else written
        if not isinstance(written, Mapping):
            raise SpecError("expected a recipe, or an experiment that has one.", where=item)
        found |= {str(name): value for name, value in written.items()}
    return found


def read_data(text: str | None) -> Any:
    """A source by its name or path, or a mapping written as YAML; None for none."""
    if text is None or not text.lstrip().startswith("{"):
        return text
    from harness.cli.arguments import value

    return value(text, "--data")


def text(certificate: Certificate, written: Sequence[Path] = ()) -> str:
    """What the terminal shows: no colour, as wide as the terminal, readable in 60 columns."""
    from rich.console import Console
    from rich.text import Text

    from harness.certify import wording

    stream = io.StringIO()
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 50), 120)
    console = Console(file=stream, width=width, color_system=None, highlight=False, markup=False)
    console.print(Text(certificate.sentence))
    if certificate.finding is not None:
        for word, told in wording.finding(certificate.finding):
            console.print(Text(f"  {word}: {told}"))
        header, rows = wording.suspects(certificate.finding, certificate.backends)
        if rows:
            console.print(_grid(header, rows))
    for phase in certificate.phases:
        console.print(Text(f"\nPhase {phase.name}"))
        console.print(_ladder(phase, width))
        lines = [*(wording.trajectory(curve) for curve in phase.curves if curve.quantity == "weights"),
                 *wording.horizons(phase), *(f"Bug or noise: {sign}" for sign in phase.signs)]
        for line in lines:
            console.print(Text(line))
    console.print(Text(f"\n{'; '.join(f'{word}: {told}' for word, told in wording.subject(certificate))}"))
    for note in (wording.cost(certificate), *certificate.notes, *map(str, written)):
        if note:
            console.print(Text(note))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def _ladder(phase: Phase, width: int) -> Any:
    """On a narrow terminal without what is compared: the rung's name says it."""
    from harness.certify import wording

    header, rows = wording.LADDER, wording.ladder(phase)
    kept = range(len(header)) if width >= 76 else (0, 2, 4)
    return _grid([header[column] for column in kept], [[row[column] for column in kept] for row in rows])


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    """A table with a line under its header and nothing else."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in header:
        table.add_column(name, overflow="fold", justify="right" if name in ("figures", "seconds") else "left",
                         no_wrap=name in ("rung", "status", "figures", "seconds"))
    for row in rows:
        table.add_row(*map(Text, row))
    return table
