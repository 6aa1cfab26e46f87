"""parity.unfair on halves made by hand: nothing is said of fair ones, and one thing of each that is not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from harness.measure.parity import AGREED, unfair, value_at
from harness.spec.execution import Execution


def conditions(backend: str) -> dict[str, Any]:
    return {
        "backend": backend, "device": "cpu",
        "precision": {"wanted": "float32", "matmul": "float32", "matmul_error": 2e-7, "convolution": "float32",
                      "convolution_error": 3e-7, "switches": {}},
        "threads": {"wanted": 1, "intra": 1, "inter": 1, "openmp": 1 if backend == "pytorch" else None, "mkl": None,
                    "parallelism": 1.0, "affinity": [0, 1]},
        "determinism": False, "allocator": {"growth": None}, "compile": {"wanted": "auto", "active": None},
        "environment": {},
    }


def half(backend: str) -> dict[str, Any]:
    return {
        "conditions": conditions(backend), "plan_digest": "p", "tape_digest": "t", "batch_size": 32, "tier": "tuned",
        "data_path": "compute", "mode": "training", "window": {"steps": 100, "samples": 3200},
        "compilation": {"compiler": "none", "wanted": "none", "programs": 0, "recompiles": 0, "fallback": None},
    }


def pair() -> dict[str, Any]:
    return {backend: half(backend) for backend in ("tensorflow", "pytorch")}


def put(target: dict[str, Any], place: str, value: Any) -> None:
    *path, last = place.split(".")
    for key in path:
        target = target[key]
    target[last] = value


def test_fair() -> None:
    assert unfair(Execution(), pair()) == []
    assert unfair(Execution(), {"pytorch": conditions("pytorch")}) == []
    assert unfair(Execution(), {name: value["conditions"] for name, value in pair().items()}) == []


@pytest.mark.parametrize(("place", "value", "wanted"), [
    ("conditions.precision.matmul", "tf32", {}),
    ("conditions.precision.convolution", "bfloat16", {}),
    ("conditions.precision.convolution", "float64", {}),
    ("conditions.threads.intra", 2, {}),
    ("conditions.threads.inter", 2, {}),
    ("conditions.threads.openmp", 2, {}),
    ("conditions.threads.mkl", 2, {}),
    ("conditions.threads.parallelism", 1.7, {}),
    ("conditions.environment", {"OMP_NUM_THREADS": "2"}, {}),
    ("conditions.environment", {"TF_NUM_INTEROP_THREADS": "16"}, {}),
    ("conditions.device", "gpu:0 NVIDIA H200", {"device": "cpu"}),
    ("conditions.threads.affinity", [0], {}),
    ("compilation.fallback", "it fell back", {}),
    ("compilation.recompiles", 3, {}),
    ("mode", "inference", {}),
    ("plan_digest", "q", {}), ("tape_digest", "u", {}), ("batch_size", 64, {}), ("tier", "idiomatic", {}),
    ("data_path", "end_to_end", {}), ("window.samples", 6400, {}),
])
def test_one_thing_on_one_side(place: str, value: Any, wanted: dict[str, Any]) -> None:
    halves = pair()
    put(halves["pytorch"], place, value)
    found = unfair(Execution(**wanted), halves)
    assert found
    backends, places = {item.where[0] for item in found}, {item.where[1] for item in found}
    assert backends == {"pytorch"}
    assert all(item.startswith(place.removesuffix(".fallback").removesuffix(".recompiles")) for item in places), places
    assert all(str(item).startswith("UNFAIR: ") and "pytorch" in str(item) for item in found)


@pytest.mark.parametrize("place", AGREED)
def test_what_nobody_read_back(place: str) -> None:
    halves = pair()
    for item in halves.values():
        put(item, place, None)
    found = unfair(Execution(), halves)
    assert [item.where for item in found] == [("tensorflow", place), ("pytorch", place)]
    assert unfair(Execution(), {"pytorch": {}}) != []


def test_what_is_computed_again() -> None:
    wanted, halves = Execution(remat="full"), pair()
    for item in halves.values():
        put(item, "conditions.remat", {"wanted": "full", "recomputes": True})
    assert unfair(wanted, halves) == []
    assert [item.where for item in unfair(Execution(), halves)] == [
        ("tensorflow", "conditions.remat.recomputes"), ("pytorch", "conditions.remat.recomputes")]
    put(halves["pytorch"], "conditions.remat.recomputes", False)
    assert [item.where for item in unfair(wanted, halves)] == [("pytorch", "conditions.remat.recomputes")]


def test_two_threads_are_wanted() -> None:
    wanted, halves = Execution(threads=2), pair()
    for item in halves.values():
        for name in ("intra", "inter"):
            put(item, f"conditions.threads.{name}", 2)
        put(item, "conditions.threads.parallelism", 1.9)
    put(halves["pytorch"], "conditions.threads.openmp", 2)
    assert unfair(wanted, halves) == []
    put(halves["tensorflow"], "conditions.threads.parallelism", 1.0)
    assert [item.where for item in unfair(wanted, halves)] == [("tensorflow", "conditions.threads.parallelism")]
    for item in halves.values():  # of a container with one CPU nobody can ask for more
        put(item, "conditions.threads.affinity", [3])
        put(item, "conditions.threads.parallelism", 1.0)
    assert unfair(wanted, halves) == []


def test_default_threads_have_to_come_to_the_same() -> None:
    wanted, halves = Execution(threads=0), pair()
    for item in halves.values():
        put(item, "conditions.threads.intra", 2)
    assert unfair(wanted, halves) == []
    put(halves["pytorch"], "conditions.threads.intra", 1)
    put(halves["pytorch"], "conditions.environment", {"OMP_NUM_THREADS": "1"})
    places = [item.where[1] for item in unfair(wanted, halves)]
    assert places == ["conditions.environment.OMP_NUM_THREADS", "conditions.threads.intra"]


def test_the_variable_that_says_what_is_wanted() -> None:
    halves = pair()
    for item in halves.values():
        put(item, "conditions.environment", {"OMP_NUM_THREADS": "1", "LD_PRELOAD": "x.so"})
    assert unfair(Execution(), halves) == []


def test_windows_that_end_elsewhere_hold_another_number_of_partial_batches() -> None:
    halves = pair()
    put(halves["pytorch"], "window", {"steps": 10, "samples": 9 * 32 + 1})
    assert unfair(Execution(), halves) == []
    put(halves["pytorch"], "window", {"steps": 100, "samples": 96 * 32})
    assert [item.where[1] for item in unfair(Execution(), halves)] == ["window.samples"]


def test_compilers() -> None:
    halves = pair()
    assert {item.where for item in unfair(Execution(compile="xla"), halves)} == {
        ("tensorflow", "conditions.compile.active"), ("tensorflow", "compilation.compiler")}
    put(halves["tensorflow"], "conditions.compile.active", "xla")
    put(halves["tensorflow"], "compilation.compiler", "xla")
    assert unfair(Execution(compile="xla"), halves) == []
    assert unfair(Execution(program="xla loop"), halves) == []
    assert {item.where for item in unfair(Execution(compile="none"), halves)} == {
        ("tensorflow", "compilation.compiler")}


def test_on_a_gpu_determinism_and_memory_have_to_agree() -> None:
    halves = pair()
    for item in halves.values():
        put(item, "conditions.device", "gpu:0 NVIDIA H200")
        put(item, "conditions.allocator.growth", True)
    assert unfair(Execution(device="gpu"), halves) == []
    changed = copy.deepcopy(halves)
    put(changed["pytorch"], "conditions.determinism", True)
    put(changed["tensorflow"], "conditions.allocator.growth", False)
    assert {item.where[1] for item in unfair(Execution(device="gpu"), changed)} == {
        "conditions.determinism", "conditions.allocator.growth"}


def test_the_sentence() -> None:
    halves = pair()
    put(halves["pytorch"], "conditions.precision.matmul", "tf32")
    put(halves["pytorch"], "conditions.precision.matmul_error", 2.1e-4)
    put(halves["pytorch"], "conditions.precision.switches", {"matmul_tf32": True})
    first, *_ = unfair(Execution(), halves)
    assert str(first) == (
        "UNFAIR: a matrix product is computed in another precision: tf32 (error 2e-04) instead of float32 (pytorch, "
        "conditions.precision.matmul). Switch off matmul_tf32, or give the precision that is meant.")


def test_value_at() -> None:
    assert value_at({"a": {"b": 1}}, "a.b") == 1
    assert value_at({"a": {"b": 1}}, "a.b.c") is None
    assert value_at({}, "a.b") is None
