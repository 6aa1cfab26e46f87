"""Rematerialization: the same numbers as without it, in both frameworks, from less memory (docs/running.md)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.program_cases import furthest
from tests.backends.remat_cases import CASES, DEEP, MODES

ROOT = Path(__file__).parents[2]
BACKENDS = ("tensorflow", "pytorch")
LIMIT = 1e-12
MIB = 2**20
# Trained in every run of the suite: rows of calls with batch normalization; layers that draw, and an embedding.
ALWAYS = ("residual 1", "attentive 3")
ALL = [f"{name} {index}" for name in CASES for index in range(len(MODES[name]))]
pytestmark = [pytest.mark.frameworks, pytest.mark.xdist_group("remat")]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, chosen: Callable[[str], list[str]]) -> dict[str, dict[str, Any]]:
    """backend -> {"CASE|plain|NAME": array, "CASE|again|NAME": array, CASE: what was told}."""
    folder = tmp_path_factory.mktemp("remat")
    swept = chosen("swept")
    cases = ["memory", *(case for case in ALWAYS if case not in swept), *(f"{case} programs" for case in swept)]
    # A fixed threshold: what is freed goes back to the system at once, and the process's peak is that of its tensors.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT),
                   "MALLOC_MMAP_THRESHOLD_": "65536"}
    processes = {
        backend: subprocess.Popen(
            [sys.executable, "-m", "tests.backends.remat_of", backend, str(folder / f"{backend}.npz"), *cases],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for backend in BACKENDS
    }
    results = {}
    for backend, process in processes.items():
        output, _ = process.communicate()
        assert process.returncode == 0, f"{backend}:\n{output[-4000:]}"
        arrays = dict(np.load(folder / f"{backend}.npz"))
        results[backend] = {**arrays, **json.loads(str(arrays.pop("told")))}
    return results


def part(found: dict[str, Any], backend: str, case: str, what: str) -> dict[str, np.ndarray]:
    prefix = f"{case}|{what}|"
    return {name.removeprefix(prefix): array for name, array in found[backend].items() if name.startswith(prefix)}


def same_as_without(found: dict[str, Any], backend: str, case: str) -> None:
    apart, name = furthest(part(found, backend, case, "again"), part(found, backend, case, "plain"))
    assert apart <= LIMIT, f"{backend}, {case}: {name} differs by {apart:.3g}"
    told = found[backend][case]
    assert told["recomputed"] > 0
    assert "recomputed" in told["program"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", ALWAYS)
def test_nothing_changes(found: dict[str, Any], backend: str, case: str) -> None:
    """Losses, weights, moving averages and the optimizer's slots: dropout draws the same numbers the second time, and
    moving averages move once."""
    same_as_without(found, backend, case)


@pytest.mark.parametrize("case", ALWAYS)
def test_both_frameworks_train_alike(found: dict[str, Any], case: str) -> None:
    """The models accumulate gradients, tie weights and share layers: exact across frameworks too."""
    ours, theirs = (part(found, backend, case, "again") for backend in BACKENDS)
    apart, name = furthest(ours, theirs)
    assert apart <= 1e-9, f"{name} differs by {apart:.3g}"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_deep_model_needs_less_memory(found: dict[str, Any], backend: str) -> None:
    """320 MiB are kept without blocks, and 130 with them: a third of the difference that is asked for is a wide margin.
    The peak of a process never falls."""
    peaks = found[backend]["memory"]
    blocks, plain = (peaks[name] - peaks["before"] for name in ("blocks", "plain"))
    assert plain > DEEP * 8 * MIB, "the model does not keep what it is to save"
    assert plain - blocks > DEEP * 8 * MIB / 3, f"{blocks / MIB:.0f} MiB with blocks, {plain / MIB:.0f} without"


@pytest.mark.sweep
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("swept", ALL)
def test_every_mode_tier_program_and_trace(found: dict[str, Any], backend: str, swept: str) -> None:
    same_as_without(found, backend, swept)
    others = {name.split("|")[1] for name in found[backend] if name.startswith(f"{swept}|again ")}
    assert {"again trace", "again idiomatic"} < others
    assert others > ({"again xla loop", "again xla step"} if backend == "tensorflow" else {"again captured step"})
    for what in sorted(others):
        plain = what.replace("again", "plain") if what in ("again trace", "again idiomatic") else "plain"
        # A compiler orders sums anew; fit gives the loss as what a running mean moved by.
        limit = LIMIT if what in ("again trace", "again captured step", "again idiomatic") else 1e-9
        apart, name = furthest(part(found, backend, swept, what), part(found, backend, swept, plain))
        assert apart <= limit, f"{backend}, {swept}, {what}: {name} differs by {apart:.3g}"
    mode = MODES[swept.split()[0]][int(swept.split()[1])]
    assert found[backend][f"{swept} conditions"] == {
        "wanted": list(mode) if isinstance(mode, tuple) else mode, "recomputes": True}
