"""The largest batch that trains, found with a machine that has room for so many examples."""

from __future__ import annotations

import pytest

from harness.measure.memory import largest_batch


@pytest.mark.parametrize("room", [1, 2, 31, 32, 33, 63, 64, 100, 1000, 4095, 4096])
def test_it_is_found_exactly(room: int):
    asked: list[int] = []

    def fits(size: int) -> bool:
        asked.append(size)
        return size <= room

    found = largest_batch(fits, 32)
    assert found.batch == room
    assert not found.at_limit
    assert len(asked) == len(set(asked)) < 26
    assert found.tried == {size: size <= room for size in asked}


def test_a_limit_is_said_to_be_one():
    found = largest_batch(lambda size: True, 32, limit=1000)
    assert (found.batch, found.at_limit) == (1000, True)
    assert list(found.tried) == [32, 64, 128, 256, 512, 1000]


def test_the_limit_itself_is_searched_below():
    found = largest_batch(lambda size: size <= 700, 32, limit=1000)
    assert (found.batch, found.at_limit) == (700, False)


def test_nothing_trains():
    found = largest_batch(lambda size: False, 32)
    assert (found.batch, found.at_limit) == (None, False)
    assert min(found.tried) == 1


def test_a_resolution_saves_trials():
    found = largest_batch(lambda size: size <= 5000, 32, resolution=0.1)
    assert 5000 * 0.9 <= found.batch <= 5000
    assert len(found.tried) < len(largest_batch(lambda size: size <= 5000, 32).tried)


def test_sizes_below_one():
    with pytest.raises(ValueError, match="1 <= start <= limit"):
        largest_batch(lambda size: True, 0)
