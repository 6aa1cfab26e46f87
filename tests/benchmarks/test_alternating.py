"""The spread of blocks whose windows alternate, against values worked out by hand."""

import math

import pytest

from benchmarks.alternating import spread


def test_a_block_is_the_mean_of_its_turns() -> None:
    # Blocks of A: 2 and 4; of B: 1 and 4. The logs are log 2 and 0.
    found = spread([1, 3, 4, 4], [0.5, 1.5, 6, 2], turns=2)
    assert found.blocks == 2
    assert found.mean == pytest.approx(math.log(2) / 2)
    assert found.deviation == pytest.approx(math.log(2) / math.sqrt(2))


def test_what_slows_both_alike_is_no_spread() -> None:
    slower = [1.0, 1.4, 0.9, 2.0, 1.1, 1.3]
    found = spread([1.05 * one for one in slower], slower, turns=2)
    assert found.mean == pytest.approx(math.log(1.05))
    assert found.deviation == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("first", "second", "turns"), [
    ([1, 1], [1], 1), ([1, 1, 1], [1, 1, 1], 2), ([1, 1], [1, 1], 2),
])
def test_broken_blocks_are_refused(first: list[float], second: list[float], turns: int) -> None:
    with pytest.raises(ValueError, match="two whole blocks"):
        spread(first, second, turns)
