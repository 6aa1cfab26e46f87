"""Low-rank adapters out of a training's checkpoint: merged into the weights that they stand beside, or alone.

What alpha / rank is stands in no tensor. It is read from where it was decided: the record beside the checkpoint, or the
header of a file of adapters that `save_adapters` wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from harness.errors import SpecError
from harness.plan.adapters import merged, trained_beside
from harness.plan.finetune import model_of_phase
from harness.records.checkpoint import check_weights, load_checkpoint, save_checkpoint
from harness.records.folder import checkpoint_file
from harness.records.record import CorruptRecordError, read_record
from harness.spec.lora import LoRA, adapted_layers, is_adapter
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

LORA = "lora"  # the entry of a file's header


def merge_adapters(checkpoint: Path | str, output: Path | str, adapters: Path | str | None = None) -> list[str]:
    """Writes the weights with the adapters added to them: a checkpoint of the model as it was before it was adapted.

    checkpoint: a phase's, in the folder of its record; or, with adapters (a file of `save_adapters`), the weights that
    were adapted. Gives the names of the weights that were added to. Raises SpecError where there are no adapters, and
    for those of another model.
    """
    weights = load_checkpoint(checkpoint).weights
    if adapters is None:
        lora = _recorded(Path(checkpoint))[1]
    else:
        lora, added = _file(adapters)
        weights = {**weights, **_fitting(added, weights, adapters)}
    try:
        found = merged(weights, lora)
    except SpecError as error:
        raise error.at(str(adapters or checkpoint)) from None
    _write(output, found, {})
    return [name for name, array in found.items() if array is not weights[name]]


def save_adapters(checkpoint: Path | str, output: Path | str) -> dict[str, np.ndarray]:
    """Writes what a training with adapters has made, alone: the adapters and the other weights that were trained (a new
    head), with their rank and alpha. Gives these weights. checkpoint: a phase's, in the folder of its record."""
    spec, lora = _recorded(Path(checkpoint))
    weights = load_checkpoint(checkpoint, {weight.name: weight.shape for weight in spec.weights}).weights
    found = trained_beside(spec, weights)
    _write(output, found, {LORA: json.dumps(lora.to_data())})
    return found


def _write(output: Path | str, weights: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    path = Path(output)
    if not path.parent.is_dir():
        raise SpecError("there is no such folder.", where=str(path.parent))
    save_checkpoint(path, weights, metadata)


def _recorded(checkpoint: Path) -> tuple[ModelSpec, LoRA]:
    """The model and the adapters of the phase that left a checkpoint, from the record in the same folder."""
    where = str(checkpoint)
    try:
        cell = read_record(checkpoint.parent).cell
    except CorruptRecordError as error:
        raise SpecError(f"what the adapters' alpha is stands in the record of the run, which is not beside the "
                        f"checkpoint ({error})", where=where,
                        hint="Name the checkpoint in its place: RESULTS/cells/ID/PHASE.safetensors.") from None
    spec, lora = ModelSpec.from_data(cell["model"]["spec"]), None
    for phase in Recipe.parse(cell["recipe"]).resolved_phases():
        spec = model_of_phase(spec, phase)
        lora = phase.lora or (None if phase.merge_lora else lora)
        if checkpoint_file(phase.name) == checkpoint.name:
            break
    else:
        raise SpecError("the record beside it has no phase of this name.", where=where)
    if lora is None or not adapted_layers(spec):
        raise SpecError("the model of this phase has no adapters.", where=where)
    return spec, lora


def _file(path: Path | str) -> tuple[LoRA, dict[str, np.ndarray]]:
    """A file that `save_adapters` wrote."""
    found = load_checkpoint(path)
    if LORA not in found.metadata:
        raise SpecError("this checkpoint is no file of adapters: its header says nothing of their rank and alpha.",
                        where=str(path), hint="Write one by harness merge-lora CHECKPOINT --adapters-to FILE.")
    return LoRA.parse(json.loads(found.metadata[LORA])), found.weights


def _fitting(
    added: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray], where: Path | str,
) -> Mapping[str, np.ndarray]:
    """The weights of a file of adapters, if those that are no adapters have their place in the model."""
    others = {name: array for name, array in added.items() if not is_adapter(name)}
    heads = {name.partition("/")[0] for name in others}
    check_weights(others, {name: array.shape for name, array in weights.items() if name.partition("/")[0] in heads},
                  where=str(where))
    return added
