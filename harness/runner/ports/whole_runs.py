"""R5 of a port: whole trainings of the Keras model and of the user's module over paired seeds.

Both begin with the same weights, drawn for each seed, and see the same batches. Dropout is active here: Keras's side
draws from the plan, the module from PyTorch's own generator. So this rung says something of it, and R1 to R4 do not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.analysis.verdict import which
from harness.analysis.whole_runs import NOT_RUN, WholeRuns
from harness.certify.certificate import Certificate
from harness.certify.ports.mapping import PortMapping
from harness.errors import SpecError
from harness.report.results import Results
from harness.runner.cell import cell_job, done, now, save
from harness.runner.certificates import OnEvent
from harness.runner.check import check
from harness.runner.driver import Settings, execute
from harness.runner.matrix import Cell
from harness.runner.whole_runs import judged
from harness.spec.experiment import Experiment
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

PORT_FILE, DATA_FILE = "port.json", "data.npz"
CELL_JOB = f"{__name__}:port_cell_job"


def free_folder(folder: Path) -> Path:
    """Raises SpecError for a folder that has runs already: those of a module that may have been changed since."""
    if folder.is_dir() and any(folder.iterdir()):
        raise SpecError("there are runs already, perhaps of another state of the port.", where=str(folder),
                        hint="Delete the folder, or name another one.")
    return folder


def with_whole_runs(
    certificate: Certificate, spec: ModelSpec, recipe: Recipe, data: Any, port: Mapping[str, Any], *, precision: str,
    seeds: int, folder: Path, on_event: OnEvent | None = None,
) -> Certificate:
    """The certificate with R5, of `seeds` paired runs whose records go to `folder`. spec, recipe: the Keras model as it
    is. data: a source. port: {"torch", "mapping", "layout", "outputs", "compiled"}. Raises SpecError for what cannot
    be run."""
    reason = None
    if data is None:
        reason = "the data was generated; name some to train on"
    elif len(recipe.resolved_phases()) > 1:
        reason = "the recipe has several phases, a port is trained in one"
    if reason is not None:
        return judged(certificate, WholeRuns(NOT_RUN, 0, "", reason))
    free_folder(folder).mkdir(parents=True, exist_ok=True)
    experiment = Experiment.parse({
        "name": "whole_runs", "model": spec.to_data(), "data": _source(data, folder), "recipe": recipe,
        "execution": {"precision": precision, "device": "cpu"}, "seed": list(range(seeds)), "certify": False,
    }, folder=Path.cwd())
    cells = check(experiment)
    (folder / PORT_FILE).write_text(json.dumps(dict(port), indent=1) + "\n")
    execute(experiment, cells, folder, on_event, Settings(function=CELL_JOB))
    records = Results(folder).records()
    failed = [record for record in records if record.status == "failed"]
    found = [item.certification.whole_runs for item in which(records).comparisons]
    if len(found) == 1 and found[0] is not None:
        return judged(certificate, found[0])
    why = f"{failed[0].cell['backend']}: {failed[0].data['reason']['message']}" if failed else "nothing to compare"
    return judged(certificate, WholeRuns(NOT_RUN, 0, "", f"no seed was finished by both ({why})"))


def _source(data: Any, folder: Path) -> Any:
    """Arrays in memory as a file beside the runs; a source as it is."""
    if isinstance(data, (str, Mapping)):
        return data
    from harness.data import from_arrays
    from harness.data.dataset import Dataset
    from harness.data.given import save as save_arrays

    if not isinstance(data, Dataset):
        x, y, *weight = data
        data = from_arrays(x, y, sample_weight=weight[0] if weight else None)
    save_arrays(data, folder / DATA_FILE)
    return {"source": {"arrays": str((folder / DATA_FILE).resolve())}}


def port_cell_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """The workers' entry point, as `cell.cell_job`: PyTorch's cell trains the port that the runs' folder tells of."""
    cell = Cell.from_data(arguments["cell"])
    if cell.backend != "pytorch":
        return cell_job(arguments, emit)
    from harness.backends.pytorch.ports.backend import PortBackend
    from harness.runner.models import load_dataset
    from harness.training.run import Job, train

    folder, started = Path(arguments["folder"]), now()
    told = json.loads((folder.parents[1] / PORT_FILE).read_text())
    mapping = PortMapping.from_data(told["mapping"], cell.model)
    backend = PortBackend(told["torch"], mapping.entries, mapping.zeros, layout=told["layout"],
                          given_as=told["outputs"], compiled=told["compiled"], seed=cell.seed)
    dataset = load_dataset(cell.data, cell.folder)
    training = train(Job(cell.model, cell.recipe, dataset, backend, cell.execution, seed=cell.seed, base=cell.folder,
                         progress=emit))
    save(folder, done(cell, started, training, dataset, backend.versions()), training)
    return {"id": cell.id, "test": training.test}
