"""The table of the four ways through two frameworks: pretrained in one, fine-tuned in another."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.two_by_two import TwoByTwo
from harness.report.tables import Table
from harness.report.wording import ABSENT, figure, metric, shown

COLUMNS = ["setting", "pretrained -> fine-tuned", "seeds", "metric", "mean", "minus the first", "spread of seeds",
           "within it?"]


def table(found: Sequence[TwoByTwo]) -> Table:
    """A row for each way; no rows where no recipe has pretrained_in."""
    rows = [
        [shown(group.title), shown(pair.title), str(len(pair.values)), shown(group.measure),
         figure(pair.mean, lambda value, name=group.measure: metric(name, value)),  # type: ignore[misc]
         ABSENT if pair.difference is None else figure(pair.difference, lambda value: f"{value:+.4g}"),
         ABSENT if group.spread is None else f"{group.spread:.4g}",
         {True: "yes", False: "no", None: ABSENT}[pair.within]]
        for group in found for pair in group.pairs
    ]
    caption = (
        "Final metrics over seeds with 95% intervals (Student t). The differences are paired by seed, from the way in "
        "the first row. Spread: the standard deviation over seeds within one framework, pooled over the two ways that "
        "stay in one. Within it: the mean difference is no larger. The pretraining of a framework is run once and "
        "shared."
    )
    return Table("Pretrained in one, fine-tuned in the other", caption, COLUMNS, rows)
