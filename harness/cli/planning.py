"""harness plan: what would be run, how much it is, and whether data and models fit; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.exits import OK
from harness.cli.output import Json, byte_size, emit, table
from harness.cli.progress import duration

if TYPE_CHECKING:
    from harness.runner.matrix import Cell
    from harness.spec.timing import Timing

Overrides = Annotated[list[str] | None, typer.Argument(help="key=value: recipe.epochs=3 matrix.seed=[0,1] ...")]
ExperimentArgument = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A .yaml or .json file, or a name.")]

# A row of series.parquet, compressed; what run.json holds beside the curves. Rough, and only said to be so.
SERIES_BYTES, RECORD_BYTES = 24, 12_000
# What a half takes before its warm-up: forking, planning, reading the conditions back, compiling.
BUILDING_SECONDS = 8.0
# Trying all programs of a backend once.
PILOT_SECONDS = 60.0
# Lines of the table; a matrix of more has them in --json.
MOST_ROWS = 200
SLOTS = 2  # of Adam for each weight: what most checkpoints hold beside the weights


def plan(experiment: ExperimentArgument, overrides: Overrides = None, as_json: Json = False) -> int:
    """Say what would be run, and whether data and models fit.

    Cells, parameters, FLOPs, steps and sizes; nothing is trained and nothing is written.
    """
    from harness.cli.experiments import doubts, read
    from harness.runner.check import check

    found = read(experiment, overrides or [])
    cells = check(found)
    entries = describe(cells)
    data = {"name": found.name, "question": found.question, "cells": entries, "totals": totals(entries),
            "blocks": blocks(cells, found.timing), "warnings": doubts(cells)}
    emit(data, _text(data), as_json)
    return OK


def describe(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """One entry per cell. Cells that differ only in backend and seed share the work. Raises SpecError."""
    from harness.runner.identity import shared

    known: dict[tuple[Any, ...], dict[str, Any]] = {}
    entries = []
    for cell in cells:
        key = shared(cell).form
        if key not in known:
            known[key] = _measures(cell)
        entries.append({
            "id": cell.id, "title": cell.title, "model": cell.model_name, "data": cell.data.name,
            "backend": cell.backend, "tier": cell.execution.tier, "seed": cell.seed, **known[key],
        })
    return entries


def _measures(cell: Cell) -> dict[str, Any]:
    """Steps, examples and sizes of one run."""
    from harness.runner.models import load_dataset
    from harness.spec.remat import told

    dataset = load_dataset(cell.data, cell.folder)
    phases = _phases(cell)
    steps = sum(phase["steps"] for phase in phases)
    trained = sum(phase["examples_trained"] for phase in phases)
    work = [phase.pop("training_flops") for phase in phases]
    width = 8 if cell.execution.precision == "float64" else 4
    return {
        "parameters": cell.model.parameters, "flops": cell.model.flops,
        "examples": dataset.examples, "classes": dataset.classes,
        "phases": phases, "steps": steps, "examples_trained": trained,
        "training_flops": None if None in work else sum(work),
        "remat": told(cell.model, cell.execution.remat),
        "weight_bytes": cell.model.parameters * width,
        "data_bytes": sum(array.nbytes for part in dataset.splits.values() for _, array in part.named()),
        "record_bytes": RECORD_BYTES + SERIES_BYTES * steps
        + len(phases) * (1 + SLOTS) * cell.model.parameters * width,
    }


def _phases(cell: Cell) -> list[dict[str, Any]]:
    """Each phase with its number of steps. The cell was checked before."""
    from harness.plan.finetune import model_of_phase
    from harness.runner.models import load_dataset
    from harness.spec.flops import training_work

    spec, phases = cell.model, []
    for phase in cell.recipe.resolved_phases():
        spec = model_of_phase(spec, phase)
        data = load_dataset(cell.data if phase.data is None else phase.data, cell.folder)
        part, batch = data.splits[phase.split], phase.batch_size or 1
        per_epoch = part.examples // batch if phase.drop_last else -(-part.examples // batch)
        steps = per_epoch * phase.epochs if phase.steps is None else min(phase.steps, per_epoch * phase.epochs)
        trained, work = min(steps * batch, part.examples * phase.epochs), training_work(spec)
        phases.append({
            "name": phase.name, "epochs": phase.epochs, "steps": steps, "examples_trained": trained,
            "trainable_parameters": spec.trainable_parameters, "start_from": phase.start_from,
            "training_flops": None if work is None else work.step * trained,
        })
    return phases


def totals(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    flops = [entry["training_flops"] for entry in entries]
    return {
        "cells": len(entries),
        "steps": sum(entry["steps"] for entry in entries),
        "examples_trained": sum(entry["examples_trained"] for entry in entries),
        "training_flops": None if None in flops else sum(flops),
        "record_bytes": sum(entry["record_bytes"] for entry in entries),
    }


def blocks(cells: Sequence[Cell], timing: Timing | None) -> dict[str, Any] | None:
    """The timed blocks of these cells, up to the first look and to the last; None where there are none."""
    from harness.runner.blocks import settings_to_time

    settings = 0 if timing is None else len(settings_to_time(cells))
    if timing is None or not settings:
        return None
    each = 2 * half_seconds(timing)
    least, most = settings * timing.looks[0], settings * timing.looks[-1]
    pilots = 2 * PILOT_SECONDS * settings if timing.pilot else 0.0
    return {"settings": settings, "looks": list(timing.looks), "least": least, "most": most, "block_seconds": each,
            "pilot_seconds": pilots, "least_seconds": pilots + least * each, "most_seconds": pilots + most * each}


def half_seconds(timing: Timing) -> float:
    """Roughly, of a small model on a CPU: building and compiling, a warm-up of about a window, the window, inference,
    evaluation."""
    window = timing.seconds(on_gpu=False)
    return BUILDING_SECONDS + 2 * window + timing.latency * (1.0 + 0.5 * len(timing.batch_sizes)) \
        + 0.5 * timing.evaluation + 5.0 * timing.end_to_end


def _text(data: dict[str, Any]) -> str:
    header = ("model", "data", "tier", "cells", "parameters", "FLOPs", "train examples", "steps", "training FLOPs")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for entry in data["cells"]:
        others = entry["title"].removesuffix(f"{entry['backend']}, {entry['tier']}, seed {entry['seed']}")
        key = (others.rstrip(", "), entry["data"], entry["tier"], entry["steps"])
        groups.setdefault(key, []).append(entry)
    rows = []
    for (title, name, tier, steps), entries in groups.items():
        first = entries[0]
        flops = first["training_flops"]
        rows.append((title, name, tier, len(entries), first["parameters"], first["flops"], first["examples"]["train"],
                     steps, None if flops is None else f"{flops:.3g}"))
    all_of = data["totals"]
    work = "" if all_of["training_flops"] is None else f", about {all_of['training_flops']:.3g} FLOPs"
    return "\n".join([
        f"{data['name']}: {data['question']}", "", table(header, rows[:MOST_ROWS]),
        *([f"and {len(rows) - MOST_ROWS:,} more lines like these; --json has every cell."] * (len(rows) > MOST_ROWS)),
        "",
        f"{all_of['cells']:,} cells, {all_of['steps']:,} steps{work}; records of about "
        f"{byte_size(all_of['record_bytes'])}. FLOPs are of one example's forward pass; steps and training FLOPs "
        "of one cell.",
        *dict.fromkeys(f"remat of {entry['model']}: {entry['remat']}." for entry in data["cells"] if entry["remat"]),
        *_block_lines(data["blocks"]),
        *(f"warning: {text}" for text in data["warnings"]),
    ])


def _block_lines(data: dict[str, Any] | None) -> list[str]:
    if data is None:
        return []
    several = f" of each of {data['settings']} settings" if data["settings"] > 1 else ""
    first, *others = data["looks"]
    more = f", {', '.join(map(str, others))} where that is not enough" if others else ""
    least, most = (duration(data[f"{name}_seconds"]) for name in ("least", "most"))
    time = f"about {least}" + (f", {most} at most" if others else "")
    return [f"{first} timed blocks{several}{more}: {time}, if a block takes {data['block_seconds']:.0f} s, as those of "
            "small models do."]
