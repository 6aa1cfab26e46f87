"""From a rung that failed to the place where two trainings part, in the words of a Finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.certify.causes import Evidence, cause_of
from harness.certify.certificate import Difference, Finding, Rung
from harness.certify.rungs import Pair, kind, layer_of, weight_of
from harness.certify.trajectories import AGAIN
from harness.plan.plan import Plan

PARTS = {"output": "forward", "forward": "forward", "inference": "inference", "input gradient": "backward",
         "gradient": "backward", "weight gradient": "backward", "slot": "update", "change": "update", "loss": "loss",
         "data": "data", "learning": "schedule", "random": "random", "iterations": "update"}


@dataclass(frozen=True)
class Scene:
    """What is known of one phase. forced: of R1, steps: of the whole step that is looked at; None where not made."""

    plan: Plan
    phase: str
    step: int
    steps: Pair | None
    forced: Pair | None = None


def locate(rung: Rung, scene: Scene) -> Finding:
    """The finding of a failed rung. Its cause is sought among the known ones (causes.py)."""
    first = rung.failed[0]
    if rung.name == "R0":
        return _explained(_of_plan(first, scene), scene)
    what = kind(first.what)
    alike = [item for item in rung.failed if kind(item.what) == what]
    layer, weight = layer_of(scene.plan, first.what), weight_of(first.what)
    part = PARTS[what]
    if what == "change" and weight is not None and not _is_trained(scene.plan, weight):
        part = "buffer"
        alike = [item for item in alike if not _is_trained(scene.plan, weight_of(item.what) or "")]
    elif rung.name == "R2" and part == "update" and _everywhere(scene.plan, alike):
        layer = weight = None  # it is the optimizer's, not a layer's
    elif rung.name == "R2" and what == "weight gradient" and len({layer_of(scene.plan, i.what) for i in alike}) > 1 \
            and _everywhere(scene.plan, alike):
        part, layer, weight = "loss", None, None
    elif what == "gradient":
        layer = layer or first.what.removeprefix("gradient ")
    return _explained(Finding(
        rung.name, scene.phase, scene.step, part, layer, weight, first.what, first.difference, first.limit,
        suspects=_suspects(scene.plan, layer, part)), scene)


def of_trajectory(rung: Rung, scene: Scene, step: int, weight: str | None) -> Finding:
    """The finding of a trajectory whose single steps agree, or of a program that was not looked into: what is furthest
    out, when it first was."""
    first = rung.failed[0]
    if first.what.startswith(AGAIN):
        return Finding(rung.name, scene.phase, step, "state", None, None, first.what, first.difference, first.limit,
                       cause="a step leaves something behind for the next one that is not in the state: gradients that "
                             "are not set back, sums, random numbers",
                       mend="Set the gradients to zero before each step; keep what outlives a step among the slots.")
    layer = next((item.layer for item in scene.plan.variables if item.name == weight), None)
    program = first.what.partition(": ")[0].partition(" against ")[0] if ": " in first.what else None
    return Finding(rung.name, scene.phase, step, "program" if program else "trajectory", layer, weight, first.what,
                   first.difference, first.limit,
                   cause=None if program is None else f"{program} does not compute what the same training does step by "
                                                      "step, uncompiled",
                   mend=None if program is None else "Time another program (execution.compile); report the compiler.")


def _of_plan(first: Difference, scene: Scene) -> Finding:
    """R0's: what was read back from a backend is not the plan."""
    backend, _, what = first.what.partition(": ")
    rest = what.partition(" ")[2]
    item = next((variable for variable in scene.plan.variables if variable.name == rest), None)
    parts = {"indices": "data", "learning_rates": "schedule", "keys": "random"}
    step, layer = 0, item.layer if item else None
    if what in parts and scene.steps is not None:
        side = scene.steps.reference if backend == "tensorflow" else scene.steps.other
        wanted = {"indices": scene.plan.tape.indices, "learning_rates": scene.plan.tape.learning_rates,
                  "keys": scene.plan.tape.keys}[what]
        step, place = _first_step(np.asarray(side[what]), np.asarray(wanted))
        if what == "keys" and place is not None and place < len(scene.plan.stochastic):
            call = scene.plan.stochastic[place]
            layer = next((node.layer for node in scene.plan.spec.nodes if node.name == call), call)
    return Finding("R0", scene.phase, step, parts.get(what, "plan"), layer, item.name if item else None, first.what,
                   first.difference, first.limit, suspects=_suspects(scene.plan, layer, "plan"))


def _first_step(found: np.ndarray, wanted: np.ndarray) -> tuple[int, int | None]:
    """(the first step that differs, the first column of it)."""
    if found.shape != wanted.shape:
        return min(len(found), len(wanted)), None
    limit = np.finfo(np.float32).eps * np.abs(wanted) if wanted.dtype.kind == "f" else 0
    unlike = np.abs(found.astype(np.float64) - wanted) > limit
    if not unlike.any():
        return 0, None
    step = int(np.argmax(unlike.reshape(len(unlike), -1).any(1)))
    row = unlike[step]
    return step, int(np.argmax(row.reshape(len(row), -1).any(1))) if row.ndim > 1 else None


def _is_trained(plan: Plan, weight: str) -> bool:
    return any(item.name == weight and item.trainable for item in plan.variables)


def _everywhere(plan: Plan, failed: Sequence[Difference]) -> bool:
    """Whether most of the trained weights are among the failed: then no single layer is to blame."""
    names = {weight_of(item.what) for item in failed}
    trained = [item.name for item in plan.trainable]
    return len(names & set(trained)) > len(trained) / 2 and len(names) > 1


def _suspects(plan: Plan, layer: str | None, part: str) -> tuple[str, ...]:
    """The arguments that a mistake of this kind may be in."""
    if layer is not None and layer in plan.spec.layers:
        item: Any = plan.spec.layers[layer]
    elif part in ("update", "schedule"):
        item = plan.optimizer
    elif part == "loss":
        return tuple(f"{output.name}: {output.loss!r}, weight {output.weight}" for output in plan.outputs)
    else:
        return ()
    fields: Mapping[str, Any] = {name: getattr(item, name) for name in type(item).model_fields}
    return tuple(f"{name}: {value}" for name, value in fields.items()
                 if isinstance(value, (bool, int, float, str, tuple)) and name != "name")


def _explained(finding: Finding, scene: Scene) -> Finding:
    cause = cause_of(Evidence(scene.plan, finding, scene.steps, scene.forced))
    return finding if cause is None else replace(finding, cause=cause.cause, mend=cause.mend)
