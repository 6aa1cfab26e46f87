"""One setting's blocks, judged at the planned looks: Student t on the log ratios of the two halves.

Three claims are tested at every look, each by its own t test, and each look spends an equal share of what the claim
may err over all planned looks together (Bonferroni, so that stopping early costs nothing):

- *no practical difference*: equivalent inside the margin (two one-sided tests), EQUIVALENCE in all;
- *better by at least the margin*: beyond the margin (one-sided), BEYOND in all;
- *better* and no more ("may not matter", or "at least 3% not proven yet" where the shown interval lies beyond the
  margin): the interval at 1 - DIRECTION / looks excludes 0, DIRECTION in all.

The first two end a comparison; the third stands until a later look says more, or there is none. How often each claim
is made under known differences is measured in tests/analysis/test_simulation.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, takewhile

import numpy as np

from harness.analysis.judgement import OUTCOMES, RATIO_MEASURES, Judgement, doubt_of
from harness.analysis.settings import backend_title
from harness.analysis.statistics import Figure, paired_log_ratio

LOOKS = (6, 12, 24)
# Error probabilities over all planned looks together, of the three claims.
DIRECTION, EQUIVALENCE, BEYOND = 0.05, 0.04, 0.005
# Outcomes that no further look is needed after.
FINAL = OUTCOMES[:2]
SAME, BETTER, AHEAD, OPEN = range(4)
MOST_BLOCKS = 1000


@dataclass(frozen=True)
class Evidence:
    """Of one look, for each of some runs. mean: of the log ratios. p-values of the three claims: equivalence (inside
    the margin), beyond (the margin, on the mean's own side), direction (two-sided, other than 0)."""

    mean: np.ndarray
    equivalence: np.ndarray
    beyond: np.ndarray
    direction: np.ndarray


def evidence(logs: np.ndarray, edge: float) -> Evidence:
    """logs [..., blocks]: log ratios. edge: the margin as a log ratio."""
    n = logs.shape[-1]
    spread = np.std(logs, axis=-1, ddof=1) if n > 1 else np.full(logs.shape[:-1], np.inf)
    return _evidence(np.mean(logs, axis=-1), spread, n, edge)


def _evidence(mean: np.ndarray, spread: np.ndarray, n: int, edge: float) -> Evidence:
    from scipy import stats

    size = np.abs(mean)
    # Without any spread t is infinite, and undefined exactly on the edge: nothing is shown there.
    with np.errstate(divide="ignore", invalid="ignore"):
        error = spread / math.sqrt(n)
        inside, outside, off = ((edge - size) / error, (size - edge) / error, size / error)
    freedom = max(n - 1, 1)
    p_values = (np.nan_to_num(stats.t.sf(t, freedom), nan=1.0) for t in (inside, outside, off))
    equivalence, beyond, direction = p_values
    return Evidence(mean, equivalence, beyond, 2 * direction)


def outcomes(found: Evidence, planned: int) -> np.ndarray:
    """SAME, BETTER, AHEAD or OPEN for each run, at one of `planned` looks."""
    same, better = found.equivalence < EQUIVALENCE / planned, found.beyond < BEYOND / planned
    ahead = found.direction < DIRECTION / planned
    return np.select([same, better, ahead], [SAME, BETTER, AHEAD], OPEN)


def all_looks(looks: Sequence[int]) -> Iterator[int]:
    """The planned looks, then further ones, each at twice the blocks of the one before."""
    yield from looks
    yield from (looks[-1] * 2**step for step in count(1))


def next_look(n_done: int, judgement: Judgement | None, looks: Sequence[int] = LOOKS) -> int | None:
    """The number of blocks to run up to before judging again, None to stop.

    n_done: blocks that are done. judgement: of them, None before there is one. It stops when there is no practical
    difference, one is better by at least the margin, nothing can be compared, or no planned look is left.
    """
    if judgement is not None and (judgement.outcome in FINAL or judgement.outcome == OUTCOMES[4]):
        return None
    return next((look for look in looks if look > n_done), None)


def judge_blocks(
    measure: str, names: tuple[str, str], a: Sequence[float], b: Sequence[float], margin: float,
    looks: Sequence[int] = LOOKS, block_seconds: float | None = None,
) -> Judgement:
    """Which of two backends is better in a measure of RATIO_MEASURES, by blocks.

    a, b: one positive value per block that is done, in the order of the blocks. margin: 0.03 means that less than 3%
    does not matter. looks: the planned numbers of blocks; the last one reached is judged, beyond them the doubled
    ones. block_seconds: what a block takes, for the cost of more. The figure's ratio is a over b where more is better
    and b over a where less is, so above 1 always speaks for a.
    """
    n, edge = len(a), math.log1p(margin)
    reached = list(takewhile(lambda look: look <= n, all_looks(looks)))
    used = reached[-1] if reached else n
    over, under = (a, b) if RATIO_MEASURES[measure][0] else (b, a)
    confidence = 1 - DIRECTION / len(looks)
    figure = paired_log_ratio(over[:used], under[:used], confidence=confidence)
    figure = replace(figure, method=f"paired log-ratio of blocks, Student t, {confidence:.1%} interval")
    logs = np.log(np.asarray(over, dtype=np.float64)) - np.log(np.asarray(under, dtype=np.float64))
    found = evidence(logs[:used], edge)
    code = int(outcomes(found, len(looks))) if reached else OPEN
    state = _State(measure, names, margin, tuple(looks), n, reached, figure, _more(logs, code, edge, looks),
                   block_seconds)
    winner = None if code in (SAME, OPEN) else names[0] if float(found.mean) > 0 else names[1]
    sentence = "; ".join([_claim(state, code, winner), *_remarks(state, code)])
    details = {
        "blocks": n, "look": len(reached), "looks": list(looks), "used": used, "margin": margin,
        "equivalence_p_value": float(found.equivalence), "beyond_margin_p_value": float(found.beyond),
        "direction_p_value": float(found.direction), "error_probability": DIRECTION * _share(state),
        "hours": state.hours, "log_ratios": logs.tolist(),
    }
    more = None if code in (SAME, BETTER) else state.more
    return Judgement(measure, OUTCOMES[code], sentence, figure, winner, more, details, _seen(state), "block",
                     _doubt(state) if code == AHEAD else "")


@dataclass(frozen=True)
class _State:
    """What the sentence is made of. n: blocks done; reached: looks; more: blocks that would probably settle it."""

    measure: str
    names: tuple[str, str]
    margin: float
    looks: tuple[int, ...]
    n: int
    reached: list[int]
    figure: Figure
    more: int | None
    block_seconds: float | None

    @property
    def hours(self) -> float | None:
        if self.more is None or self.block_seconds is None:
            return None
        return self.more * self.block_seconds / 3600


def _share(state: _State) -> float:
    """Looks taken so far, as a share of those planned; above 1 beyond them."""
    return len(state.reached) / len(state.looks)


def _more(logs: np.ndarray, code: int, edge: float, looks: Sequence[int]) -> int | None:
    """Blocks up to the first look that would probably settle it, if mean and spread stay as they are."""
    n = len(logs)
    mean, spread = np.asarray(np.mean(logs)), np.asarray(np.std(logs, ddof=1) if n > 1 else 0.0)
    wanted = (SAME, BETTER) if code == AHEAD else (SAME, BETTER, AHEAD)
    for look in takewhile(lambda look: look <= max(MOST_BLOCKS, looks[-1]), all_looks(looks)):
        if look > n and (n < 2 or int(outcomes(_evidence(mean, spread, look, edge), len(looks))) in wanted):
            return look - n
    return None


def _claim(state: _State, code: int, winner: str | None) -> str:
    seen, margin = _seen(state), _percent(state.margin)
    if code == SAME:
        return f"{OUTCOMES[SAME]} (inside {margin}): {seen}"
    if code == OPEN:
        return f"{OUTCOMES[OPEN]}: {_advice(state)} (so far {seen})"
    assert winner is not None
    word = RATIO_MEASURES[state.measure][1]
    if code == BETTER:
        return f"{backend_title(winner)} {word} by at least {margin}: {seen}"
    least, most = _ends(state)
    return (f"{backend_title(winner)} {word} by {_percent(least - 1)} to {_percent(most - 1)}, {_doubt(state)}: "
            f"{seen}")


def _ends(state: _State) -> tuple[float, float]:
    """The interval of the winner over the other."""
    low, high = state.figure.low or 1.0, state.figure.high or 1.0
    return (low, high) if low > 1 else (1 / high, 1 / low)


def _doubt(state: _State) -> str:
    return doubt_of(_ends(state)[0], state.margin)


def _seen(state: _State) -> str:
    """ "samples_per_second ratio PyTorch/TensorFlow 1.12 (98.3% interval 1.08 to 1.16, n = 12 blocks, ...)"."""
    shown = state.names if RATIO_MEASURES[state.measure][0] else state.names[::-1]
    figure = state.figure
    blocks = f"n = {figure.n} block{'' if figure.n == 1 else 's'}"
    text = f"{state.measure} ratio {backend_title(shown[0])}/{backend_title(shown[1])} {figure.value:.4g}"
    if figure.low is None or figure.high is None:
        return f"{text} ({blocks})"
    look = f", look {len(state.reached)} of {len(state.looks)}" if state.reached else ""
    if len(state.reached) > len(state.looks):
        look = f", look {len(state.reached)}, {len(state.looks)} were planned"
    interval = f"{figure.confidence:.1%} interval {figure.low:.4g} to {figure.high:.4g}"
    return f"{text} ({interval}, {blocks}, Student t{look})"


def _advice(state: _State) -> str:
    if state.more is None:
        return "the spread between blocks is so large that more blocks alone will hardly decide it"
    cost = "" if state.hours is None else f" (about {state.hours:.2g} hours)"
    return f"run {state.more} more block{'' if state.more == 1 else 's'}{cost}"


def _remarks(state: _State, code: int) -> list[str]:
    """What is to be said besides: blocks since the last look, what more would tell, what further looks cost."""
    said = []
    following = next(look for look in all_looks(state.looks) if look > state.n)
    if not state.reached or state.n > state.reached[-1]:
        said.append(f"interim: {state.n} blocks of the next look at {following}")
    if code == AHEAD and state.more is not None:
        said.append(f"to settle whether by at least {_percent(state.margin)}, {_advice(state)}")
    if len(state.reached) > len(state.looks):
        said.append(f"with {len(state.reached)} looks the probability of a false direction sums to "
                    f"{DIRECTION * _share(state):.1%}")
    return said


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"
