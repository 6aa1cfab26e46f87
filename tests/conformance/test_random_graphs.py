"""Property: a random model over the whole vocabulary is built by both backends, and its outputs, its gradients and the
state it leaves behind agree, in float64. One process per framework plays all of them.

A run takes FEW; HARNESS_SWEEP=all plays PARTS times EACH more.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from harness.errors import SpecError
from harness.spec.layers import LAYERS
from tests.conformance.random_graphs import case
from tests.conformance.random_layers import NOT_DRAWN, OTHERS, UNARY
from tests.conformance.random_rare_layers import INSIDE, RARE, READERS

FEW, PARTS, EACH = 25, 10, 50
TOLERANCE = 1e-9
# How much farther than one unit in the last place of the inputs another order of summation may lead.
ROUNDINGS = 1000
ROOT = Path(__file__).parents[2]
PLAY = settings(
    max_examples=FEW, deadline=None, derandomize=True, database=None, phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck))


class Worker:
    """One framework's process, which plays what it is asked for."""

    def __init__(self, backend: str, folder: Path) -> None:
        self.backend, self.folder = backend, folder
        self.errors = (folder / f"{backend}.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.conformance.random_graphs", backend, str(folder)], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)

    def ask(self, **what: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def ending(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.folder / f"{self.backend}.log").read_text()[-4000:]
        ending: str = json.loads(line)["ending"]
        return ending

    def arrays(self, number: int, calls: int) -> dict[str, np.ndarray]:
        with np.load(self.folder / f"{self.backend}_{number}_{calls}.npz") as archive:
            return dict(archive)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.errors.close()


Workers = tuple[Worker, Worker]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """TensorFlow's, then PyTorch's."""
    folder = tmp_path_factory.mktemp("random_graphs")
    started = Worker("tensorflow", folder), Worker("pytorch", folder)
    for worker in started:
        assert worker.ending() == "ready"
    yield started
    for worker in started:
        worker.close()


def far(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> dict[str, float]:
    """Of each array that differs the largest distance, relative to its largest value."""
    assert set(expected) == set(found)
    distances = {}
    for what, array in expected.items():
        assert array.shape == found[what].shape, what
        # A sum that overflows, or a logarithm of 0, is not what is asked about; that both have it is.
        both = (array == found[what]) | (np.isnan(array) & np.isnan(found[what]))
        with np.errstate(invalid="ignore"):
            apart = np.where(both, 0.0, np.abs(array - found[what]))
        scale = max(np.abs(array[np.isfinite(array)]).max(initial=0.0), 1e-3)
        distance = float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0) / scale)
        if not distance <= TOLERANCE:
            distances[what] = distance
    return distances


def agree(workers: Workers, number: int, calls: int) -> None:
    """Rejects what Keras's rules refuse; fails where one backend refuses, breaks, or computes something else."""
    for worker in workers:
        worker.ask(number=number, calls=calls)
    endings = [worker.ending() for worker in workers]
    if endings[0].startswith("refused") and endings[0] == endings[1]:
        reject()
    assert endings == ["played", "played"], "\n".join(endings)
    tensorflow, pytorch = workers
    expected = tensorflow.arrays(number, calls)
    distances = far(expected, pytorch.arrays(number, calls))
    if distances:
        # Is it rounding that grew? Then inputs moved by one unit in the last place lead as far.
        tensorflow.ask(number=number, calls=calls, moved=True)
        assert tensorflow.ending() == "played"
        control = far_anyway(expected, tensorflow.arrays(number, calls))
        distances = {what: value for what, value in distances.items() if not value <= ROUNDINGS * control[what]}
    assert not distances, (distances, case(number, calls).model.to_data())


def far_anyway(expected: dict[str, np.ndarray], moved: dict[str, np.ndarray]) -> dict[str, float]:
    """The distances of all arrays, relative to the largest value."""
    return {what: float(np.nan_to_num(np.abs(array - moved[what])).max(initial=0.0)
                        / max(np.nan_to_num(np.abs(array)).max(initial=0.0), 1e-3))
            for what, array in expected.items()}


@pytest.mark.frameworks
@pytest.mark.xdist_group("random_graphs")
@pytest.mark.timeout(0)
def test_random_models_agree(workers: Workers) -> None:
    @PLAY
    @given(number=st.integers(0, 10**6), calls=st.integers(2, 8))
    def play(number: int, calls: int) -> None:
        agree(workers, number, calls)

    play()


@pytest.mark.sweep
@pytest.mark.frameworks
@pytest.mark.xdist_group("random_graphs")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_more_random_models_agree(workers: Workers, part: int) -> None:
    @settings(PLAY, max_examples=EACH)
    @given(number=st.integers(part * 10**7, part * 10**7 + 10**6), calls=st.integers(2, 8))
    def play(number: int, calls: int) -> None:
        agree(workers, number, calls)

    play()


def test_every_layer_is_drawn() -> None:
    waiting = {*UNARY, *OTHERS, *RARE, *READERS}
    assert waiting | {*INSIDE, *NOT_DRAWN} == set(LAYERS.classes)
    for number in range(3000):
        with contextlib.suppress(SpecError):
            waiting -= {type(layer).__name__ for layer in case(number, 8).model.layers.values()}
        if not waiting:
            return
    pytest.fail(f"never drawn: {sorted(waiting)}")


def test_a_smaller_model_begins_like_the_larger() -> None:
    assert case(3, 4).model.digest == case(3, 4).model.digest
    assert case(3, 4).model.digest != case(4, 4).model.digest
    assert case(3, 2).inputs == case(3, 8).inputs[:len(case(3, 2).inputs)]
