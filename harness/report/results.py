"""What an experiment left, as an object: its cells, its answer, its report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.verdict import Verdict
from harness.errors import SpecError, did_you_mean
from harness.records import strict_json
from harness.records.blocks import Block, read_blocks
from harness.records.certificates import read_certificates
from harness.records.record import Record
from harness.records.store import Store
from harness.report.content import VERDICT_KEYS, content, verdict_of
from harness.report.page import to_fragment
from harness.report.write import write_report

if TYPE_CHECKING:
    import pandas

EXPERIMENT_FILE = "experiment.json"


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
        path = Path(path)
        if not path.is_dir() or not ((path / "cells").is_dir() or (path / EXPERIMENT_FILE).is_file()):
            known = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
            hint = did_you_mean(path.name, known) if not path.is_dir() else "Expected a folder cells/ in it."
            raise SpecError("there are no results here.", where=str(path), hint=hint)
        return cls(path)

    @property
    def experiment(self) -> Mapping[str, Any]:
        file = self.path / EXPERIMENT_FILE
        if not file.is_file():
            return {}
        try:
            data = strict_json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SpecError(f"not readable: {error}.", where=str(file)) from None
        if not isinstance(data, dict):
            raise SpecError("expected an object.", where=str(file))
        return data

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

    def report(self, path: Path | str | None = None) -> Path:
        """Writes the report into `path` (default: <results>/report); returns the path of report.html."""
        return write_report(self.store, self.path / "report" if path is None else path, self.experiment)

    def __repr__(self) -> str:
        return f"Results({str(self.path)!r}, {len(self.store.ids())} cells)"

    def __str__(self) -> str:
        return str(self.which())

    def _repr_html_(self) -> str:
        return to_fragment(content(self.records(), self.experiment, self.store.notes, self.certificates(),
                                   self.blocks()))
