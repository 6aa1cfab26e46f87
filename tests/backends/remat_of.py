"""The program of test_remat.py: python -m tests.backends.remat_of BACKEND FILE CASES writes arrays by name, as one
framework trains the models of remat_cases.py with and without rematerialization. CASES: "memory", or MODEL and the
place of a mode in MODES[MODEL], as "residual 0"; and whether every program plays it, as "residual 0 programs"."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from harness.backends import load_backend
from harness.backends.contract import Backend, State
from harness.plan.binding import Arrays
from harness.plan.compiler import compile_phase
from harness.plan.initial import initial_weights
from harness.spec.execution import Execution
from harness.spec.recipe import Recipe
from tests.backends.program_cases import Case
from tests.backends.remat_cases import CASES, DEEP_BATCH, MODES, deep

Found = dict[str, np.ndarray]
# One batch size: a program of its own for the last batch of an epoch costs time and shows nothing new.
STEPS = 2


def played(case: Case, backend: Backend, counts: dict[str, int] | None = None, **execution: Any) -> Found:
    """What two steps leave. counts: gets how often rows of calls or activations were computed again."""
    session: Any = case.open(backend, **execution)
    for step in range(STEPS):
        session.train(step, step + 1)
    session.wait()
    left = session.state()
    found = {"losses": session.collect().losses, **left.weights}
    found |= {f"slot {slot} {name}": array for slot, arrays in left.slots.items() for name, array in arrays.items()}
    if counts is not None:
        made = session.remat if backend.name == "tensorflow" else session.model.remat
        counts["recomputed"] = made.recomputed
    session.close()
    return {name: np.array(array) for name, array in found.items()}


def of_case(backend: Backend, name: str, index: int, every: bool, told: dict[str, Any]) -> Found:
    case, mode = CASES[name], MODES[name][index]
    key, found = f"{name} {index}", {}
    counts: dict[str, int] = {}
    found["plain"] = played(case, backend, compile="none")
    found["again"] = played(case, backend, counts, compile="none", remat=mode)
    if every:
        plain, again = (case.open(backend, compile="none", remat=remat) for remat in (None, mode))
        found |= {"plain trace": plain.trace(0), "again trace": again.trace(0)}
        found["plain idiomatic"] = played(case, backend, tier="idiomatic", compile="none", random="tape")
        found["again idiomatic"] = played(case, backend, tier="idiomatic", compile="none", random="tape", remat=mode)
        wanted = Execution(device="cpu", precision="float64", remat=mode)
        for program in backend.programs(wanted, case.plan)[1:]:
            found[f"again {program}"] = played(case, backend, program=program, remat=mode)
        told[f"{key} conditions"] = backend.conditions(wanted)["remat"]
    told[key] = {**counts, "program": case.open(backend, compile="none", remat=mode).program()}
    return {f"{key}|{what}|{item}": array for what, arrays in found.items() for item, array in arrays.items()}


def of_memory(backend: Backend) -> dict[str, int]:
    """The process's peak in bytes after a step of a deep model with blocks, and then without: it only ever grows."""
    spec = deep()
    recipe = Recipe.parse({"loss": "mse", "optimizer": "SGD", "batch_size": DEEP_BATCH, "epochs": 1})
    (phase,) = recipe.resolved_phases()
    plan = compile_phase(spec, phase, index=0, examples=DEEP_BATCH, seed=0, dtype="float32")
    x = np.random.default_rng(0).normal(size=(DEEP_BATCH, *spec.inputs[0].shape[1:])).astype(np.float32)
    data = Arrays({"x": x}, {"y": np.zeros((DEEP_BATCH, 1), np.float32)}, None)
    peaks = {}
    for name, remat in (("before", None), ("blocks", "blocks"), ("plain", None)):
        if name != "before":
            session = backend.open(plan, State(initial_weights(spec, 0)), data,
                                   Execution(device="cpu", compile="none", remat=remat))
            session.train(0, 1)
            session.wait()
            session.close()
        peaks[name] = peak_bytes()
    return peaks


def peak_bytes() -> int:
    """Of this program's memory. Not ru_maxrss, which begins with the peak of the process that started it."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def main() -> None:
    backend = load_backend(sys.argv[1])
    backend.configure(Execution(device="cpu", precision="float64"))
    arrays: Found = {}
    told: dict[str, Any] = {}
    for case in sys.argv[3:]:
        if case == "memory":
            backend.configure(Execution(device="cpu"))
            told[case] = of_memory(backend)
        else:
            name, index, *every = case.split()
            arrays |= of_case(backend, name, int(index), bool(every), told)
    np.savez(sys.argv[2], **arrays, told=np.array(json.dumps(told)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
