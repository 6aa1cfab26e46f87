"""The harness's own session of the tuned tier, opened on the cell that `harness run` would train."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.contenders.loops import Loop
from benchmarks.workloads import Workload, cell_of


def open_loop(
    workload: Workload, x: np.ndarray, y: np.ndarray, *, backend: str, data: Path, program: str = "auto",
) -> Loop:
    from harness.backends import load_backend
    from harness.measure.window import Player
    from harness.runner.timing import subject_of

    owner = load_backend(backend)
    cell = cell_of(workload, data, backend, program)
    owner.configure(cell.execution)
    subject = subject_of(cell, owner)
    session = owner.open(subject.plan, subject.state, subject.train, cell.execution)
    player = Player(session, subject.plan)
    names = [variable.name for variable in subject.plan.trainable]

    def train(epochs: int) -> float:
        # An epoch at a time, as training/loop.py plays it: its losses are read at its end.
        for _ in range(epochs):
            player.play(workload.steps)
            session.wait()
            losses = session.collect().losses
        return float(losses.mean())

    def weights() -> list[np.ndarray]:
        found = owner.weights_of(session.model)
        return [found[name] for name in names]

    return Loop(f"{session.program_name}: {session.program()}", train, weights)  # type: ignore[attr-defined]
