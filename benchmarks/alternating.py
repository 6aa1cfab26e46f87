"""How much closer do two equal programs come when they take turns of a tenth of a second, than one window each?

    python -m benchmarks.alternating pytorch [--blocks 14] [--seconds 1.2] [--turns 12]

Two processes of the harness's tuned loop on the MLP (batch 32), both warm. A block is --seconds of each: in one window,
or in --turns windows that alternate. Prints, for both, the mean and the standard deviation over the blocks of
log(seconds of A / seconds of B). The blocks of both kinds alternate too, so that a machine that becomes slower on the
way slows both.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.processes import ContenderError, opened
from benchmarks.rounds import play_rounds
from benchmarks.workloads import WORKLOADS, write_data

WORKLOAD = "mlp_32"


@dataclass(frozen=True)
class Spread:
    """Of log(A / B) over blocks. deviation: the standard deviation, with n - 1."""

    mean: float
    deviation: float
    blocks: int

    def __str__(self) -> str:
        return f"mean {self.mean:+.4f}, standard deviation {self.deviation:.4f} (n = {self.blocks} blocks)"


def spread(first: Sequence[float], second: Sequence[float], turns: int) -> Spread:
    """first, second: seconds per example, turn by turn; a block is `turns` turns in a row. Raises ValueError unless
    both have as many and these make at least two whole blocks."""
    if len(first) != len(second) or len(first) % turns or len(first) < 2 * turns:
        raise ValueError(f"expected two whole blocks of {turns} turns, or more, got {len(first)} and {len(second)}")
    blocks = [np.asarray(times, np.float64).reshape(-1, turns).mean(axis=1) for times in (first, second)]
    logs = np.log(blocks[0] / blocks[1])
    return Spread(float(logs.mean()), float(logs.std(ddof=1)), len(logs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=("tensorflow", "pytorch"))
    parser.add_argument("--blocks", type=int, default=14)
    parser.add_argument("--seconds", type=float, default=1.2)
    parser.add_argument("--turns", type=int, default=12)
    arguments = parser.parse_args()

    def lost(name: str, error: Exception) -> None:
        raise ContenderError(f"{name}: {error}")

    kinds = {1: "one window each", arguments.turns: f"{arguments.turns} alternating windows"}
    times: dict[int, dict[str, list[float]]] = {turns: {"A": [], "B": []} for turns in kinds}
    with tempfile.TemporaryDirectory(prefix="harness-benchmark-") as name:
        folder = Path(name)
        data = folder / f"{WORKLOAD}.npz"
        write_data(WORKLOADS[WORKLOAD], data)
        players = {}
        try:
            for label in ("A", "B"):
                (folder / label).mkdir()
                players[label] = opened(f"harness-{arguments.framework}", WORKLOAD, data, "auto", folder / label)
            for block in range(arguments.blocks):
                for turns in kinds:
                    order = players if block % 2 == 0 else dict(reversed(players.items()))
                    found = play_rounds(order, turns, arguments.seconds / turns, lost, settling=0)
                    for label in players:
                        times[turns][label] += found[label].wall
        finally:
            for player in players.values():
                player.close()
    for turns, kind in kinds.items():
        print(f"{arguments.framework}, {kind}: {spread(times[turns]['A'], times[turns]['B'], turns)}")


if __name__ == "__main__":
    main()
