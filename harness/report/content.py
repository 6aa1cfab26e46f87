"""What the page says, as plain data: one description for HTML, Markdown and JSON.

All text in it is for reading only: it is escaped by whoever prints it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.analysis.certification import Certificates
from harness.analysis.curves import Curve
from harness.analysis.games import games_played
from harness.analysis.sequential import LOOKS
from harness.analysis.settings import Setting, settings
from harness.analysis.two_by_two import two_by_two
from harness.analysis.verdict import Blocks, Verdict, which
from harness.records.record import Record
from harness.report import block_tables, games, inspection, tables
from harness.report import two_by_two as ways
from harness.report.figures import learning_figure, learning_metrics
from harness.report.large import MOST_PICTURES, pictured
from harness.report.tables import Table
from harness.report.training import CertificateView, views
from harness.report.wording import shown

VERDICT_KEYS = ("primary", "margin", "accuracy_margin", "target", "tier")
EXPERIMENT = "EXPERIMENT.yaml"


@dataclass(frozen=True)
class Plot:
    """title, one sentence saying what it shows, the picture (inline SVG), and the table behind it."""

    title: str
    caption: str
    svg: str
    table: Table
    curves: dict[str, dict[str, Curve]] = field(default_factory=dict)


@dataclass(frozen=True)
class Content:
    """The page. badges: (question, answer in words). unknown and notes: sentences."""

    title: str
    question: str
    verdict: Verdict
    answer: str
    badges: list[tuple[str, str]]
    answers: Table
    training: list[CertificateView]
    plots: list[Plot]
    inspections: list[inspection.InspectionView]
    blocks: Table
    throughput: Table
    phases: Table
    ways: Table
    games: Table
    failed: Table
    environments: Table
    unknown: list[str]
    notes: list[str]
    reproduce: list[str]


def verdict_of(
    records: Sequence[Record], experiment: Mapping[str, Any] | None, certificates: Certificates,
    blocks: Blocks | None = None, **overrides: Any
) -> Verdict:
    """The verdict with the experiment's own primary measure, margins and looks, unless overridden."""
    experiment = experiment or {}
    chosen = {key: value for key, value in (experiment.get("verdict") or {}).items() if key in VERDICT_KEYS}
    timing = experiment.get("timing")
    looks = (timing.get("looks") if isinstance(timing, Mapping) else None) or LOOKS
    return which(list(records), certificates=certificates, blocks=blocks,
                 **{"looks": looks, "command": _command(experiment), "blocks_by": _blocks_by(experiment), **chosen,
                    **overrides})


def content(
    records: Sequence[Record], experiment: Mapping[str, Any] | None = None, notes: Sequence[str] = (),
    certificates: Certificates | None = None, blocks: Blocks | None = None,
) -> Content:
    """Everything that the page says about these records. certificates: key -> certificate as plain data; blocks:
    setting -> its timed blocks."""
    experiment, certificates, said = experiment or {}, certificates or {}, list(notes)
    verdict = verdict_of(records, experiment, certificates, blocks)
    found = settings(records)
    drawn = pictured(found, said)
    training = views(verdict, certificates, said, MOST_PICTURES)
    name = shown(experiment.get("name") or "experiment")
    return Content(
        title=name,
        question=shown(experiment.get("question") or "Which framework?"),
        verdict=verdict,
        answer=shown(verdict.sentence),
        badges=_badges(verdict),
        answers=tables.answers(verdict),
        training=training,
        plots=[plot for setting in drawn if (plot := _plot(setting)) is not None],
        inspections=inspection.views(drawn, said),
        blocks=block_tables.blocks(verdict),
        throughput=tables.throughput(found),
        phases=tables.phases(found),
        ways=ways.table(two_by_two(records)),
        games=games.table(games_played(records)),
        failed=tables.failed(verdict, block_tables.without_result(verdict)),
        environments=tables.environments(records),
        unknown=[shown(sentence) for sentence in verdict.unknown],
        notes=[shown(note) for note in [*verdict.notes, *said]],
        reproduce=_commands(experiment, verdict),
    )


def _plot(setting: Setting) -> Plot | None:
    runs = {backend: setting.records(backend) for backend in setting.backends() if setting.records(backend)}
    names = learning_metrics([record for records in runs.values() for record in records])
    if not names:
        return None
    svg, curves = learning_figure(runs, names)
    caption = (
        "Thick lines are means over seeds, thin lines single seeds, bands reach from the lowest to the highest "
        "seed; solid with filled markers: training, dashed with open markers: validation. Nothing is smoothed; "
        "where the frameworks coincide, the thinner line lies on the thicker one."
    )
    return Plot(shown(setting.title), caption, svg, tables.curve_table(curves), curves)


def _badges(verdict: Verdict) -> list[tuple[str, str]]:
    """The four questions, each answered in words over all comparisons."""
    compared = [c for c in verdict.comparisons if c.seeds]
    if not compared:
        return [(q, "not comparable") for q in ("Same training?", "Accuracy?", "Speed?", "Enough evidence?")]
    training = sorted({c.certification.label for c in compared})
    quality = sorted({tables.outcome_text(c.quality) for c in compared})
    primary = sorted({tables.outcome_text(c.primary) for c in compared})
    question = "Speed?" if verdict.primary in ("samples_per_second", "train_seconds") else f"{verdict.primary}?"
    return [
        ("Same training?", "; ".join(training)),
        ("Accuracy?", "; ".join(quality)),
        (shown(question), "; ".join(primary)),
        ("Enough evidence?", "yes" if verdict.exit_code == 0 else "no"),
    ]


def _commands(experiment: Mapping[str, Any], verdict: Verdict) -> list[str]:
    """How to run it again, and, where evidence is missing, how to get it."""
    command = _command(experiment)
    commands = [command]
    if not command.startswith("harness run"):
        return commands  # a script, which takes neither overrides nor --more
    further = [c.primary.more for c in verdict.comparisons if c.primary.more and c.primary.repeat == "block"
               and len((c.primary.details or {}).get("looks", ())) <= (c.primary.details or {}).get("look", 0)]
    if further:
        commands.append(f"{command} --more {max(further)}")
    more = [judgement.more for c in verdict.comparisons for judgement in (c.primary, c.quality)
            if judgement.more and judgement.repeat != "block"]
    if more:
        seeds = max(len(c.seeds) for c in verdict.comparisons) + max(more)
        listing = ",".join(str(seed) for seed in range(seeds))
        if seeds <= 50:
            commands.append(f"{command} {shlex.quote(f'matrix.seed=[{listing}]')}")
    return commands


def _blocks_by(experiment: Mapping[str, Any]) -> str | None:
    """What to do for blocks where the experiment's own command measures none."""
    if experiment.get("timing") is False:
        return f"run `{_command(experiment)} timing=true`"
    return experiment.get("blocks_by")


def _command(experiment: Mapping[str, Any]) -> str:
    """What runs the experiment again."""
    name = str(experiment.get("name"))
    file = f"{name}.yaml" if experiment.get("name") and re.fullmatch(r"[\w-][\w.-]*", name) else EXPERIMENT
    return shown(experiment.get("command") or f"harness run experiments/{file}")
