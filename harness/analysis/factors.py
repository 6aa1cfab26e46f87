"""What it depends on: the one factor of the matrix that best splits the winners.

Every cell votes for "a", "no practical difference" and "b" with the probabilities that its own blocks give them
(Student's t around the mean log ratio), so a cell that settles nothing splits its vote instead of being left out.
A factor's score is the information gain of its groups about these votes, standardised by what shuffled cells give
(standardised mutual information: Romano, Bailey, Nguyen, Verspoor, ICML 2014): a factor of many values does not win by
having many. Whether the best one beats chance is a permutation test on the best score over all factors at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.resampling import RESAMPLES, SEED, freedom, percentile_interval, resampled_means
from harness.analysis.settings import backend_title
from harness.analysis.statistics import CONFIDENCE, Figure

WIN, TIE, LOSS, UNKNOWN = "win", "tie", "loss", "unknown"
COUNTED = (WIN, TIE, LOSS, UNKNOWN)
SHUFFLES = 1999
ABSENT = "not given"
# A split that tells this share of all that could be told about the winners is called one, if only by its cells.
CLEAN = 0.9


@dataclass(frozen=True)
class Row:
    """Cells with one value (or range) of a factor. counts: of COUNTED; ratio: geometric mean of a over b."""

    value: str
    group: str
    counts: Mapping[str, int]
    ratio: Figure | None

    def to_data(self) -> dict[str, Any]:
        return {"value": self.value, "group": self.group, **self.counts,
                "ratio": None if self.ratio is None else self.ratio.to_data()}


@dataclass(frozen=True)
class Dependence:
    """The best factor. found: whether it beats chance. groups: its two sides or its values; table: a row per value.

    gain: bits about the winner, `share` of those that knowing every cell would give. p_value: how often shuffled
    cells give any factor as good a score. alike: other factors that split the cells in just the same way.
    """

    found: bool
    factor: str | None
    sentence: str
    groups: tuple[Row, ...] = ()
    table: tuple[Row, ...] = ()
    gain: float = 0.0
    share: float = 0.0
    p_value: float = 1.0
    alike: tuple[str, ...] = ()
    n: int = 0

    def to_data(self) -> dict[str, Any]:
        return {"found": self.found, "factor": self.factor, "sentence": self.sentence, "gain_bits": self.gain,
                "share_of_all_bits": self.share, "p_value": self.p_value, "alike": list(self.alike), "n": self.n,
                "method": f"information gain, standardised; permutation test, {SHUFFLES} shuffles",
                "groups": [row.to_data() for row in self.groups], "table": [row.to_data() for row in self.table]}


@dataclass(frozen=True)
class _Reading:
    """One way to group the cells by a factor. codes: [cells], the group of each; labels: of the groups."""

    factor: str
    codes: np.ndarray
    labels: tuple[str, ...]


def depends_on(
    logs: Sequence[Sequence[float]], outcomes: Sequence[str], factors: Sequence[Mapping[str, Any]],
    names: tuple[str, str], margin: float, alpha: float = 0.05, seed: int = SEED,
) -> Dependence:
    """The factor that best splits the winners, or that there is none.

    logs: for each cell the log ratios of its blocks, above 0 where the first of `names` (backends) is better.
    outcomes: for each cell one of COUNTED, for the tables. factors: for each cell {factor: value}; a factor whose
    values are all numbers (or all texts of numbers) may be split at a threshold. margin: as a share, 0.03 is 3%.
    Ask where winners are mixed; it answers also where they are not.
    """
    if not len(logs) == len(outcomes) == len(factors):
        raise ValueError("logs, outcomes and factors have an entry for each cell")
    voters = [place for place, values in enumerate(logs) if len(values) >= 2]
    votes = np.array([_votes(logs[place], math.log1p(margin)) for place in voters])
    readings = _readings([factors[place] for place in voters])
    most = _most(votes) if voters else 0.0
    if not readings or most <= 1e-9:
        why = "no factor has more than one value" if not readings else "the winners do not differ"
        return Dependence(False, None, f"no single factor explains it: {why}", n=len(voters))
    scores, gains = _scores(votes, readings, np.random.default_rng(seed))
    best = int(np.argmax(scores[0] - 1e-9 * np.array([len(reading.labels) for reading in readings])))
    reading = readings[best]
    p_value = float((1 + np.sum(scores[1:].max(axis=1) >= scores[0, best] - 1e-9)) / (SHUFFLES + 1))
    alike = dict.fromkeys(other.factor for place, other in enumerate(readings)
                          if scores[0, place] >= scores[0, best] - 1e-9 and other.factor != reading.factor)
    groups, table = _rows(reading, voters, logs, outcomes, factors, names)
    found = Dependence(p_value < alpha, reading.factor, "", groups, table, float(gains[best]),
                       float(gains[best] / most), p_value, tuple(alike), len(voters))
    return replace(found, sentence=_sentence(found))


def geometric_mean(logs: Sequence[Sequence[float]], confidence: float = CONFIDENCE, seed: int = SEED) -> Figure | None:
    """Geometric mean over cells of their ratios, each cell counting once; blocks are resampled inside cells.

    logs: the log ratios of each cell's blocks; cells of fewer than two do not count, n says how many do. None if none.
    It says something of these cells, not of others that might have been chosen.
    """
    cells = [values for values in logs if len(values) >= 2]
    if not cells:
        return None
    means = resampled_means(cells, RESAMPLES, seed).mean(axis=1)
    low, high = percentile_interval(means, confidence, freedom(cells))
    value = float(np.mean([np.mean(values) for values in cells]))
    blocks = sorted({len(values) for values in cells})
    size = f"{blocks[0]}" if len(blocks) == 1 else f"{blocks[0]} to {blocks[-1]}"
    method = (f"geometric mean over cells of {size} blocks, bootstrap inside cells, {RESAMPLES} resamples, "
              f"{confidence:.0%} percentile interval for few blocks")
    return Figure(math.exp(value), math.exp(low), math.exp(high), len(cells), "ratio", method, confidence)


def _votes(logs: Sequence[float], edge: float) -> list[float]:
    """Probabilities of (a, neither, b): Student's t around the mean, n - 1 degrees of freedom."""
    from scipy import stats

    values = np.asarray(logs, dtype=np.float64)
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
    if np.ptp(values) == 0:
        return [float(mean >= edge), float(-edge < mean < edge), float(mean <= -edge)]
    above = float(stats.t.sf((edge - mean) / error, len(values) - 1))
    below = float(stats.t.cdf((-edge - mean) / error, len(values) - 1))
    return [above, max(0.0, 1 - above - below), below]


def _readings(factors: Sequence[Mapping[str, Any]]) -> list[_Reading]:
    """Every factor by its values, and by every threshold where they are numbers; only where something is split."""
    found: list[_Reading] = []
    seen = set()
    for name in dict.fromkeys(name for cell in factors for name in cell):
        values = [cell.get(name) for cell in factors]
        labels, texts = tuple(sorted_values(values)), tuple(_text(value) for value in values)
        # A factor that says the same of every cell is another's second name (an axis "recipe.batch_size").
        if len(labels) < 2 or texts in seen:
            continue
        seen.add(texts)
        places = np.array([labels.index(_text(value)) for value in values])
        if numbers(values) is not None:
            found += [_Reading(name, (places >= cut).astype(np.int64), (f"up to {labels[cut - 1]}",
                                                                        f"from {labels[cut]}"))
                      for cut in range(1, len(labels))]
        if numbers(values) is None or len(labels) > 2:
            found.append(_Reading(name, places, labels))
    return found


def numbers(values: Sequence[Any]) -> list[float] | None:
    """The values as numbers, None unless all are finite numbers (or texts of them); True and False are not."""
    found = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            return None
        try:
            found.append(float(value))
        except ValueError:
            return None
    return found if all(math.isfinite(number) for number in found) else None


def sorted_values(values: Sequence[Any]) -> list[str]:
    """The different values as texts: numbers by size, others in order of appearance, an absent one last."""
    as_numbers = numbers(values)
    texts = list(dict.fromkeys(_text(value) for value in values))
    if as_numbers is not None:
        sizes = {_text(value): number for value, number in zip(values, as_numbers, strict=True)}
        texts.sort(key=lambda text: sizes[text])
    return sorted(texts, key=lambda text: text == ABSENT)


def _text(value: Any) -> str:
    return ABSENT if value is None else str(value)


def _most(votes: np.ndarray) -> float:
    """Bits about the winner that knowing the cell would give."""
    return float(_entropy(votes.mean(axis=0)) - _entropy(votes).mean())


def _entropy(shares: np.ndarray) -> np.ndarray:
    """Bits, over the last axis."""
    from scipy.special import entr

    return np.asarray(entr(shares).sum(axis=-1) / math.log(2))


def _scores(
    votes: np.ndarray, readings: Sequence[_Reading], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """([1 + shuffles, readings] standardised gains, the first row as observed; [readings] gains as observed)."""
    n = len(votes)
    orders = np.stack([np.arange(n), *(rng.permutation(n) for _ in range(SHUFFLES))])
    member = np.concatenate([np.eye(len(reading.labels))[reading.codes] for reading in readings], axis=1)
    sums = np.einsum("mk,bmc->bkc", member, votes[orders], optimize=True)
    sizes = member.sum(axis=0)
    within = _entropy(sums / sizes[:, None]) * sizes / n
    starts = np.cumsum([0, *(len(reading.labels) for reading in readings)])[:-1]
    gains = float(_entropy(votes.mean(axis=0))) - np.add.reduceat(within, starts, axis=1)
    centre, spread = gains[1:].mean(axis=0), gains[1:].std(axis=0)
    # Where shuffling changes nothing (every cell has a value of its own), the factor says nothing.
    idle = spread < 1e-9
    return np.where(idle, 0.0, (gains - centre) / np.where(idle, 1.0, spread)), gains[0]


def _rows(
    reading: _Reading, voters: Sequence[int], logs: Sequence[Sequence[float]], outcomes: Sequence[str],
    factors: Sequence[Mapping[str, Any]], names: tuple[str, str],
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """(a row per group, a row per value), over all cells, those without a vote among them."""
    values = [_text(cell.get(reading.factor)) for cell in factors]
    home = {values[place]: reading.labels[code] for place, code in zip(voters, reading.codes, strict=True)}

    def row(value: str, group: str, places: Sequence[int]) -> Row:
        counts = Counter(outcomes[place] for place in places)
        return Row(value, group, {name: counts[name] for name in COUNTED}, geometric_mean([logs[p] for p in places]))

    groups, table = [], []
    for label in reading.labels:
        places = [place for place, value in enumerate(values) if home.get(value) == label]
        made = row(label, "", places)
        groups.append(replace(made, group=leader(made.counts, names)))
    for value in sorted_values([cell.get(reading.factor) for cell in factors]):
        places = [place for place, other in enumerate(values) if other == value]
        table.append(row(value, home.get(value, ""), places))
    return tuple(groups), tuple(table)


def leader(counts: Mapping[str, int], names: tuple[str, str]) -> str:
    """Who leads by these counts, in words: "PyTorch", "mostly PyTorch", "no practical difference", "mixed" ..."""
    words = {WIN: backend_title(names[0]), LOSS: backend_title(names[1]), TIE: "no practical difference"}
    settled = sum(counts[name] for name in words)
    if not settled:
        return "not settled"
    first = max(words, key=lambda name: counts[name])
    if counts[first] == settled:
        return words[first]
    return f"mostly {words[first]}" if counts[first] > settled / 2 else "mixed"


def _sentence(found: Dependence) -> str:
    name = str(found.factor).replace("_", " ")
    listing: dict[str, list[str]] = {}
    for row in found.groups:
        listing.setdefault(row.group, []).append(row.value)
    ranges = found.groups[0].value.startswith("up to ")
    parts = [f"{who} {'' if ranges else 'for '}{_joined(values)}" for who, values in listing.items()]
    split = f"{', '.join(parts)} (n = {found.n} cells)"
    if found.found:
        others = _joined([other.replace("_", " ") for other in found.alike])
        also = f"; the {others} splits them in the same way" if others else ""
        return f"it depends on the {name}: {split}{also}"
    if found.share > CLEAN:
        return (f"no single factor is shown to explain it: the {name} splits the winners ({', '.join(parts)}), but "
                f"among so few cells chance does so as well (p = {found.p_value:.2g}, n = {found.n} cells)")
    return (f"no single factor explains it: the best, the {name}, splits the winners no better than chance does "
            f"(p = {found.p_value:.2g}, n = {found.n} cells)")


def _joined(values: Sequence[str]) -> str:
    return " and ".join(text for text in (", ".join(values[:-1]), *values[-1:]) if text)
