"""Conditions on which a comparison of two sets of results fails, for continuous integration.

    slower            samples_per_second shown to be lower by at least the margin
    less-accurate     the final metric shown to be worse by at least its margin
    more-memory       process_peak_bytes (or peak_bytes) shown to be higher by at least the margin
    different         other data, another plan, first losses that rounding does not explain, or a final metric shown to
                      be apart by at least its margin, in either direction
    failed            a run that came to a result in A has failed in B
    missing           a cell of A is not in B
    MEASURE<BOUND, MEASURE>BOUND    samples_per_second<0.95: the ratio B/A; test_accuracy<-0.01: the difference B - A;
                      test_loss>0.02: the difference as a share of the mean

"Shown" means that the interval of the change lies beyond the bound as a whole. The intervals of one call share an error
of 5% (Bonferroni), so that a gate over many cells is not more nervous than one over a single cell; a cell that changed
by nothing falls through it far more seldom than that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.analysis.regression import RATIO, SAME, SEEDS, Regression, Row
from harness.analysis.statistics import CONFIDENCE, Figure
from harness.errors import SpecError, did_you_mean

SLOWER, LESS_ACCURATE, MORE_MEMORY, DIFFERENT, FAILED, MISSING = (
    "slower", "less-accurate", "more-memory", "different", "failed", "missing")
WORDS = (SLOWER, LESS_ACCURATE, MORE_MEMORY, DIFFERENT, FAILED, MISSING)
MEMORY = ("process_peak_bytes", "peak_bytes")
EXPRESSION = re.compile(r"\s*([A-Za-z_]\w*)\s*([<>])\s*([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(%?)\s*")
PASSED, BROKEN, UNKNOWN = "passed", "failed", "cannot be said"


@dataclass(frozen=True)
class Condition:
    """text: as it was written. measure: of an expression, with `below` (or above) a bound; "" for a word."""

    text: str
    measure: str = ""
    below: bool = True
    bound: float = math.nan


@dataclass(frozen=True)
class Gate:
    """What became of a condition: PASSED, BROKEN or UNKNOWN (nothing that could be judged). why: a sentence for every
    cell that breaks it, or that cannot be judged. confidence: of the intervals."""

    condition: str
    outcome: str
    why: list[str] = field(default_factory=list)
    judged: int = 0
    confidence: float = CONFIDENCE

    def to_data(self) -> dict[str, Any]:
        return {"condition": self.condition, "outcome": self.outcome, "why": self.why, "judged": self.judged,
                "confidence": self.confidence}


@dataclass(frozen=True)
class _Check:
    """One row against one bound."""

    row: Row
    below: bool
    bound: float


def parse_condition(text: str) -> Condition:
    """Raises SpecError for what is neither a word nor MEASURE<BOUND."""
    if text.strip() in WORDS:
        return Condition(text.strip())
    match = EXPRESSION.fullmatch(text)
    if match is None:
        raise SpecError(f"cannot read {text!r} as a condition.", where="--fail-on",
                        hint=did_you_mean(text, WORDS) + " Or an expression: samples_per_second<0.95.")
    name, sign, number, percent = match.groups()
    try:
        bound = float(number) / (100 if percent else 1)
    except ValueError:
        raise SpecError(f"{number!r} is no number.", where=f"--fail-on {text}") from None
    return Condition(text.strip(), name, sign == "<", bound)


def measures_of(conditions: Sequence[Condition]) -> list[str]:
    """What has to be compared for them."""
    return list(dict.fromkeys(condition.measure for condition in conditions if condition.measure))


def judge_gates(found: Regression, conditions: Sequence[Condition]) -> list[Gate]:
    """One for every condition. Raises SpecError for a ratio that is held against a bound of 0 or less."""
    checks = {condition.text: _checks(found, condition) for condition in conditions}
    total = sum(map(len, checks.values()))
    confidence = 1 - (1 - CONFIDENCE) / max(total, 1)
    return [_gate(found, condition, checks[condition.text], confidence) for condition in conditions]


def _checks(found: Regression, condition: Condition) -> list[_Check]:
    rows = [row for row in found.rows if "/" not in row.backend]
    if condition.measure:
        chosen = [row for row in rows if row.measure == condition.measure]
        if condition.bound <= 0 and any(row.kind == RATIO for row in chosen):
            raise SpecError(f"{condition.measure} is compared by its ratio B/A, which is never {condition.bound:g}.",
                            where=f"--fail-on {condition.text}", hint="Write 0.95 for a loss of 5%.")
        return [_Check(row, condition.below, condition.bound) for row in chosen]
    quality = [row for row in rows if row.source == SEEDS]
    word = condition.text
    if word == SLOWER:
        return [_worse(row) for row in rows if row.measure == "samples_per_second"]
    if word == MORE_MEMORY:
        return [_worse(row) for row in rows if row.measure in MEMORY]
    if word == LESS_ACCURATE:
        return [_worse(row) for row in quality]
    if word == DIFFERENT:
        return [check for row in quality for check in (_worse(row), _better(row))]
    return []


def _worse(row: Row) -> _Check:
    return _Check(row, row.more_is_better, _bound(row, row.more_is_better))


def _better(row: Row) -> _Check:
    return _Check(row, not row.more_is_better, _bound(row, not row.more_is_better))


def _bound(row: Row, below: bool) -> float:
    """The margin, on the side where the change would be `below` (or above) it."""
    if row.kind == RATIO:
        return 1 / (1 + row.margin) if below else 1 + row.margin
    return -row.margin if below else row.margin


def _gate(found: Regression, condition: Condition, checks: Sequence[_Check], confidence: float) -> Gate:
    broken = {FAILED: found.failed, MISSING: found.missing,
              DIFFERENT: [f"{item.title}, {item.backend}: {text}" for item in found.same for text in item.problems],
              }.get(condition.text, [])
    broken, unknown, judged = list(broken), [], 0
    for check in checks:
        if check.row.outcome == SAME:  # one seed alone is enough to say so
            judged += 1
            continue
        change = check.row.change(confidence)
        place = f"{check.row.title}, {check.row.backend}: {check.row.measure}"
        if change.low is None or change.high is None:
            unknown.append(f"{place}: {change.n} value{'' if change.n == 1 else 's'} a side give no interval")
            continue
        judged += 1
        if change.high < check.bound if check.below else change.low > check.bound:
            broken.append(f"{place} {_shown(change)} is {'below' if check.below else 'above'} {check.bound:.4g}")
    counted = condition.text in (FAILED, MISSING) or (condition.text == DIFFERENT and bool(found.same))
    outcome = BROKEN if broken else PASSED if counted or (judged and not unknown) else UNKNOWN
    if outcome == UNKNOWN and not unknown:
        unknown = ["no cell has it in both sets"]
    return Gate(condition.text, outcome, broken or (unknown if outcome == UNKNOWN else []), judged, confidence)


def _shown(change: Figure) -> str:
    return f"{change.value:.4g} ({change.confidence * 100:.4g}% interval {change.low:.4g} to {change.high:.4g})"
