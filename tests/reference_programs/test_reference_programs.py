"""The reference programs, plain Keras scripts with one import line changed: they run in both frameworks, and
stock Keras, from the same weights in the same order, ends where the TensorFlow half ends."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.forked import run_module
from tests.reference_programs.run_harness import PROGRAMS
from tests.reference_programs.stores import fits_of

ROOT = Path(__file__).parents[2]
IMAGES = "2000"
EPOCHS = {"a": (5, 10), "b": (5, 5), "c": (10, 5), "e": (5,)}
# float32, one thread, the same order: what is left is how the two programs' sums are grouped.
TOLERANCE = 1e-6

pytestmark = pytest.mark.frameworks


def play(out: Path) -> None:
    """Runs the programs with the harness, in a process of their own. Fails with what it printed."""
    environment = {
        **os.environ, "REFERENCE_IMAGES": IMAGES, "HARNESS_OVERRIDES": "execution.compile=none execution.threads=1",
        "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1", "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT),
        # A temporary folder of its own: these runs are not timed and wait for nobody.
        "TMPDIR": str(out),
    }
    done = subprocess.run([sys.executable, "-m", "tests.reference_programs.run_harness", str(out)], cwd=ROOT,
                          env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    play(folder)
    return folder


@pytest.fixture(scope="module")
def stock(out: Path) -> Path:
    run_module("tensorflow", "tests.reference_programs.run_stock", out, REFERENCE_IMAGES=IMAGES)
    return out


@pytest.mark.parametrize("program", PROGRAMS)
def test_only_the_import_line_knows_the_harness(program: str) -> None:
    text = Path(__file__).with_name(f"{program}.py").read_text()
    assert [line for line in text.splitlines() if "harness" in line] == ["from harness import keras"]
    assert not re.search(r"tensorflow|torch", text)


@pytest.mark.parametrize("program", PROGRAMS)
def test_prints_both_curves_and_the_answer(program: str, out: Path) -> None:
    text = (out / f"{program}.txt").read_text()
    assert "loss TensorFlow  loss PyTorch" in text
    for epochs in EPOCHS[program]:
        assert re.search(rf"^\s+{epochs}\s+0\.\d+", text, re.MULTILINE), text
    # A script is certified where HARNESS_CERTIFY=1 asks for it; else the figures stay and the verdict is withheld.
    assert text.count("not comparable: not certified: ") == len(EPOCHS[program])
    assert "examples/s" in text


@pytest.mark.parametrize("program", PROGRAMS)
def test_both_halves_trained_the_same(program: str, out: Path) -> None:
    fits = fits_of(out / program)
    assert len(fits) == len(EPOCHS[program])
    for fit, epochs in zip(fits, EPOCHS[program], strict=True):
        ours, theirs = fit["tensorflow"], fit["pytorch"]
        assert len(ours.phases[0]["epochs"]) == epochs
        assert ours.data["plan"]["digest"] == theirs.data["plan"]["digest"]
        # In float32 a unit that one framework switches on and the other off parts the two, sooner or later.
        np.testing.assert_allclose(ours.losses.mean(), theirs.losses.mean(), rtol=0.01)
        assert ours.losses[-10:].mean() < ours.losses[:10].mean()
    np.testing.assert_allclose(fits[0]["tensorflow"].losses[:50], fits[0]["pytorch"].losses[:50], rtol=1e-4)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_second_fit_goes_on_from_the_first(program: str, out: Path) -> None:
    fits = fits_of(out / program)
    for before, after in itertools.pairwise(fits):
        # The first loss of a training from scratch is about log(10).
        assert after["tensorflow"].losses[0] < 1.5 < before["tensorflow"].losses[0]


@pytest.mark.parametrize("program", PROGRAMS)
def test_stock_keras_ends_at_the_same_weights(program: str, stock: Path) -> None:
    worst = 0.0
    with np.load(stock / f"{program}.npz") as archive:
        for index, fit in enumerate(fits_of(stock / program)):
            weights = fit["tensorflow"].weights
            names = sorted(weights, key=lambda name: (name.split("/")[0], -len(name)))
            assert len(names) == sum(key.startswith(f"{index}/") for key in archive.files)
            for place, name in enumerate(names):
                array = archive[f"{index}/{place}"]
                assert array.dtype == np.float32
                assert array.shape == weights[name].shape
                worst = max(worst, float(np.abs(array - weights[name]).max()))
    print(f"{program}: largest difference of a weight {worst:.2g}")
    assert worst <= TOLERANCE
