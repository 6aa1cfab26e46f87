"""What the workers' children do for a port: Keras's side as the teacher, the user's module as the pupil."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.backends.contract import State, Weights
from harness.certify.controls import one_ulp
from harness.certify.ports.checks import STEPS
from harness.records.array_file import read_arrays, write_arrays
from harness.runner.certifying import forced_job, setup, teacher_of, trace_job


def teacher_job(arguments: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Keras's side: arguments are those of certifying.setup, and "target", the folder to write to: "trace.npz",
    "forced.npz", "steps.npz" (the weights after STEPS, and the same from weights moved by one ulp)."""
    folder = Path(arguments["target"])
    made = trace_job({**arguments, "step": 0, "file": str(folder / "trace.npz")}, emit)
    forced_job({**arguments, "step": 0, "teacher": str(folder / "trace.npz"), "file": str(folder / "forced.npz")},
               emit)
    given = setup(arguments)
    session = given.open()
    first = session.state()
    start = State({name: np.array(array) for name, array in first.weights.items()},
                  {slot: {name: np.array(array) for name, array in arrays.items()}
                   for slot, arrays in first.slots.items()}, first.iterations)
    found: Weights = {}
    for prefix, weights in (("", start.weights), ("control ", one_ulp(start.weights, given.plan.dtype, seed=0))):
        session.load(State(weights, start.slots, start.iterations))
        played = 0
        for stop in stops(len(given.plan.tape)):
            session.train(played, stop)
            session.wait()
            session.collect()
            found |= {f"{prefix}{stop} {name}": np.array(array) for name, array in session.state().weights.items()}
            played = stop
    write_arrays(folder / "steps.npz", found)
    program = session.program()
    session.close()
    return {**made, "program": program}


def stops(steps: int) -> list[int]:
    """After which steps weights are looked at."""
    return sorted({min(stop, steps) for stop in (*STEPS, steps)})


def teacher_arrays(plan: Any, folder: Path) -> Weights:
    """Everything that the pupil is compared with. "drawn REFERENCE" marks gradients that no loss gives."""
    traced = read_arrays(folder / "trace.npz")
    forced = read_arrays(folder / "forced.npz")
    found = {**traced, **{name: array for name, array in forced.items() if name.startswith(
        ("input gradient ", "weight gradient ", "control input gradient ", "control weight gradient "))}}
    found |= {f"control forward {name.removeprefix('control output ')}": array for name, array in forced.items()
              if name.startswith("control output ")}
    for item in plan.spec.inputs:
        found[f"inference {item.name}"] = traced[f"data x {item.name}"]
    for node in plan.spec.nodes:
        _join_gradients(found, node.name, node.inputs)
    taught = teacher_of(plan, traced)
    for name, array in traced.items():
        if name.startswith("gradient ") and not array.any():
            found[f"drawn {name.removeprefix('gradient ')}"] = np.array(True)
    return {**found, **taught}


def mapping_job(arguments: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Whether the module runs on the first batch and its tensors fit the model: what a user gets wrong first is told
    before Keras's side is worked out. arguments: as of `port_job`, without a teacher. Raises SpecError."""
    from harness.runner.ports.mapped import described_port

    given = setup(arguments)
    rows = given.plan.tape.indices[0, : int(given.plan.tape.sizes[0])]
    described_port(given, arguments, [given.arrays.x[item.name][rows] for item in given.plan.spec.inputs])
    return {}


def _join_gradients(found: Weights, call: str, inputs: Sequence[str]) -> None:
    """What a call reads twice has one gradient, at its first place: the sum, which may stand at each of its places."""
    for reference in dict.fromkeys(inputs):
        places = [f"input gradient {call} {index}" for index, name in enumerate(inputs) if name == reference]
        held = [found[place] for place in places if place in found]
        if len(held) < 2:
            continue
        alike = all(np.array_equal(array, held[0]) for array in held[1:])
        found[places[0]] = held[0] if alike else np.sum(held, 0)
        for place in places[1:]:
            found.pop(place, None)


def port_job(arguments: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The user's module. arguments: those of certifying.setup; "teacher": the folder of teacher_job; "torch":
    "module:function"; "names": a mapping of names, or None; "layout"; "drops": Keras's rates; "own_weights": compare
    the weights that the port comes with; "accept": causes that are not held against it; "optimizer", "loss": the
    user's own; "timed": {"precision", "compiled", "file": where R4's training goes}. Gives Pupil.certify's findings."""
    from harness.runner.ports.pupil import Pupil

    given = setup(arguments)
    pupil = Pupil(given, arguments)
    return pupil.certify()
