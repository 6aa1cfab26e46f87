"""The tables of the page: every cell is text that is ready to be escaped and printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.comparison import Comparison
from harness.analysis.curves import Curve
from harness.analysis.judgement import RATIO_MEASURES, Judgement, winner_text
from harness.analysis.settings import Setting, backend_title
from harness.analysis.throughput import phase_table, throughput_table
from harness.analysis.verdict import Verdict
from harness.records.certificates import DIFFERENT
from harness.records.record import Record
from harness.report.wording import ABSENT, figure, metric, number, shown, size


@dataclass(frozen=True)
class Table:
    """title, one sentence under it, column names, rows of text; all rows as long as `columns`."""

    title: str
    caption: str
    columns: list[str]
    rows: list[list[str]]

    def parts(self) -> list[Table]:
        """A table for each value of the first column, in the order in which they come, without that column."""
        found: dict[str, list[list[str]]] = {}
        for first, *rest in self.rows:
            found.setdefault(first, []).append(rest)
        return [Table(first, "", self.columns[1:], rows) for first, rows in found.items()]


def outcome_text(judgement: Judgement) -> str:
    """ "PyTorch faster", "no practical difference", "TensorFlow faster, at least 3% not proven yet", ..."""
    if judgement.winner is None:
        return judgement.outcome
    _, word = RATIO_MEASURES.get(judgement.measure, (True, "better"))
    return winner_text(backend_title(judgement.winner), word, judgement.doubt)


def answers(verdict: Verdict) -> Table:
    """A row per comparison."""
    rows = [
        [
            shown(comparison.setting.title),
            f"{backend_title(comparison.a)} / {backend_title(comparison.b)}",
            _repeats(comparison),
            outcome_text(comparison.primary),
            _estimate(comparison.primary),
            outcome_text(comparison.quality),
            _means(comparison.quality),
            shown(comparison.training.removeprefix("training equality: ")),
            shown(_advice(comparison)),
        ]
        for comparison in verdict.comparisons
    ]
    caption = (
        f"Decided by {shown(verdict.primary)}; less than {verdict.margin * 100:.3g}% counts as no difference there, "
        f"less than {verdict.accuracy_margin * 100:.3g} points in accuracy. Intervals: Student t over paired blocks, "
        "or for accuracy over paired seeds, at the confidence that the number of looks asks for; for times of whole "
        "trainings 95%. Equal accuracy: two one-sided t tests, 5% over all planned looks."
    )
    columns = [
        "comparison",
        "frameworks",
        "pairs",
        shown(verdict.primary),
        "ratio or difference",
        "accuracy",
    ]
    return Table("Answers", caption, [*columns, "means", "same training?", "what would settle it"], rows)


def _estimate(judgement: Judgement) -> str:
    return figure(judgement.figure, lambda value: f"{value:.3f}") if judgement.figure else ABSENT


def _repeats(comparison: Comparison) -> str:
    """ "12 blocks, 3 seeds"."""
    seeds, first = len(comparison.seeds), comparison.primary
    blocks = first.figure.n if first.figure and "log_ratios" in (first.details or {}) else 0
    return f"{blocks} blocks, {seeds} seeds" if blocks else str(seeds)


def _means(judgement: Judgement) -> str:
    means = (judgement.details or {}).get("means")
    if not means:
        return ABSENT
    values = ", ".join(f"{backend_title(name)} {metric(judgement.measure, v)}" for name, v in means.items())
    text = f"{judgement.measure}: {values}"
    pairs = (judgement.details or {}).get("pair_correlation")
    return shown(f"{text}; pairs correlate by {pairs['value']:.2g}" if pairs else text)


def _advice(comparison: Comparison) -> str:
    judgement, minutes = comparison.primary, comparison.minutes
    if comparison.seeds and judgement.outcome == "not comparable" and not comparison.certification.certified:
        if comparison.certification.label == DIFFERENT:
            return "mending what differs"
        return "a certificate that the two trainings are the same"
    if judgement.outcome == "not comparable":
        return judgement.sentence.removeprefix("not comparable: ")
    if judgement.decided and not judgement.more and comparison.quality.more:
        return f"{comparison.quality.more} more paired seeds, for {comparison.quality.measure}"
    if not judgement.more:
        return ABSENT if judgement.decided else f"more {judgement.repeat}s alone will hardly do"
    cost = "" if minutes is None else f" (about {max(minutes, 0.1):.1f} minutes)"
    return f"{judgement.more} more {judgement.repeat}s{cost}"


def throughput(found: Sequence[Setting]) -> Table:
    """A row per setting and backend."""
    rows = [
        [
            shown(setting.title),
            backend_title(row["backend"]),
            str(row["n"]),
            figure(row["samples_per_second"]),
            figure(row["train_seconds"]),
            figure(row["first_step_seconds"]),
            figure(row["peak_bytes"], size),
            figure(row["process_peak_bytes"], size),
        ]
        for setting in found
        for row in throughput_table(setting)
    ]
    caption = (
        "Observed in whole trainings: means over seeds with 95% intervals (Student t). samples/s counts training steps "
        "after warm-up only, between two device barriers; train seconds and the first step contain compilation. A "
        "dash: not measured."
    )
    columns = ["setting", "framework", "seeds", "samples/s", "train seconds", "first step seconds"]
    return Table("Throughput", caption, [*columns, "device peak", "process peak"], rows)


def phases(found: Sequence[Setting]) -> Table:
    """A row per setting, backend and phase: pre-training and each fine-tuning."""
    rows = []
    for setting in found:
        for row in phase_table(setting):
            metrics = ", ".join(f"{name} {metric(name, value)}" for name, value in row["metrics"].items())
            early = f", {row['stopped_early']} of {row['n']} stopped early" if row["stopped_early"] else ""
            rows.append(
                [
                    shown(setting.title),
                    backend_title(row["backend"]),
                    shown(row["phase"]),
                    f"{number(row['epochs'])}{early}",
                    number(row["samples_per_second"]),
                    shown(metrics) if metrics else ABSENT,
                    _trained(row),
                    shown(", ".join(row["programs"])) or ABSENT,
                ]
            )
    columns = ["setting", "framework", "phase", "epochs", "samples/s", "at its end", "trained", "program"]
    return Table("Phases", "Means over seeds; metrics are those of the weights each phase ended with.", columns, rows)


def _trained(row: Mapping[str, Any]) -> str:
    """ "all 8,970", "489,626 of 22,900,000 (2.1%)": the parameters that the phase trains."""
    whole, trained = row["parameters"], row["trainable_parameters"]
    if not whole or trained is None:
        return ABSENT
    return f"all {whole:,}" if trained == whole else f"{trained:,} of {whole:,} ({trained / whole:.1%})"


def failed(verdict: Verdict, blocks: Sequence[list[str]] = ()) -> Table:
    """A row per cell that ended without a result, then the rows of such blocks."""
    rows = [[shown(c["title"]), shown(c["kind"]), shown(c["reason"]), shown(c["id"])] for c in verdict.failed]
    caption = "These runs ended without a result; they are results too, and are in no mean above."
    return Table("Failed cells", caption, ["cell", "kind", "reason", "id"], [*rows, *blocks])


def environments(records: Sequence[Record]) -> Table:
    """A row per distinct environment and backend, with what was read back at run time."""
    rows: dict[tuple[str, ...], int] = {}
    # Records of a large store share what is equal: each is put into words once.
    known: dict[tuple[str, int], tuple[str, ...]] = {}
    for record in sorted(records, key=lambda record: (record.backend, record.id)):
        told = record.environment
        if not told:
            continue
        row = known.get((record.backend, id(told))) or (
            backend_title(record.backend),
            shown(told.get("machine")),
            shown(told.get("cpu")),
            shown(told.get("cores")),
            shown(told.get("gpu") or "none"),
            shown(told.get("python")),
            shown(_listing(told.get("versions"))),
            shown(_listing(told.get("threads"))),
            shown(_listing(told.get("precision"))),
            shown(told.get("platform")),
        )
        known[record.backend, id(told)] = row
        rows[row] = rows.get(row, 0) + 1
    columns = ["framework", "machine", "cpu", "cores", "gpu", "python", "versions", "threads", "precision"]
    return Table(
        "Environment",
        "As read back in the process that ran, one row per distinct environment.",
        [*columns, "platform", "runs"],
        [[*row, str(count)] for row, count in rows.items()],
    )


def curve_table(curves: Mapping[str, Mapping[str, Curve]]) -> Table:
    """The numbers behind a figure: a row per backend and epoch, mean (lowest to highest seed) per metric."""
    names = list(dict.fromkeys(name for lines in curves.values() for name in lines))
    rows = []
    for backend, lines in curves.items():
        length = max((len(curve.epochs) for curve in lines.values()), default=0)
        for index in range(length):
            row = [backend_title(backend), str(index + 1)]
            row += [_point(name, lines.get(name), index) for name in names]
            rows.append(row)
    columns = ["framework", "epoch", *map(shown, names)]
    return Table("The numbers", "Mean over seeds (lowest to highest seed).", columns, rows)


def _point(name: str, curve: Curve | None, index: int) -> str:
    if curve is None or index >= len(curve.epochs):
        return ABSENT
    mean, low, high = (float(line[index]) for line in (curve.mean, curve.low, curve.high))
    if curve.n[index] < 2:
        return metric(name, mean)
    return f"{metric(name, mean)} ({metric(name, low)} to {metric(name, high)})"


def _listing(values: Any) -> str | None:
    if not isinstance(values, Mapping) or not values:
        return None
    return ", ".join(f"{key} {value}" for key, value in values.items())
