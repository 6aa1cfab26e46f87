"""What an experiment left, as an object: its cells, its answer, its report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.verdict import Verdict
from harness.errors import SpecError, did_you_mean
from harness.records.blocks import Block, read_blocks
from harness.records.certificates import read_certificates
from harness.records.experiment_file import read_experiment_file, require_store
from harness.records.record import Record
from harness.records.store import Store
from harness.report.content import VERDICT_KEYS, content, verdict_of
from harness.report.page import to_fragment
from harness.report.write import write_judged

if TYPE_CHECKING:
    import pandas

    from harness.report.notebook import Plots


class Results:
    """The records below one folder, read anew at every call: a run may still be adding to them.

    experiment: what <path>/experiment.json says (name, question, verdict, command), {} without one.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.store = Store(self.path)

    @classmethod
    def open(cls, path: Path | str) -> Results:
        """Raises SpecError where there is no folder of results."""
        return cls(require_store(path))

    @property
    def experiment(self) -> Mapping[str, Any]:
        return read_experiment_file(self.path)

    def records(self) -> list[Record]:
        """All whole records, failed ones included."""
        return self.store.records()

    def cells(self) -> pandas.DataFrame:
        """One row per run; see `Store.cells`."""
        return self.store.cells()

    def certificates(self) -> dict[str, dict[str, Any]]:
        """key -> certificate as plain data; see `harness.Certificate.from_data`."""
        return read_certificates(self.path, self.store.notes)

    def blocks(self) -> dict[str, list[Block]]:
        """Setting -> its timed blocks; see `harness.records.blocks`."""
        return read_blocks(self.path, self.store.notes)

    def which(self, **overrides: Any) -> Verdict:
        """The answer. overrides: primary, margin, accuracy_margin, target, tier, in place of the experiment's own; see
        `harness.analysis.verdict.which`."""
        for key in overrides:
            if key not in VERDICT_KEYS:
                raise SpecError(f"which() takes no {key!r}.", hint=did_you_mean(key, VERDICT_KEYS))
        return verdict_of(self.records(), self.experiment, self.certificates(), self.blocks(), **overrides)

    @property
    def plot(self) -> Plots:
        """Pictures as matplotlib figures: `results.plot.learning_curves()`; see `harness.report.notebook`."""
        from harness.report.notebook import Plots

        return Plots(self)

    def report(self, path: Path | str | None = None) -> Path:
        """Writes the report into `path` (default: <results>/report); returns the path of report.html."""
        return self.judged_report(path)[0]

    def judged_report(self, path: Path | str | None = None) -> tuple[Path, Verdict]:
        """`report` and what `which` answers, from one reading of the records."""
        return write_judged(self.store, self.path / "report" if path is None else path, self.experiment)

    def __repr__(self) -> str:
        return f"Results({str(self.path)!r}, {len(self.store.ids())} cells)"

    def __str__(self) -> str:
        return str(self.which())

    def _repr_html_(self) -> str:
        return to_fragment(content(self.records(), self.experiment, self.store.notes, self.certificates(),
                                   self.blocks()))
