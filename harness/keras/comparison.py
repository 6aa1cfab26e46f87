"""`history.comparison`: both halves of one fit, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.analysis.settings import backend_title
from harness.records.record import Record, is_metric
from harness.report.results import Results
from harness.report.wording import metric, number

MORE = (
    "More evidence: run this again with other seeds, and with HARNESS_RESULTS set to a folder; "
    "such runs count together. HARNESS_CERTIFY=1 certifies the two trainings first, which a verdict needs."
)
# Halves of a script follow each other once: what decides on speed is timed by an experiment.
BLOCKS_BY = (
    'fit times none, an experiment does: model.save("model.yaml"), the arrays by numpy.savez("data.npz", x=x, y=y), '
    "`harness init timing.yaml --model model.yaml --data data.npz`, `harness run timing.yaml`"
)


class Comparison(Results):
    """The results of one fit: .cells(), .report(path), .which(); printed, the curves, the throughput, the answer.

    ids: the records of this very fit. The store may hold more of them, of the same fit with other seeds; the
    answer, the cells and the report are of all.
    """

    def __init__(self, path: Path | str, ids: Sequence[str] = ()) -> None:
        super().__init__(path)
        self.ids = list(ids)

    def halves(self) -> list[Record]:
        """The finished halves of this fit (of all where no ids are known), TensorFlow's first."""
        found = [record for record in self.records() if not self.ids or record.id in self.ids]
        done = [record for record in found if record.status == "done"]
        return sorted(done, key=lambda record: record.backend != "tensorflow")

    def curves(self) -> str:
        """Every epoch's metrics, framework beside framework, as a text table."""
        halves = self.halves()
        if not halves:
            return "No half was finished."
        histories = [record.phases[-1]["epochs"] for record in halves]
        names = [name for name in histories[0][0] if is_metric(name)]
        head = ["epoch", *(f"{name} {backend_title(record.backend)}" for name in names for record in halves)]
        lines = [head]
        for epoch in range(max(map(len, histories))):
            cells = [metric(name, rows[epoch].get(name)) if epoch < len(rows) else "stopped"
                     for name in names for rows in histories]
            lines.append([str(epoch + 1), *cells])
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        padded = ([cell.rjust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
        return "\n".join("  ".join(line) for line in padded)

    def throughput(self) -> str:
        """One line per half: examples per second after warm-up, and the seconds of its training windows."""
        return "\n".join(
            f"{backend_title(record.backend)}: {number(record.samples_per_second)} examples/s, "
            f"{number(record.train_seconds)} s of training, {record.phases[-1].get('program') or 'unknown'}"
            for record in self.halves()
        )

    def __str__(self) -> str:
        halves = self.halves()
        first = halves[0].cell if halves else {}
        title = f"{first['model']['name']}, {halves[0].phases[-1]['name']}, seed {first['seed']}" if halves else ""
        verdict = self.which()
        more = MORE if verdict.exit_code and len(halves) > 1 else ""
        if more and BLOCKS_BY not in verdict.sentence:
            more += f" Speed is decided by timed blocks: {BLOCKS_BY}."
        parts = (title, self.curves(), self.throughput(), verdict.sentence, more)
        return "\n".join(part for part in parts if part)

    def __repr__(self) -> str:
        return f"Comparison({str(self.path)!r})"
