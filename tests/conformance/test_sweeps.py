"""Every combination of a layer's arguments means the same in both frameworks, to 1e-10 in float64."""

import pytest

from tests.conformance.process import play
from tests.conformance.sweeps import SWEEPS, possible, swept_cases
from tests.conformance.table import rows_of

# How many combinations a sweep has at least: fewer are a mistake in the sweep, not a success.
FEWEST = {"conv1d": 70, "conv2d": 50, "conv3d": 50, "depthwise": 90, "transposed1d": 60, "transposed2d": 60,
          "transposed3d": 60, "pooling1d": 100, "pooling2d": 100, "pooling3d": 100, "attention": 380}


@pytest.mark.frameworks
@pytest.mark.sweep
@pytest.mark.parametrize("name", SWEEPS)
def test_every_combination(name, tmp_path):
    cases = {key: case for key, case in swept_cases().items() if key.startswith(f"sweep/{name}/") and possible(case)}
    assert len(cases) >= FEWEST[name]
    rows = rows_of(cases, *play(list(cases), tmp_path))
    assert [line for row in rows for line in row.failed] == []
    assert sum(row.cases for row in rows) == len(cases)


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_has_its_combinations(name):
    keys = [key for key in swept_cases() if key.startswith(f"sweep/{name}/")]
    assert len(keys) == len(set(keys)) >= FEWEST[name]
