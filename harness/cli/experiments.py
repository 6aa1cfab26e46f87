"""Finding an experiment, and checking it as far as that goes without data and frameworks."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import SpecError, did_you_mean
from harness.spec.experiment import Experiment, read_experiment
from harness.spec.sources import FileSource

if TYPE_CHECKING:
    from harness.runner.matrix import Cell
    from harness.spec.model import ModelSpec
    from harness.spec.recipe import ResolvedPhase

# Layers that put out the values that they are given, in another form.
_SAME_VALUES = ("Reshape", "Flatten", "Permute", "Identity", "Cropping1D", "Cropping2D", "Cropping3D")


def locate(name: str) -> Path:
    """The file: a path, or the name of an experiment in ./experiments or of those that come with the package."""
    path = Path(name)
    if path.suffix or path.is_file():
        return path
    from harness.models import library_folder

    known: dict[str, Path] = {}
    for folder in (Path("experiments"), library_folder("experiments")):
        for file in sorted(folder.glob("*.yaml")):
            known.setdefault(file.stem, file)
    if name not in known:
        raise SpecError(f"there is no experiment {name!r}.",
                        hint=did_you_mean(name, known) or "Give the path of a .yaml file.")
    return known[name]


def read(name: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of that path or name. Raises SpecError with file and line."""
    return read_experiment(locate(str(name)), overrides)


def check_experiment(experiment: Experiment) -> list[Cell]:
    """The cells, each with a model, phases, outputs and files that fit. Raises SpecError.

    Without the data a model stands in its default shape, so only `plan` and `run` know whether the two fit.
    """
    from harness.runner.dependencies import ordered
    from harness.runner.matrix import cells

    found = cells(experiment, with_data=False)
    if not found:
        raise SpecError("the matrix is empty: everything is excluded.", where=experiment.where("exclude"))
    seen: set[tuple[str, int]] = set()
    for cell in found:
        key = (cell.model.digest, id(cell.recipe))
        if key not in seen:
            seen.add(key)
            try:
                _check_file(cell)
            except SpecError as error:
                raise error.at(experiment.where("data", "source")) from None
            try:
                _check_phases(cell)
            except SpecError as error:
                raise error.at(f"{experiment.where('recipe')}: model {cell.model_name!r}") from None
    try:
        ordered(found)
    except SpecError as error:
        raise error.at(experiment.where("recipe", "phases")) from None
    return found


def _check_file(cell: Cell) -> None:
    """Raises the data room's own error for a file that is not there, or that lies outside the folder."""
    source = cell.data.source
    if not isinstance(source, FileSource):
        return
    path = Path(source.path).expanduser()
    outside = not path.is_absolute() and ".." in path.parts
    if outside or not ((cell.folder or Path()) / path).exists():
        from harness.runner.models import dataset_identity

        dataset_identity(cell.data, cell.folder)


def _check_phases(cell: Cell) -> None:
    from harness.plan.finetune import model_of_phase
    from harness.runner.pretrained import check_source

    check_source(cell.recipe, cell.folder)
    spec = cell.model
    for phase in cell.recipe.resolved_phases():
        spec = model_of_phase(spec, phase)
        try:
            _check_phase(spec, phase, cell.folder)
        except SpecError as error:
            raise error.at(f"phase {phase.name!r}") from None


def _check_phase(spec: ModelSpec, phase: ResolvedPhase, folder: Path | None) -> None:
    from harness.backends import BACKENDS
    from harness.spec.recipe import check_metrics, losses_by_output

    losses_by_output(phase.loss or {}, spec.output_names)
    check_metrics(phase, spec.output_names)
    if not any(weight.trainable for weight in spec.weights):
        raise SpecError("every layer is frozen: there is nothing to train.", hint="Unfreeze a layer.")
    names = {weight.name for weight in spec.weights} | set(spec.layers)
    for pattern in phase.learning_rate_multipliers:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SpecError(f"learning_rate_multipliers: nothing fits {pattern!r}.", hint=did_you_mean(pattern, names))
    if phase.start_from not in ("previous", *BACKENDS) and not ((folder or Path()) / phase.start_from).is_file():
        raise SpecError(f"start_from: there is no checkpoint {phase.start_from!r}.",
                        hint=f"Expected 'previous', {', '.join(BACKENDS)}, or the path of a .safetensors file.")


def doubts(cells: Sequence[Cell]) -> list[str]:
    """What is allowed and hardly meant, in sentences: a loss that takes logits for probabilities, or the reverse."""
    from harness.runner.identity import shared
    from harness.spec.recipe import losses_by_output

    found: dict[str, None] = {}
    seen = set()
    for cell in cells:
        if (key := (shared(cell).form, cell.model_name)) in seen:
            continue
        seen.add(key)
        for phase in shared(cell).phases:
            for output, loss in losses_by_output(phase.loss or {}, cell.model.output_names).items():
                from_logits = getattr(loss, "from_logits", None)
                probabilities = _activation(cell.model, output) in ("softmax", "sigmoid")
                if from_logits is None or from_logits != probabilities:
                    continue
                made, taken = ("probabilities", "logits") if probabilities else ("logits", "probabilities")
                found[f"model {cell.model_name!r}, phase {phase.name!r}: the output {output!r} gives {made} and "
                      f"{type(loss).__name__} takes {taken}: from_logits should be {not from_logits}."] = None
    return list(found)


def _activation(model: ModelSpec, output: str) -> str | None:
    inputs = {item.name for item in model.inputs}
    node = next(node for node in model.nodes if node.name == output)
    layer = model.layers[node.layer]
    while type(layer).__name__ in _SAME_VALUES and node.inputs[0] not in inputs:
        node = next(before for before in model.nodes if before.name == node.inputs[0].partition(":")[0])
        layer = model.layers[node.layer]
    return "softmax" if type(layer).__name__ == "Softmax" else getattr(layer, "activation", None)
