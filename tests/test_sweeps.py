"""Which sweeps a run takes: every one within two weeks, and what HARNESS_SWEEP says."""

import pytest

from tests.conftest import SWEEP_PARTS, Part

NAMES = [f"tests/conformance/test_x.py::test_sweep[{number}]" for number in range(200)]


def taken(wanted: str, day: int = 0) -> set[str]:
    return {name for name in NAMES if Part.of(wanted, day).has(name)}


def test_a_week_takes_every_sweep_once():
    days = [taken("", day) for day in range(739000, 739000 + SWEEP_PARTS)]
    assert set().union(*days) == set(NAMES)
    assert sum(map(len, days)) == len(NAMES)
    assert all(days)


def test_all_none_and_a_part():
    assert taken("all") == set(NAMES)
    assert taken("none") == set()
    assert taken("1/2") | taken("2/2") == set(NAMES)
    assert 60 < len(taken("1/2")) < 140


@pytest.mark.parametrize("wanted", ["some", "0/3", "4/3", "1/", "/2", "-1/2"])
def test_a_mistake_is_told(wanted):
    with pytest.raises(pytest.UsageError, match="HARNESS_SWEEP"):
        Part.of(wanted, 0)
