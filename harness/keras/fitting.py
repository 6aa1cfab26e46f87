"""`model.fit`: the same training in every framework, one after the other, each in its worker.

Both halves start from weights that were drawn once, play the same batches, and go on from their own weights and
optimizer state when `fit` is called again.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.backends.contract import State
from harness.data import Dataset, save
from harness.errors import CellFailed, SpecError
from harness.keras import arrays
from harness.keras.certifying import certify_fit
from harness.keras.comparison import BLOCKS_BY, Comparison
from harness.keras.history import History
from harness.keras.progress import Progress
from harness.keras.state import STATE, derived, execution
from harness.keras.weights import canonical, half_of, halves, store
from harness.records import strict_json
from harness.records.checkpoint import save_checkpoint
from harness.records.experiment_file import EXPERIMENT_FILE
from harness.records.folder import checkpoint_file
from harness.records.record import Record, read_record, write_record
from harness.records.store import Store
from harness.runner import cell as cells
from harness.runner.locks import FileLock, machine_lock_path
from harness.runner.matrix import Cell, content_hash
from harness.runner.workers import Job, JobResult, worker
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.explicit import explicit
from harness.spec.host import device_part
from harness.spec.model import ModelSpec
from harness.spec.recipe import EarlyStopping, Recipe
from harness.training.state import read_state, to_tensors

if TYPE_CHECKING:
    from harness.keras.model import Model

ARRAYS = "arrays.npz"


@dataclass(frozen=True)
class Fit:
    """One call of fit with its arguments settled. folder: the store of its records; exchange: a temporary one.

    A store holds the runs of one setting: what was fitted before, model, recipe, execution and data are its name.
    Runs with other seeds join it, so that a script that is run again adds evidence.
    """

    model: Model
    spec: ModelSpec
    recipe: Recipe
    dataset: Dataset
    execution: Execution
    seed: int
    folder: Path
    exchange: Path

    def cell(self, half: str) -> Cell:
        return Cell(
            model=self.spec, model_name=self.spec.name, data=DatasetSpec.parse({"arrays": ARRAYS}), recipe=self.recipe,
            backend=half, execution=self.execution, seed=self.seed, labels={"model": self.spec.name, "backend": half},
            identity={"fingerprint": self.dataset.fingerprint}, folder=self.exchange,
        )

    def start(self, half: str) -> Path:
        """The checkpoint in which a half begins."""
        return self.folder / f"start-{self.seed}.{half}.safetensors"

    @property
    def phase(self) -> str:
        return self.recipe.phases[0].name


def fit(model: Model, x: Any, y: Any, batch_size: int | None, epochs: int, verbose: Any, callbacks: Any,
        validation_split: float, validation_data: Any, shuffle: Any, class_weight: Any, sample_weight: Any) -> History:
    """Settles everything, trains each half, takes over what they learned, and compares them.

    Raises SpecError for what cannot be done, CellFailed for a training that broke; then the model is as before.
    """
    compiled = model._compiled()
    settings = execution(compile=compiled.execution_compile)
    dataset = arrays.dataset(model, x, y, sample_weight, validation_data, validation_split, settings.precision)
    recipe = compiled.recipe(
        batch_size=int(batch_size or 32), shuffle=_shuffle(shuffle), early_stopping=early_stopping(callbacks),
        class_weight=None if not class_weight else {int(key): float(value) for key, value in class_weight.items()},
        phases=[{"name": phase_name(model.fits), "epochs": _whole("epochs", epochs)}],
    )
    spec = device_part(frozen_as_compiled(model))  # `arrays` holds what the host computes of text
    seed = model.seed if model.fits == 0 else derived(model.seed, "fit", model.fits)
    setting = content_hash([model.fitted, spec.digest, explicit(recipe), explicit(settings), dataset.fingerprint])
    folder = STATE.results_folder(model.graph.spec.name, f"{recipe.phases[0].name}-{setting[:8]}")
    with tempfile.TemporaryDirectory(dir=STATE.folder()) as exchange, Progress(verbose) as progress:
        job = Fit(model, spec, recipe, dataset, settings, seed, folder, Path(exchange))
        ids = train_halves(job, progress)
    records = {half: read_record(Store(folder).folder(id)) for half, id in ids.items()}
    for half, record in records.items():
        take_over(model, half, record, job.phase)
    model.fits, model.fitted = model.fits + 1, setting
    params = {"verbose": verbose, "epochs": epochs, "steps": -(-dataset.train.examples // recipe.batch_size)}
    return History(model, records[half_of(None)], params, Comparison(folder, list(ids.values())))


def train_halves(job: Fit, progress: Progress) -> dict[str, str]:
    """Runs every half with the machine to itself; returns the ids of their records.

    Raises what went wrong after all have had their turn.
    """
    names = halves()
    for half in names:
        worker(half).start()  # their imports overlap; no training is timed until all are done
    for half in names:
        worker(half).run(Job("harness.keras.jobs:ready")).unwrap()
    save(job.dataset, job.exchange / ARRAYS)
    write_about(job)
    failures: list[CellFailed] = []
    lock = FileLock(machine_lock_path())
    try:
        with lock.held(progress.waits):
            certify_fit(job)
            for half in names:
                failures += train_half(job, half, progress)
    finally:
        lock.close()
    if failures:
        raise failures[0]
    return {half: job.cell(half).id for half in names}


def write_about(job: Fit) -> None:
    """experiment.json: what the report says of where these runs came from."""
    script = Path(sys.argv[0]).name if sys.argv and sys.argv[0].endswith(".py") else "the script"
    about = {"name": f"{job.spec.name}, {job.phase}", "command": f"python {script}",
             "question": f"Which framework trains {job.spec.name} ({job.phase}) better?", "blocks_by": BLOCKS_BY}
    (job.folder / EXPERIMENT_FILE).write_text(strict_json.dumps(about) + "\n", encoding="utf-8")


def train_half(job: Fit, half: str, progress: Progress) -> list[CellFailed]:
    """One half in its worker. A mistake in the script is raised at once; a broken training is recorded."""
    compiled = job.model._compiled()
    state = State(canonical(job.model, half), compiled.slots.get(half, {}), compiled.iterations.get(half, 0))
    save_checkpoint(job.start(half), to_tensors(state))
    cell, started = job.cell(half), cells.now()
    folder = Store(job.folder).folder(cell.id)
    result: JobResult = worker(half).run(
        Job("harness.keras.jobs:fit", {"cell": cell.to_data(), "start": str(job.start(half)), "folder": str(folder)}),
        progress.of(half),
    )
    progress.done(half)
    if result.status == "done":
        return []
    assert result.reason is not None
    if result.reason["kind"] == "spec":
        result.unwrap()
    write_record(folder, cells.failure(cell, started, result.reason), {}, {})
    return [CellFailed(result.reason["kind"], f"{half}: {result.reason['message']}")]


def take_over(model: Model, half: str, record: Record, phase: str) -> None:
    """Puts a half's weights into the layers and its optimizer's state into the model."""
    assert record.folder is not None
    state = read_state(record.folder / checkpoint_file(phase))
    compiled = model._compiled()
    store(model, half, state.weights)
    compiled.slots[half], compiled.iterations[half] = state.slots, state.iterations


def frozen_as_compiled(model: Model) -> ModelSpec:
    """The model with its layers frozen as the first fit after compile found them: Keras's rule."""
    compiled, graph = model._compiled(), model.graph
    now = {label: layer.trainable for label, layer in graph.layers.items()}
    if compiled.trainable is None or set(compiled.trainable) != set(now):
        compiled.trainable = now
    elif compiled.trainable != now:
        changed = ", ".join(label for label in now if now[label] != compiled.trainable[label])
        warnings.warn(f"trainable of {changed} was changed after compile(); as in Keras, it counts from the next "
                      "compile() on.", stacklevel=4)
    _refuse_new_variables(compiled.slots, compiled.trainable, graph.spec)
    return graph.spec.with_trainable(compiled.trainable)


def _refuse_new_variables(slots: Mapping[str, Any], trainable: Mapping[str, bool], spec: ModelSpec) -> None:
    """An optimizer that was used already knows its variables; Keras refuses others, and so does this."""
    for kept in slots.values():
        known = {name for arrays_of in kept.values() for name in arrays_of}
        new = [weight.name for weight in spec.with_trainable(trainable).weights
               if weight.trainable and weight.name not in known]
        if known and new:
            raise SpecError(f"the optimizer was used before and does not know {', '.join(new)}.", where="fit",
                            hint="Compile with a new optimizer after unfreezing layers.")


def early_stopping(callbacks: Any) -> EarlyStopping | None:
    """The one callback that is carried. Raises SpecError for any other."""
    given = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []
    for callback in given:
        if not isinstance(callback, EarlyStopping):
            raise SpecError(
                f"the callback {type(callback).__name__} is not supported.", where="fit(callbacks=...)",
                hint="A callback is code inside one framework's loop; only EarlyStopping is carried by both.",
            )
    if len(given) > 1:
        raise SpecError("there are two EarlyStopping callbacks.", where="fit(callbacks=...)", hint="Give one.")
    return given[0] if given else None


def phase_name(fits: int) -> str:
    """pretrain, finetune, finetune_2, ..."""
    return "pretrain" if fits == 0 else "finetune" if fits == 1 else f"finetune_{fits}"


def _shuffle(value: Any) -> bool:
    if value not in (True, False, None):
        raise SpecError(f"shuffle is True or False, got {value!r}.", where="fit")
    return bool(value)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise SpecError(f"{name} is a whole number of at least 1, got {value!r}.", where="fit")
    return int(value)
