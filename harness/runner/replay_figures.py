"""What a run is held against: the digest of its weights, and its plan played back from the spec alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.backends.contract import State
from harness.plan.finetune import model_of_phase
from harness.plan.plan import Plan, Tape
from harness.runner.matrix import Cell
from harness.runner.models import load_dataset
from harness.runner.pretrained import first_weights
from harness.training.run import Job, behind_the_host, game_plan, phase_dataset, plan_phase, start_of_phase

TAPE_FIELDS = tuple(Tape.__dataclass_fields__)


def digest_of_weights(weights: Mapping[str, np.ndarray]) -> str:
    """sha256 (hex) over name, dtype, shape and bytes of every array by name; little-endian on every machine."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.asarray(weights[name])
        little = array.dtype.newbyteorder("<")
        digest.update(f"{name}|{little.str}|{array.shape}|".encode())
        digest.update(np.ascontiguousarray(array, dtype=little).tobytes())
    return digest.hexdigest()


def plans_of(
    cell: Cell, after: Callable[[str], State | None], twins: Callable[[str, str], State] | None = None,
) -> list[Plan]:
    """The plans that the cell's training plays, without a framework.

    after: the state with which a phase ended, by its name; None where it is not known: then the plans end there.
    twins: the state of the other backend's run after a phase. Raises SpecError, DataError.
    """
    class Named:
        name = cell.backend

    backend: Any = Named()
    job = Job(
        cell.model, cell.recipe, load_dataset(cell.data, cell.folder), backend, cell.execution, seed=cell.seed,
        weights=first_weights(cell.model, cell.recipe, cell.seed, cell.folder), checkpoint_of=twins,
        dataset_of=lambda data: load_dataset(data, cell.folder), source=cell.data.source, base=cell.folder)
    if cell.recipe.deep_q_learning is not None:
        return [game_plan(job).plan]
    job = behind_the_host(job)
    plans: list[Plan] = []
    spec, state = job.spec, job.state
    for index, phase in enumerate(cell.recipe.resolved_phases()):
        spec = model_of_phase(spec, phase)
        if phase.pretraining and cell.backend != cell.recipe.pretrained_in:
            continue
        state = start_of_phase(job, spec, phase, index, state)
        plan, _, _ = plan_phase(job, spec, phase, index, state, phase_dataset(job, phase))
        plans.append(plan)
        state = after(phase.name)
        if state is None:
            break
    return plans


def tape_arrays(plans: list[Plan]) -> dict[str, np.ndarray]:
    """ "<phase, from 0>/<field of the tape>" -> array."""
    return {f"{index}/{name}": np.ascontiguousarray(getattr(plan.tape, name))
            for index, plan in enumerate(plans) for name in TAPE_FIELDS}


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file that need not be a checkpoint: losses, a tape. Raises ValueError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, OSError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
