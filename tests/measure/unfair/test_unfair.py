"""Every unfairness that is planted is caught, by name and place; a fair pair is left alone.

The plants are real wherever this machine can be made to do it (automatic mixed precision, threads, compilers that are
off); TF32, which no CPU has, is a product of operands rounded to as many bits. One process for each framework.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.measure.guards import impossible
from harness.measure.parity import Unfair, unfair
from harness.measure.window import Player, play_window
from harness.spec.execution import Execution

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
OTHER = {"tensorflow": "pytorch", "pytorch": "tensorflow"}
pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """backend -> plant -> what was read back."""
    folder = tmp_path_factory.mktemp("plants")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1",
                   "PYTHONPATH": str(ROOT)}
    for name in ("MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TORCH_COMPILE_DISABLE"):
        environment.pop(name, None)
    results = {}
    for backend in OTHER:
        file = folder / f"{backend}.json"
        process = subprocess.run([sys.executable, str(HERE / f"{backend}_plants.py"), str(file)], cwd=ROOT,
                                 capture_output=True, text=True, env=environment)
        assert process.returncode == 0, process.stderr[-3000:]
        results[backend] = json.loads(file.read_text())
        broken = {plant: said["error"] for plant, said in results[backend].items() if "error" in said}
        assert not broken, broken
    return results


def caught(found: dict[str, dict[str, Any]], backend: str, plant: str, **wanted: Any) -> dict[tuple[str, str], Unfair]:
    """What is said of the plant beside a fair session of the other backend, by its place."""
    halves = {OTHER[backend]: found[OTHER[backend]]["session"], backend: found[backend][plant]}
    items = unfair(Execution(device="cpu", **wanted), halves)
    assert all(str(item).startswith("UNFAIR: ") and item.mend for item in items)
    return {item.where: item for item in items}


def test_a_fair_pair_is_left_alone(found: dict[str, dict[str, Any]]) -> None:
    for plant in ("session", "normalised"):
        halves = {backend: found[backend][plant] for backend in OTHER}
        assert unfair(Execution(device="cpu"), halves) == []
        assert all(half["mode"] == "training" for half in halves.values())


def test_reading_back_is_cheap(found: dict[str, dict[str, Any]]) -> None:
    assert all(found[backend]["clean"]["cpu_seconds"] < 1.0 for backend in OTHER)


PRECISIONS = [
    ("pytorch", "bfloat16", {"matmul": "bfloat16", "convolution": "bfloat16"}),
    ("pytorch", "float16", {"matmul": "float16", "convolution": "float16"}),
    ("pytorch", "tf32 matmul", {"matmul": "tf32"}),
    ("pytorch", "tf32 convolution", {"convolution": "tf32"}),
    ("tensorflow", "bfloat16", {"matmul": "bfloat16"}),
    ("tensorflow", "tf32 matmul", {"matmul": "tf32"}),
    ("tensorflow", "tf32 convolution", {"convolution": "tf32"}),
]


@pytest.mark.parametrize(("backend", "plant", "expected"), PRECISIONS, ids=[f"{b} {p}" for b, p, _ in PRECISIONS])
def test_another_precision_on_one_side(
    found: dict[str, dict[str, Any]], backend: str, plant: str, expected: dict[str, str],
) -> None:
    places = {place: item for place, item in caught(found, backend, plant).items() if "precision" in place[1]}
    assert set(places) == {(backend, f"conditions.precision.{product}") for product in expected}
    for product, name in expected.items():
        assert found[backend][plant]["conditions"]["precision"][product] == name


def test_the_same_tf32_on_both_sides_is_what_was_wanted(found: dict[str, dict[str, Any]]) -> None:
    halves = {backend: json.loads(json.dumps(found[backend]["tf32 matmul"])) for backend in OTHER}
    for half in halves.values():
        half["conditions"]["precision"]["convolution"] = "tf32"
    assert unfair(Execution(precision="tf32"), halves) == []
    assert unfair(Execution(precision="tf32"), {"pytorch": found["pytorch"]["clean"]}) != []


def test_graphs_that_tensorflow_rewrites_into_bfloat16(found: dict[str, dict[str, Any]]) -> None:
    plant = found["tensorflow"]["mixed precision"]
    there = ("tensorflow", "conditions.precision.matmul") in caught(found, "tensorflow", "mixed precision")
    assert there == plant["real"]  # not every CPU has the kernels


def test_two_threads_against_one(found: dict[str, dict[str, Any]]) -> None:
    places = caught(found, "pytorch", "two threads")
    assert {("pytorch", f"conditions.threads.{name}") for name in ("intra", "openmp")} <= set(places)
    if len(found["pytorch"]["clean"]["conditions"]["threads"]["affinity"]) > 1:
        assert ("pytorch", "conditions.threads.parallelism") in places  # they really worked
    # Also where nobody said how many there are to be: what each framework takes has to be the same.
    assert ("pytorch", "conditions.threads.intra") in caught(found, "pytorch", "two threads", threads=0)


@pytest.mark.parametrize("backend", OTHER)
def test_threads_set_by_a_scheduler(found: dict[str, dict[str, Any]], backend: str) -> None:
    item = caught(found, backend, "scheduler")[backend, "conditions.environment.OMP_NUM_THREADS"]
    assert (item.expected, item.found) == (1, "4")


COMPILERS = [
    ("tensorflow", "without jit_compile", "xla", "jit_compile"),
    ("tensorflow", "functions run eagerly", "xla", "run_functions_eagerly"),
    ("pytorch", "compiler fails", "inductor", "suppress_errors"),
    ("pytorch", "compiled too often", "inductor", "1 frame(s)"),
    ("pytorch", "compiler switched off", "inductor", "switched off"),
]


@pytest.mark.parametrize(("backend", "plant", "wanted", "words"), COMPILERS, ids=[item[1] for item in COMPILERS])
def test_a_program_that_is_silently_not_compiled(
    found: dict[str, dict[str, Any]], backend: str, plant: str, wanted: str, words: str,
) -> None:
    item = caught(found, backend, plant, compile=wanted)[backend, "compilation.compiler"]
    assert words in item.mend
    # And where the session itself chose to compile, nobody having said it.
    assert (backend, "compilation.compiler") in caught(found, backend, plant)


@pytest.mark.parametrize(("backend", "plant"), [("tensorflow", "functions run eagerly"), ("pytorch", "compiler fails"),
                                                ("pytorch", "compiler switched off")])
def test_a_compiler_that_is_off_is_known_before_a_session_is_opened(
    found: dict[str, dict[str, Any]], backend: str, plant: str,
) -> None:
    wanted = Execution(device="cpu", compile={"tensorflow": "xla", "pytorch": "inductor"}[backend])
    places = [item.where for item in unfair(wanted, {backend: found[backend][plant]["conditions"]})]
    assert places == [(backend, "conditions.compile.active")]


def test_programs_that_are_compiled_are_counted(found: dict[str, dict[str, Any]]) -> None:
    """Steps of two batch sizes, the second of them met after the mark."""
    for backend, plant, compiler in (("tensorflow", "graph", "graph"), ("tensorflow", "compiled", "xla"),
                                     ("tensorflow", "idiomatic", "xla"), ("pytorch", "compiled later", "inductor")):
        first, later = found[backend][plant]["compilation"], found[backend][plant]["later"]
        assert (first["compiler"], first["fallback"], first["recompiles"]) == (compiler, None, 0)
        assert later["recompiles"] == later["programs"] - first["programs"] > 0
        half = {**found[backend][plant], "compilation": later}
        wanted = Execution(device="cpu", compile="auto")
        assert [item.where[1] for item in unfair(wanted, {backend: half})] == ["compilation.recompiles"]
    assert found["pytorch"]["compiled"]["later"]["recompiles"] == 0
    captured = found["pytorch"]["captured"]["compilation"]
    assert (captured["compiler"], captured["programs"], captured["fallback"]) == ("capture", 2, None)


def test_a_compiled_program_against_the_wish_for_none(found: dict[str, dict[str, Any]]) -> None:
    assert ("tensorflow", "compilation.compiler") in caught(found, "tensorflow", "compiled", compile="none")


@pytest.mark.parametrize("backend", OTHER)
def test_another_batch_size(found: dict[str, dict[str, Any]], backend: str) -> None:
    item = caught(found, backend, "batch size")[backend, "batch_size"]
    assert (item.expected, item.found) == (8, 4)


@pytest.mark.parametrize("backend", OTHER)
@pytest.mark.parametrize("plant", ["evaluation mode", "evaluation mode, normalised"])
def test_evaluation_mode(found: dict[str, dict[str, Any]], backend: str, plant: str) -> None:
    assert caught(found, backend, plant)[backend, "mode"].found == "inference"


def test_a_half_that_is_unfair_by_itself_is_never_timed(found: dict[str, dict[str, Any]]) -> None:
    said = found["pytorch"]["stopped"]
    assert said["kind"] == "unfair"
    assert said["message"].startswith("UNFAIR: the steps do not train")


def test_another_data_path(found: dict[str, dict[str, Any]]) -> None:
    places = caught(found, "pytorch", "data path")
    assert {("pytorch", "data_path"), ("pytorch", "tier")} == set(places)
    assert found["tensorflow"]["data path"]["data_path"] == "end_to_end"


class Asynchronous:
    """A device that takes a millisecond for a step, and a call that returns at once. barrier: whether `wait` waits."""

    def __init__(self, barrier: bool) -> None:
        self.barrier = barrier
        self.working: list[threading.Thread] = []

    def train(self, start: int, stop: int) -> None:
        self.working.append(threading.Thread(target=time.sleep, args=((stop - start) * 1e-3,)))
        self.working[-1].start()

    def wait(self) -> None:
        while self.barrier and self.working:
            self.working.pop().join()


@pytest.mark.parametrize("barrier", [True, False])
def test_a_missing_barrier(barrier: bool) -> None:
    """A step of 1 GFLOP in a millisecond is what a device of 1 TFLOP/s can do, and no more."""
    plan: Any = SimpleNamespace(tape=SimpleNamespace(sizes=np.full(200, 32)))
    session: Any = Asynchronous(barrier)
    window = play_window(Player(session, plan), 200)
    said = impossible(1e9, window.steps, window.seconds, 1e12)
    assert (said is None) == barrier, said
    for thread in session.working:
        thread.join()
