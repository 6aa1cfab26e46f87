"""R4 of a port: the user's module in the precision, and as the program, in which it would be trained.

It is played in a PyTorch worker's child (playing.py) and judged here, without a framework.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.certify.certificate import FAILED, SKIPPED, Curve, Finding, Rung
from harness.certify.distances import Pair
from harness.certify.samples import Distance, Trajectory, read_trajectory
from harness.certify.trajectories import timed_rung

# The controls that go furthest, as for the harness's own models.
VARIANTS = ("one ulp 1", "one ulp after every step", "other seed")
UNCOMPILED, COMPILED = "none", "inductor"


def timed_execution(precision: str, compiled: bool) -> dict[str, Any]:
    """The port's: eager, or its forward and loss through torch.compile."""
    return {"precision": precision, "compile": COMPILED if compiled else UNCOMPILED, "device": "cpu"}


Judgement = tuple[Rung, tuple[Curve, ...], Finding | None]


def judged(
    keras: Path, port: Path, told: Mapping[str, Any], phase: str, layers: Collection[str], *,
    skip: Collection[str] = (), compiled: bool = False,
) -> Judgement:
    """R4 from both files. told: what play_timed gave. layers: of the model. skip: weights whose difference is
    accepted."""
    pair = Pair(without(read_trajectory(keras), skip), without(read_trajectory(port), skip))
    rung, curves = timed_rung(pair)
    rung = replace(rung, reason=rung.reason or played(pair.other, compiled))
    if rung.status != FAILED:
        return rung, curves, None
    first, worst = rung.details.get("first") or {}, rung.failed[0]
    weight = first.get("weight")
    layer = None if weight is None else weight.rpartition("/")[0]
    alone = worst.what.startswith(f"{pair.other.backend} as timed")
    cause, mend = _cause(told, pair.other, compiled and alone)
    return rung, curves, Finding(
        "R4", phase, max(int(first.get("step") or 1) - 1, 0), "program" if alone else "trajectory",
        layer if layer in layers else None, weight, worst.what, worst.difference, worst.limit, cause, mend)


def _cause(told: Mapping[str, Any], port: Trajectory, compiled: bool) -> tuple[str | None, str | None]:
    if compiled:
        return ("the module under torch.compile does not compute what it computes without",
                "train it without torch.compile; report the compiler")
    if told["lower"]:
        return (f"in {port.dtype}, {told['lower']}; in float64, where nothing is cast, the port is Keras's",
                "leave out autocast and casts (half, bfloat16), or train Keras in mixed precision too")
    return None, None


def played(port: Trajectory, compiled: bool) -> str:
    """What of R4 was run, in words."""
    program = "the program of torch.compile" if compiled else "the eager program (torch.compile was not asked for)"
    return f"the port in {port.dtype}: lock-step against Keras, and {program} against lock-step"


def not_played(told: Mapping[str, Any], precision: str) -> Judgement:
    """R4 of a module that does not run in its timed precision."""
    also = f" ({told['lower']})" if told["lower"] else ""
    return Rung("R4", SKIPPED, reason=f"the port does not train in {precision}: {told['failed']}{also}"), (), None


def without(trajectory: Trajectory, skip: Collection[str]) -> Trajectory:
    """A training without some of its weights."""
    kept = [index for index, name in enumerate(trajectory.names) if name not in set(skip)]
    if len(kept) == len(trajectory.names):
        return trajectory

    def of(distance: Distance) -> Distance:
        return Distance(distance.squares[:, kept], distance.losses)

    timed = trajectory.timed
    return replace(
        trajectory, names=tuple(trajectory.names[index] for index in kept),
        weights=[trajectory.weights[index] for index in kept],
        controls={name: of(distance) for name, distance in trajectory.controls.items()},
        seeds=None if trajectory.seeds is None else of(trajectory.seeds),
        timed=None if timed is None else replace(timed, weights=[timed.weights[index] for index in kept]))
