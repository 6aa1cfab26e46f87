"""The tasks of a run as plain data: what a node is told about a cell, a certificate, a block."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.records.folder import checkpoint_file
from harness.runner.blocks import Blocks
from harness.runner.cell_runner import Settings
from harness.runner.certificates import Due
from harness.runner.executors.contract import Place, Request, Task, Turn
from harness.runner.executors.node import THREADS, name_of
from harness.runner.executors.turns import BlockTurn
from harness.runner.matrix import Cell
from harness.spec.execution import Execution
from harness.spec.explicit import explicit


def gpus_of(execution: Execution, places: Sequence[Place]) -> int:
    """Whole devices: "auto" is a GPU where the cluster has one."""
    if execution.device == "auto":
        return int(any(place.gpus for place in places))
    return int(execution.device == "gpu")


def threads_here() -> dict[str, str]:
    """The driver's own settings of thread pools, which its nodes take over."""
    return {name: os.environ[name] for name in THREADS if name in os.environ}


def cell_task(turn: Turn, settings: Settings, places: Sequence[Place], *, alone: bool) -> Task:
    """One cell. alone: it has its node to itself, as every one has whose pools take all cores."""
    cell = turn.cell
    whole = alone or cell.execution.threads == 0
    return Task(
        f"cell {cell.id}", "cell", {
            "id": cell.id, "cell": _data(cell), "worker": settings.backend_of(cell), "function": settings.function,
            "needed": [{"backend": need.backend, "after": need.after, "twin": _data(need.twin)}
                       for need in turn.needed],
            "place": list(turn.place), "retry_failed": settings.retry_failed, "timeout": settings.timeout,
            "shared": not alone,
        }, Request(None if whole else cell.execution.threads, gpus_of(cell.execution, places)),
        tuple(f"cells/{need.twin.id}/{checkpoint_file(need.after)}" for need in turn.needed),
    )


def certificate_task(due: Due, settings: Settings, places: Sequence[Place]) -> Task:
    """One certificate: on a node of its own, for it times a step."""
    assert settings.certifier is not None
    content = {"cell": _data(due.cell), "certifier": name_of(settings.certifier)}
    return Task(f"certificate {due.key}", "certificate", content, Request(None, gpus_of(due.cell.execution, places)))


def block_task(turn: BlockTurn, blocks: Blocks, settings: Settings, places: Sequence[Place], run: str) -> Task:
    """Both halves of a block, on one node that they have to themselves. run: by what a node keeps what it found out."""
    pair, own, store = turn.setting.pair, blocks.settings, blocks.store.path
    halves = blocks.halves(lambda cell: _no_worker(cell), settings.timeout)
    content = {
        "setting": pair.id, "title": pair.title, "number": turn.number, "pair": dict(pair.content), "run": run,
        "cells": {name: _data(cell) for name, cell in pair.cells.items()}, "machine": blocks.machine,
        "workers": {name: settings.backend_of(cell) for name, cell in pair.cells.items()},
        "timing": explicit(own.timing)["timing"], "timeout": settings.timeout, "cold": halves.cold,
        "jobs": {"function": own.function, "conditions": own.conditions, "ceiling": own.ceiling,
                 "unfair": name_of(own.unfair), "pilot": None if own.pilot is None else name_of(own.pilot),
                 "largest_batch": own.largest_batch},
    }
    known = [*store.glob(f"pilots/{pair.id}-*.json"), *store.glob(f"blocks/{pair.id}/*.json")]
    return Task(f"block {pair.id} {turn.number}", "block", content,
                Request(None, gpus_of(pair.execution, places), blocks.machine),
                tuple(sorted(path.relative_to(store).as_posix() for path in known)))


def files_of(store: Path, task: Task) -> dict[str, bytes]:
    """The inputs of a task that are there."""
    found: Mapping[str, Path] = {name: store / name for name in task.inputs}
    return {name: path.read_bytes() for name, path in found.items() if path.is_file()}


def _data(cell: Cell) -> dict[str, Any]:
    """With the folder as every process finds it."""
    return replace(cell, folder=None if cell.folder is None else cell.folder.resolve()).to_data()


def _no_worker(cell: Cell) -> Any:
    raise AssertionError("the driver of a cluster has no workers")
