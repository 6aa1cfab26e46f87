"""harness init: a commented experiment for the user's own model and data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.exits import OK
from harness.cli.looking import Seen, look
from harness.cli.output import Json, emit
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.spec.model import ModelSpec

TEMPLATE = """\
# An experiment: what is trained, on which data, how, in which frameworks, and what decides.
#   harness check {file}     looks for mistakes
#   harness plan {file}      says what would be run
#   harness run {file}       runs what is not done yet, then answers the question
# Every value can be changed for one run: harness run {file} recipe.batch_size=64 matrix.seed=[0]

name: {name}
question: Do both frameworks train {model} equally well, and which trains it faster?

# A set by its name (digits, breast_cancer, wine, diabetes, fashion_mnist, mnist, cifar10, imdb) or your own file:
# {{csv: FILE, target: COLUMN}}, {{parquet: FILE, target: COLUMN}}, {{npz: FILE}}, {{images: FOLDER}}.
data:
  source: {source}
  split: {{validation: 0.15, test: 0.15, seed: 0}}    # shares; a test set that the data brings is kept
  {prepare}

recipe:
  loss: {loss}
  optimizer: {{Adam: {{learning_rate: 0.001}}}}
  metrics: [{metrics}]
  batch_size: 32
  # early_stopping: {{monitor: val_loss, patience: 3}}
  phases:
    - {{name: pretrain, epochs: 5}}
    # A second phase goes on from the first: freeze layers by name, train more gently.
    # - {{name: finetune, epochs: 3, freeze: [{first_layer}], optimizer: {{Adam: {{learning_rate: 0.0003}}}}}}

execution: {{device: auto, precision: float32, threads: 1}}

# Every combination is one cell. Speed is decided by timed blocks; whether both learn as well, by five seeds or more.
matrix:
  model: [{model_entry}]
  backend: [tensorflow, pytorch]
  seed: [0, 1, 2, 3, 4]

# primary decides; margin is the share, and accuracy_margin the difference, that count.
verdict: {{primary: samples_per_second, margin: 0.03, accuracy_margin: 0.005}}
"""


def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("experiment.yaml"),
    model: Annotated[str, typer.Option(help="A library name, a spec, or FILE.py[:FUNCTION].")] = "mlp",
    data: Annotated[str, typer.Option(help="A named set, a .csv, .parquet or .npz file, a folder of images.")] =
    "digits",
    target: Annotated[str | None, typer.Option(help="The target column of a .csv or .parquet file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: Json = False,
) -> int:
    """Write a commented experiment for your model and data."""
    if file.suffix not in (".yaml", ".yml"):
        raise SpecError("the file's ending must be .yaml.", where=str(file))
    if file.exists() and not force:
        raise SpecError("the file exists already.", where=str(file), hint="Choose another name, or add --force.")
    if not file.parent.is_dir():
        raise SpecError("there is no such folder.", where=str(file.parent))
    source = source_of(data, target, file.parent)
    seen = look(source, file.parent)
    source = {**source, **seen.source} if isinstance(source, dict) else source
    found, arguments = model_for(model, bool(seen.quantity))
    text = experiment_text(file, model, arguments, found, source, seen)
    _check(text, file)
    file.write_text(text, encoding="utf-8")
    emit({"path": str(file)}, f"{file}\nNext: harness check {file}, then harness run {file}", as_json)
    return OK


def model_for(name: str, quantity: bool) -> tuple[ModelSpec, dict[str, Any]]:
    """(the model, the arguments that make it one for a quantity where it takes them)."""
    from harness.models import load_model

    if quantity:
        arguments = {"num_classes": 1, "output_activation": None}
        try:
            return load_model(name, **arguments), arguments
        except SpecError:
            pass
    return load_model(name), {}


def experiment_text(
    file: Path, name: str, arguments: dict[str, Any], model: ModelSpec, source: Any, seen: Seen,
) -> str:
    """The commented file. The loss follows from the model's last layer and the data."""
    import yaml

    def inline(value: Any) -> str:
        text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
        return str(text).removesuffix("\n").removesuffix("\n...")

    loss, metrics = objective(model, bool(seen.quantity))
    entry: Any = _relative(name, file.parent) if "/" in name or "." in name else name
    entry = {entry: arguments} if arguments else entry
    frozen = next((layer for layer in model.layers if model.layer_weights(layer)), "*")
    steps = [{"clean": {"missing": seen.missing}}] if seen.missing else []
    prepare = "# prepare: [standardise]" if _ids(model) else (
        f"prepare: {inline([*steps, 'standardise'])}".ljust(51) + "# fitted on the training split only")
    return TEMPLATE.format(
        file=file.name, name=inline(file.stem), model=model.name, source=inline(source), prepare=prepare,
        loss=inline(loss), metrics=", ".join(metrics), first_layer=inline(frozen), model_entry=inline(entry),
    )


def objective(model: ModelSpec, quantity: bool) -> tuple[Any, list[str]]:
    """(loss, metrics) that fit the target and the model's first output: its activation and its units."""
    layer = model.layers[next(node.layer for node in model.nodes if node.name == model.outputs[0].split(":")[0])]
    activation = "softmax" if type(layer).__name__ == "Softmax" else getattr(layer, "activation", None)
    units = model.tensors[model.outputs[0]][-1]
    if quantity or (units == 1 and activation not in ("sigmoid", "softmax")):
        return "mean_squared_error", ["mean_absolute_error"]
    if units == 1:
        return "binary_crossentropy", ["accuracy"]
    if activation == "softmax":
        return "sparse_categorical_crossentropy", ["accuracy"]
    return {"SparseCategoricalCrossentropy": {"from_logits": True}}, ["accuracy"]


def source_of(data: str, target: str | None, folder: Path) -> Any:
    """The source in the notation of an experiment, its path relative to the experiment's folder."""
    path = Path(data)
    ending = path.suffix.lower().lstrip(".")
    if ending in ("csv", "parquet"):
        if target is None:
            raise SpecError(f"the table {data!r} needs a target column.", hint="Add --target COLUMN.")
        return {ending: _relative(data, folder), "target": target}
    if target is not None:
        raise SpecError("--target goes with a .csv or .parquet file.", hint=f"The data is {data!r}.")
    if ending == "npz":
        return {"npz": _relative(data, folder)}
    return {"images": _relative(data, folder)} if path.is_dir() else data


def _relative(path: str, folder: Path) -> str:
    """The path as seen from the folder, absolute where it leads outside."""
    file, colon, function = path.partition(":") if ".py:" in path else (path, "", "")
    absolute = os.path.abspath(file)
    relative = os.path.relpath(absolute, folder)
    return (absolute if relative.startswith("..") else relative) + colon + function


def _ids(model: ModelSpec) -> bool:
    """Whether the model takes word indices, which must stay as they are."""
    return any(item.dtype.startswith("int") for item in model.inputs)


def _check(text: str, file: Path) -> None:
    """What is written must be what `harness check` takes."""
    from harness.spec.experiment import Experiment
    from harness.spec.files import read_yaml

    document = read_yaml(text, file)
    Experiment.parse(document.data, name=file.stem, folder=file.parent.resolve())
