"""Not our own invention: the backends against stock Keras's fit and against hand-written PyTorch, float64."""

import numpy as np
import pytest

from tests.conformance.plain_programs import KERAS_MODELS, PROGRAMS
from tests.forked import run_module

TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """kind -> "case|which|weight" -> array."""
    folder = tmp_path_factory.mktemp("plain")
    results = {}
    for kind, framework in (("stock_keras", "tensorflow"), ("plain_pytorch", "pytorch")):
        out = folder / f"{kind}.npz"
        run_module(framework, "tests.conformance.plain_programs", kind, out)
        results[kind] = dict(np.load(out))
    return results


@pytest.mark.frameworks
@pytest.mark.xdist_group("plain_programs")
@pytest.mark.parametrize(("kind", "case"), [
    *[("stock_keras", case) for case in [*PROGRAMS, *KERAS_MODELS]], *[("plain_pytorch", case) for case in PROGRAMS],
])
def test_final_weights_agree(finished, kind, case):
    arrays = finished[kind]
    names = [key.split("|")[2] for key in arrays if key.startswith(f"{case}|harness|")]
    assert names
    for name in names:
        own, plain = arrays[f"{case}|harness|{name}"], arrays[f"{case}|plain|{name}"]
        moved = np.abs(own - arrays[f"{case}|first|{name}"]).max()
        assert moved > 1e-5, f"{name} was not trained"
        assert np.abs(own - plain).max() <= TOLERANCE * np.abs(plain).max(), name
