"""harness compare: two sets of results, before and after, here and elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.exits import CONDITION_FAILED, NOT_ENOUGH_EVIDENCE, OK, nothing_matched
from harness.cli.output import Json, byte_size, emit
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.analysis.regression import Regression, Row
    from harness.analysis.regression_gates import Gate
    from harness.analysis.regression_matching import Side

Folder = Annotated[Path, typer.Argument(metavar="A", help="Results, before.")]
Other = Annotated[Path, typer.Argument(metavar="B", help="Results, after.")]
MARGIN, ACCURACY_MARGIN = 0.03, 0.005


def compare(
    a: Folder, b: Other,
    measure: Annotated[list[str] | None, typer.Option(help="A further measure: latency_p99, test_loss, ...")] = None,
    across: Annotated[list[str] | None, typer.Option(
        help="What may differ between the two: threads, compile, recipe.batch_size, ...")] = None,
    margin: Annotated[float | None, typer.Option(help="The share that counts as a difference.")] = None,
    accuracy_margin: Annotated[float | None, typer.Option(help="The same for accuracy: 0.005.")] = None,
    fail_on: Annotated[list[str] | None, typer.Option(
        metavar="CONDITION", help="Exit with 1 if it is shown: slower, less-accurate, more-memory, different, failed, "
                                  "missing, or samples_per_second<0.95 (B over A).")] = None,
    as_json: Json = False,
) -> int:
    """Hold two sets of results against each other, cell by cell.

    Before and after an upgrade, or on two machines. Margins are those of A's experiment where they are not given. Exit
    code 1 where a --fail-on is shown, 6 where one cannot be judged, 5 where no cell is in both.
    """
    from harness.analysis.regression import compare_results
    from harness.analysis.regression_gates import BROKEN, UNKNOWN, judge_gates, measures_of, parse_condition
    from harness.analysis.regression_matching import nearest

    conditions = [parse_condition(text) for text in fail_on or []]
    (ours, said), (theirs, _) = _side(a), _side(b)
    measures = list(dict.fromkeys([*(measure or []), *measures_of(conditions)]))
    found = compare_results(
        ours, theirs, measures, margin=_share("--margin", margin, said.get("margin"), MARGIN), across=across or [],
        accuracy_margin=_share("--accuracy-margin", accuracy_margin, said.get("accuracy_margin"), ACCURACY_MARGIN))
    gates = judge_gates(found, conditions)
    if not found.same and not found.rows and not found.failed:
        paths = nearest(ours, theirs)
        hint = f" The first ones differ in {', '.join(paths[:6])}: see --across." if paths else ""
        raise nothing_matched(f"no cell of {a} is in {b}.{hint}")
    emit({**found.to_data(), "gates": [gate.to_data() for gate in gates]}, compare_text(found, gates), as_json)
    outcomes = {gate.outcome for gate in gates}
    return CONDITION_FAILED if BROKEN in outcomes else NOT_ENOUGH_EVIDENCE if UNKNOWN in outcomes else OK


def _side(folder: Path) -> tuple[Side, dict[str, float]]:
    """(the results, what their experiment says of its verdict)."""
    from harness.analysis.regression_matching import Side
    from harness.cli.results import open_results

    results = open_results(folder)
    verdict = results.experiment.get("verdict")
    return Side(str(folder), results.records(), results.blocks()), verdict if isinstance(verdict, dict) else {}


def _share(option: str, given: float | None, said: object, default: float) -> float:
    value = given if given is not None else said if isinstance(said, float) else default
    if not 0 < value < 1:
        raise SpecError(f"{option} is {value!r}, expected a number above 0 and below 1.")
    return value


def compare_text(found: Regression, gates: Iterable[Gate]) -> str:
    """What differs around them, a narrow table per measure, whether the same was trained, the gates."""
    from harness.report.wording import shown

    lines = [f"A: {found.a.name}", f"B: {found.b.name}", *(f"  {text}" for text in found.differences)]
    for name in dict.fromkeys(row.measure for row in found.rows):
        lines += ["", *_table(name, [row for row in found.rows if row.measure == name])]
    if found.same:
        lines += ["", "same training?", *(f"  {item.title}, {item.backend}: {item.sentence}" for item in found.same)]
    for word, texts in (("failed in B", found.failed), ("not in B", found.missing), ("not in A", found.added),
                        ("caution", found.cautions)):
        lines += [f"{word}: {text}" for text in texts]
    for gate in gates:
        lines += ["", f"--fail-on {gate.condition}: {gate.outcome}", *(f"  {text}" for text in gate.why)]
    return "\n".join(map(shown, lines))


def _table(name: str, rows: list[Row]) -> list[str]:
    """ "mlp, digits, pytorch   12,345 ±1%   13,000 ±1%   +5.3% (+4.1 to +6.5)   better   n=6+6"."""
    from harness.analysis.regression import RATIO

    unit = f" ({rows[0].unit})" if rows[0].unit else ""
    head = f"{name}{unit}, {' and '.join(dict.fromkeys(row.source for row in rows))}"
    cells = [["", "A", "B", "B/A" if rows[0].kind == RATIO else "B-A", "", ""], *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    form = [str.ljust, str.rjust, str.rjust, str.ljust, str.ljust, str.ljust]
    body = ["  " + "  ".join(form[i](text, widths[i]) for i, text in enumerate(line)).rstrip() for line in cells]
    return [head, *body]


def _cells(row: Row) -> list[str]:
    from harness.analysis.regression import RATIO

    change = row.change()
    base = 1 if row.kind == RATIO else 0
    value, low, high = (None if end is None else (end - base) * 100 for end in (change.value, change.low, change.high))
    unit = "%" if row.kind != "difference" else " points"
    said = f"{value:+.2f}{unit}" + (f" ({low:+.2f} to {high:+.2f})" if low is not None and high is not None else "")
    n = f"n={len(row.a)}" if row.kind != RATIO else f"n={len(row.a)}+{len(row.b)}"
    title = " ".join(f"{row.title}, {row.backend}".split())
    return [title, _mean(row, row.a), _mean(row, row.b), said, row.outcome, n]


def _mean(row: Row, values: tuple[float, ...]) -> str:
    figure = row.side(values)
    number = f"{figure.value:,.0f}" if abs(figure.value) >= 1000 else f"{figure.value:.4g}"
    if row.unit == "bytes":
        number = byte_size(figure.value)
    if figure.low is None or figure.high is None or not figure.value:
        return number
    return f"{number} ±{(figure.high - figure.low) / 2 / abs(figure.value) * 100:.2g}%"
