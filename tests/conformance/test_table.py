"""The conformance table notices what is wrong: a case beyond its tolerance, one that failed, one with other arrays."""

import numpy as np
import pytest

from tests.conformance.engine import Case
from tests.conformance.table import HEADER, Row, add_case, error_of, markdown

CASE = Case("one", lambda layers: layers.Dense(3), ((4,),))
LOOSE = Case("loose", lambda layers: layers.Dense(3), ((4,),), tolerance=1e-5, reason="a float32 kernel")


class Played:
    """Stands in for an Outcome: arrays by case."""

    def __init__(self, **arrays):
        self.arrays = {name.replace("_", " "): np.asarray(value) for name, value in arrays.items()}

    def of(self, key):
        return self.arrays, {"stock": True}


class Failed:
    def of(self, key):
        raise AssertionError("Traceback\nValueError: no such kernel")


def row_of(theirs, ours, case=CASE):
    row = Row("core", "Dense")
    add_case(row, "core/one", case, theirs, ours)
    return row


@pytest.mark.parametrize(("ours", "theirs", "error"), [
    ([1.0, 2.0], [1.0, 2.0], 0.0), ([0.5], [0.25], 0.25), ([300.0], [200.0], 0.5), ([1.0], [1.0, 1.0], np.inf),
    ([np.nan], [1.0], np.inf), ([], [], 0.0),
])
def test_error(ours, theirs, error):
    assert error_of(np.array(ours), np.array(theirs)) == error


def test_errors_go_to_their_columns():
    theirs = {"output_0": [1.0], "input_gradient_0": [1.0], "weight_gradient_k": [1.0], "weight_after_k": [1.0],
              "inference_0": [1.0]}
    ours = {"output_0": [1.0 + 1e-11], "input_gradient_0": [1.0], "weight_gradient_k": [1.0 + 3e-11],
            "weight_after_k": [1.0 + 2e-11], "inference_0": [1.0]}
    row = row_of(Played(**theirs, regularization=2.0), Played(**ours))
    assert [f"{row.worst[column]:.0e}" for column in ("forward", "gradient", "state", "inference")] == [
        "1e-11", "3e-11", "2e-11", "0e+00"]
    assert (row.cases, row.stock, row.failed) == (1, 1, [])
    assert len(row.cells()) == len(HEADER)


def test_beyond_the_tolerance():
    row = row_of(Played(output_0=[1.0]), Played(output_0=[1.0 + 1e-9]))
    assert row.failed == ["core/one: 1.0e-09 is beyond 1e-10"]
    assert row.cells()[-1] == "1 failed"
    assert "core/one: 1.0e-09" in markdown([row], {"Keras": "3"})


def test_a_wider_tolerance_is_named():
    row = row_of(Played(output_0=[1.0]), Played(output_0=[1.0 + 1e-6]), LOOSE)
    assert not row.failed
    assert "- Dense: a float32 kernel." in markdown([row], {})


def test_failed_and_different_cases_count():
    assert row_of(Failed(), Played(output_0=[1.0])).failed == ["core/one: ValueError: no such kernel"]
    assert row_of(Played(output_0=[1.0]), Played()).failed == ["core/one: not the same arrays"]
