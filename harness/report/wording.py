"""How figures and names read on the page. Text from users passes through `shown` and nothing else."""

from __future__ import annotations

import math
from typing import Any

from harness.analysis.statistics import Figure

ABSENT = "-"


def shown(value: Any) -> str:
    """Text without control characters or lone surrogates; None becomes a dash."""
    if value is None:
        return ABSENT
    if (text := str(value)).isprintable():
        return text
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(letter if letter.isprintable() or letter == " " else " " for letter in text)


def number(value: float | None, digits: int = 4) -> str:
    """ "12,345", "0.9132", "1.2e-07", "NaN"; a dash for None."""
    if value is None:
        return ABSENT
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-4:
        return f"{value:.2g}"
    return f"{value:.{digits}g}"


def metric(name: str, value: float | None) -> str:
    """Losses as numbers; accuracies and the like, which lie between 0 and 1, as percent."""
    if value is not None and math.isfinite(value) and is_share(name):
        return f"{value * 100:.2f}%"
    return number(value)


def is_share(name: str) -> bool:
    return any(word in name.lower() for word in ("accuracy", "precision", "recall", "f1", "f_1", "auc"))


def size(value: float | None) -> str:
    """Bytes as MiB or GiB."""
    if value is None or not math.isfinite(value):
        return number(value)
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.1f} MiB"


def figure(estimate: Figure | None, form: Any = number) -> str:
    """ "12,345 (12,000 to 12,700)"; without an interval where there is none."""
    if estimate is None:
        return ABSENT
    if estimate.low is None or estimate.high is None:
        return f"{form(estimate.value)} (n = {estimate.n}, no interval)"
    return f"{form(estimate.value)} ({form(estimate.low)} to {form(estimate.high)})"
