"""Were both backends timed under the same conditions, and under those that were wanted? What was not is UNFAIR.

Everything judged here was read back (Backend.conditions, Session.compilation, `facts` below), nothing is what was asked
for. `unfair` takes one half or two: a worker judges its own before it times anything, the driver both of a block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.backends.contract import Session
from harness.plan.plan import Plan
from harness.spec.execution import MIXED, Execution

Half = Mapping[str, Any]

# What the products of a precision are to be computed in (backends/probes.py).
CLASSES = {"float64": "float64", "float32": "float32", "tf32": "tf32", **MIXED}
PRODUCTS = {"matmul": "a matrix product", "convolution": "a convolution"}
# Threads that share a product (backends/process.py): one gives 1.0, two 1.6 and more, whatever else the machine does.
ALONE, SHARED = 1.3, 1.2
# The compilers of a backend, by what Execution.compile calls them.
COMPILERS = {"tensorflow": "xla", "pytorch": "inductor"}
EAGER = ("none", "graph")
# Variables that set a pool's threads, and which backend reads them.
THREAD_VARIABLES = {
    "OMP_NUM_THREADS": "PyTorch obeys it and TensorFlow does not", "MKL_NUM_THREADS": "PyTorch obeys it alone",
    "TF_NUM_INTRAOP_THREADS": "TensorFlow obeys it alone", "TF_NUM_INTEROP_THREADS": "TensorFlow obeys it alone",
}


@dataclass(frozen=True)
class Unfair:
    """One condition that is not as wanted, or not the same on both sides. where: (backend, place in the half)."""

    what: str
    where: tuple[str, str]
    expected: Any
    found: Any
    mend: str

    def __str__(self) -> str:
        backend, key = self.where
        return f"UNFAIR: {self.what}: {self.found} instead of {self.expected} ({backend}, {key}). {self.mend}"


def facts(plan: Plan, session: Session, execution: Execution) -> dict[str, Any]:
    """What a half says of its subject, so that it can be compared with the other's. The batches are read back from the
    session; the digest of the tape is of the examples' indices, step by step."""
    indices = np.ascontiguousarray(session.readback()["indices"], np.int64)
    return {
        "plan_digest": plan.digest, "tape_digest": hashlib.sha256(indices.tobytes()).hexdigest(),
        "batch_size": int((indices >= 0).sum(1).max()), "tier": execution.tier, "data_path": session.data_path,
    }


# What both halves have to agree in: place -> (what it is, how to mend). One without a dot is said by every half.
AGREED = {
    "plan_digest": ("the plan that is played", "Both halves take the plan of the same setting and seed."),
    "batch_size": ("the batch size", "Both take the batch size of the recipe."),
    "tape_digest": ("the order of the examples", "Both halves play the tape of the same plan."),
    "tier": ("the tier", "Tuned and idiomatic programs are rows of their own: compare within one tier."),
    "data_path": ("where the examples come from", "Data resident on the device and a loader are two measurements."),
    "mode": ("what the steps do", "Both halves train: model.train(), training=True, an optimizer's update."),
    "conditions.device": ("the device", "Give execution.device, and let both frameworks see the same one."),
    "conditions.precision.matmul": ("what a matrix product is computed in", "Give execution.precision."),
    "conditions.precision.convolution": ("what a convolution is computed in", "Give execution.precision."),
    "conditions.threads.affinity": ("the CPUs", "Start both workers with the same CPU affinity (taskset)."),
}


def unfair(wanted: Execution, halves: Mapping[str, Half]) -> list[Unfair]:
    """All that is not as wanted, and all in which two halves differ; empty if the comparison is fair.

    halves: backend -> a half {"conditions", "compilation" (if it has trained), the keys of `facts`, "mode"}, or its
    conditions alone, before there is anything else.
    """
    whole = {backend: half if "conditions" in half else {"conditions": half} for backend, half in halves.items()}
    found = [item for backend, half in whole.items() for item in _said(backend, half)]
    if found:
        return found
    found = [item for backend, half in whole.items() for check in EACH for item in check(wanted, backend, half)]
    if len(whole) > 1:
        found += _differences(wanted, whole)
    return found


def _precision(wanted: Execution, backend: str, half: Half) -> Iterator[Unfair]:
    expected = CLASSES.get(wanted.precision)
    said = half["conditions"]["precision"]
    for name, words in PRODUCTS.items():
        if expected is not None and said[name] != expected:
            error = said.get(f"{name}_error")
            size = "" if error is None else f" (error {error:.0e})"
            yield Unfair(f"{words} is computed in another precision", (backend, f"conditions.precision.{name}"),
                         expected, f"{said[name]}{size}", _mend_precision(said[name], half))


def _mend_precision(found: str, half: Half) -> str:
    switches = [name for name, on in half["conditions"]["precision"].get("switches", {}).items() if on]
    environment = [name for name in half["conditions"].get("environment", {}) if "FPMATH" in name or "TF32" in name
                   or "MIXED_PRECISION" in name]
    causes = switches + environment
    if causes:
        return f"Switch off {', '.join(causes)}, or give the precision that is meant."
    if found in ("bfloat16", "float16"):
        return "Switch off autocast and automatic mixed precision, or give the precision that is meant."
    if found == "float32":
        return "Build its layers with the dtype policy that execution.precision names."
    if found == "tf32":
        return "Switch off TF32 for products and convolutions, or give precision: tf32 for both sides."
    return "Give the precision that is meant; a CPU has no tf32."


def _threads(wanted: Execution, backend: str, half: Half) -> Iterator[Unfair]:
    threads = half["conditions"]["threads"]
    count = wanted.threads
    if not count:
        return
    for name in ("intra", "inter", "openmp", "mkl"):
        if threads.get(name) not in (None, count):
            yield Unfair(f"the threads of the {name} pool", (backend, f"conditions.threads.{name}"), count,
                         threads[name], "Threads can be set before the first operation of a process only: let the "
                         "harness's worker do it, and run nothing of the framework before.")
    shared = threads.get("parallelism")
    possible = min(count, len(threads["affinity"]))
    if shared is None or (possible == 1 and shared <= ALONE) or (possible > 1 and shared >= SHARED):
        return
    yield Unfair("the threads that really share a product", (backend, "conditions.threads.parallelism"),
                 possible, f"{shared:.1f}", "Look for another pool in this process (OpenMP, MKL), for CPU affinity and "
                 "for a container's limit.")


def _environment(wanted: Execution, backend: str, half: Half) -> Iterator[Unfair]:
    environment = half["conditions"].get("environment", {})
    for name, reader in THREAD_VARIABLES.items():
        if name in environment and environment[name] != str(wanted.threads):
            yield Unfair(f"{name} is set in the environment (by a scheduler, or in a shell profile)",
                         (backend, f"conditions.environment.{name}"), wanted.threads or "unset", environment[name],
                         f"{reader}: unset it, or set it to execution.threads.")


def _compile(wanted: Execution, backend: str, half: Half) -> Iterator[Unfair]:
    """That the process can compile what it is to compile, and that the session did."""
    said = half["conditions"]["compile"]
    # A comparison of a backend with itself calls the halves otherwise.
    ours = COMPILERS.get(half["conditions"].get("backend", backend), "")
    asked = bool(ours) and (wanted.compile == ours or wanted.program.startswith(ours))
    if asked and said["active"] != ours:
        yield Unfair("the compiler is off", (backend, "conditions.compile.active"), ours, said["active"],
                     f"{_sentence(said.get('off') or 'this process runs what asks for it without it')} Switch it on.")
    made = half.get("compilation")
    if made is None:
        return
    place = (backend, "compilation.compiler")
    if made.get("fallback"):
        yield Unfair("the compiled program fell back", place, made["wanted"], made["compiler"],
                     f"{_sentence(made['fallback'])} Mend that, or give compile: none for both sides.")
    elif asked and made["compiler"] != ours:
        yield Unfair("the program is not compiled", place, ours, made["compiler"], "Open the session with compile on.")
    elif wanted.compile == "none" and made["compiler"] not in EAGER:
        yield Unfair("the program is compiled", place, "none", made["compiler"], "Open the session with compile: none.")
    if made.get("recompiles"):
        yield Unfair("programs were compiled after warm-up", (backend, "compilation.recompiles"), 0, made["recompiles"],
                     "Warm up with every batch size of the window, the partial one too.")


def _remat(wanted: Execution, backend: str, half: Half) -> Iterator[Unfair]:
    said = half["conditions"].get("remat")
    expected = wanted.remat is not None
    if said is not None and bool(said["recomputes"]) != expected:
        yield Unfair("what is computed again in the backward pass", (backend, "conditions.remat.recomputes"), expected,
                     said["recomputes"], "Open both sessions with the same execution.remat.")


def _mode(wanted: Execution, backend: str, half: Half) -> Iterator[Unfair]:
    if half.get("mode", "training") != "training":
        yield Unfair("the steps do not train", (backend, "mode"), "training", half["mode"], AGREED["mode"][1])


def _said(backend: str, half: Half) -> Iterator[Unfair]:
    """That a whole half leaves nothing unsaid: what nobody says, nobody can compare."""
    for place, (what, _) in AGREED.items():
        needed = place.startswith("conditions.") or half.get("window")
        if needed and value_at(half, place) is None:
            yield Unfair(f"nobody read back {what}", (backend, place), "a value", None, "Measure the block anew.")


def _device(wanted: Execution, backend: str, half: Half) -> Iterator[Unfair]:
    found = half["conditions"]["device"]
    if wanted.device != "auto" and not found.startswith(wanted.device):
        yield Unfair("the device", (backend, "conditions.device"), wanted.device, found, AGREED["conditions.device"][1])


EACH = (_device, _precision, _threads, _environment, _compile, _remat, _mode)


def _differences(wanted: Execution, halves: Mapping[str, Half]) -> Iterator[Unfair]:
    """In what a half differs from the first."""
    (reference, first), *others = halves.items()
    agreed = dict(AGREED)
    if not wanted.threads:  # each framework's own default: it has to come to the same
        agreed["conditions.threads.intra"] = ("the threads of the intra pool", "Give execution.threads.")
    if str(first["conditions"]["device"]).startswith("gpu"):
        agreed["conditions.determinism"] = ("determinism", "Give execution.deterministic, and let nothing else set it.")
        agreed["conditions.allocator.growth"] = ("how GPU memory is taken", "Let the worker set memory growth.")
    for place, (what, mend) in agreed.items():
        expected = value_at(first, place)
        for backend, half in others:
            found = value_at(half, place)
            if found != expected:
                yield Unfair(f"{what} differs from {reference}'s", (backend, place), expected, found, mend)
    yield from _samples(reference, first, others)


def _samples(reference: str, first: Half, others: list[tuple[str, Half]]) -> Iterator[Unfair]:
    """Examples per step of the window: equal but for one partial batch more or less, as the windows end elsewhere."""
    window = first.get("window")
    for backend, half in others:
        other = half.get("window")
        if not window or not other:
            continue
        expected, found = (item["samples"] / item["steps"] for item in (window, other))
        if abs(found - expected) > max(expected, found) * (1 / window["steps"] + 1 / other["steps"]):
            yield Unfair(f"the examples per step differ from {reference}'s", (backend, "window.samples"),
                         f"{expected:g} per step", f"{found:g}", "Both play the same tape.")


def value_at(half: Half, place: str) -> Any:
    """What lies at "conditions.threads.intra"; None if there is nothing."""
    value: Any = half
    for key in place.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:].rstrip('.')}."
