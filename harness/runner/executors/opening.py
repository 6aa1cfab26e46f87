"""From the choice of an executor to the executor."""

from __future__ import annotations

from harness.records.store import Store
from harness.runner.cell_runner import OnEvent, Settings
from harness.runner.executors.choice import RAY, SLURM
from harness.runner.executors.contract import Engine, Executor
from harness.runner.executors.local import LocalExecutor


def open_executor(settings: Settings, store: Store, tell: OnEvent) -> Executor:
    """The executor that `settings.executor` names. Raises SpecError where it cannot be reached."""
    chosen = settings.executor
    if chosen.name not in (RAY, SLURM):
        return LocalExecutor(settings, store, tell)
    from harness.runner.executors.cluster import ClusterExecutor

    engine: Engine
    if chosen.name == RAY:
        from harness.runner.executors.on_ray import RayEngine

        engine = RayEngine(chosen.address, chosen.placement)
    else:
        from harness.runner.executors.on_slurm import SlurmEngine

        engine = SlurmEngine(store.path, chosen.address, chosen.placement)
    return ClusterExecutor(engine, settings, store, tell)
