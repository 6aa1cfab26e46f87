"""Backend.conditions in real processes: what it says is what the process does, not what it was asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.measure.parity import unfair
from harness.spec.execution import Execution

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BACKENDS = ("tensorflow", "pytorch")
pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("conditions")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        environment.pop(name, None)
    results = {}
    for backend in BACKENDS:
        file = folder / f"{backend}.json"
        process = subprocess.run([sys.executable, str(HERE / "conditions_of.py"), backend, str(file)], cwd=ROOT,
                                 capture_output=True, text=True, env=environment)
        assert process.returncode == 0, process.stderr[-3000:]
        results[backend] = json.loads(file.read_text())
    return results


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_threads(backend: str, found: dict[str, dict[str, Any]]) -> None:
    threads = found[backend]["two threads"]["threads"]
    assert (threads["intra"], threads["inter"]) == (2, 2)
    assert threads["affinity"] == sorted(os.sched_getaffinity(0))
    if len(threads["affinity"]) > 1:
        assert threads["parallelism"] > 1.2
    assert unfair(Execution(threads=2), {backend: found[backend]["two threads"]}) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_that_were_set_too_late_are_caught(backend: str, found: dict[str, dict[str, Any]]) -> None:
    """After its first operation TensorFlow keeps both pools, PyTorch the one of whole operations."""
    late = found[backend]["one thread, too late"]
    places = {item.where[1] for item in unfair(Execution(), {backend: late})}
    assert "conditions.threads.inter" in places
    assert ("conditions.threads.intra" in places) == (backend == "tensorflow")


@pytest.mark.parametrize("backend", BACKENDS)
def test_precision(backend: str, found: dict[str, dict[str, Any]]) -> None:
    for key, name, limit in (("two threads", "float32", 1e-5), ("float64", "float64", 1e-14)):
        precision = found[backend][key]["precision"]
        assert (precision["wanted"], precision["matmul"], precision["convolution"]) == (name, name, name)
        assert 0 < precision["matmul_error"] < limit
        assert 0 < precision["convolution_error"] < limit
    assert "which has no such arithmetic" in found[backend]["tf32"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_rest(backend: str, found: dict[str, dict[str, Any]]) -> None:
    said = found[backend]["two threads"]
    assert (said["backend"], said["device"], said["allocator"]) == (backend, "cpu", {"growth": None})
    assert said["determinism"] is False
    assert said["environment"]["CUDA_VISIBLE_DEVICES"] == "-1"
    assert "OMP_NUM_THREADS" not in said["environment"]
    assert said["compile"] == {"wanted": "auto", "active": None}


def test_xla_is_on(found: dict[str, dict[str, Any]]) -> None:
    assert found["tensorflow"]["compiled"]["compile"] == {"wanted": "xla", "active": "xla"}
    assert found["tensorflow"]["compiled"]["precision"]["matmul"] == "float32"
    assert found["pytorch"]["compiled"]["compile"] == {"wanted": "xla", "active": "none"}
