"""`Results.plot`: the report's pictures as matplotlib figures, for a notebook.

Every figure is drawn from the records alone, shows itself at the end of a notebook's cell, and is otherwise an ordinary
`matplotlib.figure.Figure` that can be changed and saved; pyplot is not touched. Names come from users: they are drawn
as they are written, whatever they hold.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.curves import Curve, curve
from harness.analysis.half_metrics import METRICS, metric_value
from harness.analysis.settings import Setting, backend_title, settings
from harness.analysis.throughput import measure
from harness.errors import SpecError, did_you_mean
from harness.records.blocks import DONE
from harness.report.figures import INK, dress, learning_metrics, learning_panels, literal, plain_style, style
from harness.report.trajectory_figure import trajectory_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.report.results import Results

FIRST_STEPS = 200
BAND = "#56b4e9"


def figure_class() -> type[Figure]:
    """A Figure that a notebook shows without pyplot."""
    from matplotlib.figure import Figure

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=110)
            return buffer.getvalue()

    return Shown


class Plots:
    """Made by `Results.plot`. `setting`, where a method takes one, is a title as `Results.settings` in the report
    names it, or a part of it that only one has; it may be left out where there is one setting."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def __repr__(self) -> str:
        names = [name for name in dir(type(self)) if not name.startswith("_")]
        return f"Results.plot: {', '.join(names)}"

    def learning_curves(self, setting: str | None = None, metrics: Sequence[str] = ()) -> Figure:
        """Training (solid) and validation (dashed) over epochs; the mean, every seed, and the band of the seeds.

        metrics: by Keras's names, without val_; the loss and the first score where left out. Raises SpecError where
        no epoch has one of them.
        """
        chosen = self._setting(setting)
        records = [record for backend in chosen.backends() for record in chosen.records(backend)]
        names = list(metrics) or learning_metrics(records)
        curves: dict[str, dict[str, Curve]] = {}
        for backend in chosen.backends():
            found = {n: curve(chosen.records(backend), n) for name in names for n in (name, f"val_{name}")}
            curves[backend] = {name: line for name, line in found.items() if line is not None}
        for name in names:
            if not any({name, f"val_{name}"} & set(lines) for lines in curves.values()):
                known = {metric for record in records for metric in record.history}
                raise SpecError(f"no epoch has the metric {name!r}.", hint=did_you_mean(name, known))
        if not names:
            raise SpecError("no run has come to the end of an epoch.", where=chosen.title)
        with plain_style():
            figure = learning_panels(curves, names, figure_class())
            figure.suptitle(literal(chosen.title)[:120], fontsize=10)
            return figure

    def losses(self, setting: str | None = None, steps: int = FIRST_STEPS) -> Figure:
        """The loss of the first steps, every seed and backend."""
        chosen = self._setting(setting)
        with plain_style():
            figure, panel = self._panel()
            for position, backend in enumerate(chosen.backends()):
                colour, _ = style(backend, position)
                for number, record in enumerate(chosen.records(backend)):
                    panel.plot(np.arange(1, len(record.losses[:steps]) + 1), record.losses[:steps], color=colour,
                               linewidth=2.6 if position == 0 else 1.1, alpha=0.8,
                               label=None if number else literal(backend_title(backend)))
            return self._finished(figure, panel, chosen.title, "step", "loss before the step's update")

    def speed(self, name: str = "samples_per_second") -> Figure:
        """A line per setting, a dot per block (or whole training, where none was timed) and backend; a bar at the
        median. name: of what blocks measure, or of the times of whole trainings."""
        found = settings(self._results.records(), self._results.blocks())
        with plain_style():
            figure, panel = self._panel(height=1.6 + 0.5 * max(len(found), 1))
            backends = sorted({backend for setting in found for backend in setting.backends()})
            for row, setting in enumerate(found):
                for position, backend in enumerate(backends):
                    values = _values(setting, backend, name)
                    colour, marker = style(backend, position)
                    height = row + (position - (len(backends) - 1) / 2) * 0.3
                    panel.plot(values, [height] * len(values), marker, color=colour, alpha=0.6, markersize=5,
                               label=None if row else literal(backend_title(backend)), linestyle="none")
                    if values:
                        panel.plot([float(np.median(values))] * 2, [height - 0.13, height + 0.13], color=colour)
            self._rows(panel, [setting.title for setting in found])
            unit = METRICS[name].unit if name in METRICS else ""
            return self._finished(figure, panel, "", f"{name} ({unit})" if unit else name, "")

    def answer(self, **overrides: Any) -> Figure:
        """The ratio of the two backends in every comparison, with its interval; inside the shaded band it does not
        matter. overrides: as of `Results.which`."""
        verdict = self._results.which(**overrides)
        shown = [item for item in verdict.comparisons if item.primary.figure is not None
                 and item.primary.figure.unit == "ratio"]
        with plain_style():
            figure, panel = self._panel(height=1.6 + 0.4 * max(len(shown), 1))
            panel.axvspan(1 / (1 + verdict.margin), 1 + verdict.margin, color=BAND, alpha=0.25, linewidth=0)
            panel.axvline(1.0, color=INK, linewidth=0.8)
            for row, item in enumerate(shown):
                estimate = item.primary.figure
                assert estimate is not None
                if estimate.low is not None and estimate.high is not None:
                    panel.plot([estimate.low, estimate.high], [row, row], color=INK, linewidth=1.4)
                panel.plot([estimate.value], [row], "o", color=INK,
                           markerfacecolor=INK if item.primary.decided else "white")
            self._rows(panel, [f"{item.setting.title}: {backend_title(item.a)}/{backend_title(item.b)}"
                               for item in shown])
            panel.set_xscale("log")
            for axis in (panel.xaxis.set_major_formatter, panel.xaxis.set_minor_formatter):
                axis(lambda value, _: f"{value:g}")
            label = f"{verdict.primary}, ratio (above 1 speaks for the first; filled: decided)"
            return self._finished(figure, panel, "", label, "")

    def certificate(self, key: str | None = None) -> Figure:
        """D(t) of a certificate over the band of its controls. key: may be left out where there is one."""
        from harness.certify.certificate import Certificate

        found = self._results.certificates()
        chosen = key if key is not None else next(iter(found), "") if len(found) == 1 else ""
        if chosen not in found:
            raise SpecError(f"there is no certificate {chosen!r}." if key else "say which certificate.",
                            where=str(self._results.path), hint=did_you_mean(chosen, found))
        curves = [line for phase in Certificate.from_data(found[chosen]).phases for line in phase.curves if line.steps]
        if not curves:
            raise SpecError("this certificate has no trajectory: it ended below R3.", where=chosen)
        with plain_style():
            return trajectory_panels(curves, figure_class())

    def _setting(self, wanted: str | None) -> Setting:
        found = [setting for setting in settings(self._results.records()) if setting.done]
        exact = [setting for setting in found if setting.title == wanted]
        fitting = exact or [setting for setting in found if wanted is None or wanted in setting.title]
        if len(fitting) != 1:
            titles = "; ".join(setting.title for setting in (fitting or found)[:12])
            raise SpecError(f"{len(fitting) or 'no'} settings fit {wanted!r}." if wanted else "say which setting.",
                            where=str(self._results.path), hint=f"There are: {titles or 'none'}.")
        return fitting[0]

    @staticmethod
    def _panel(height: float = 3.6) -> tuple[Figure, Any]:
        figure = figure_class()(figsize=(7.4, min(height, 40.0)), layout="constrained")
        return figure, figure.subplots()

    @staticmethod
    def _rows(panel: Any, titles: Sequence[str]) -> None:
        panel.set_yticks(range(len(titles)), [literal(title)[:70] for title in titles])
        panel.set_ylim(len(titles) - 0.4, -0.6)

    @staticmethod
    def _finished(figure: Figure, panel: Any, title: str, across: str, up: str) -> Figure:
        dress(panel)
        panel.set_xlabel(literal(across), color=INK)
        panel.set_ylabel(literal(up), color=INK)
        panel.set_title(literal(title)[:120], fontsize=10)
        handles, labels = panel.get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
        return figure


def _values(setting: Setting, backend: str, name: str) -> list[float]:
    """What blocks measured, else what whole trainings did."""
    timed = [value for block in setting.blocks if block.status == DONE and backend in block.halves
             and name in METRICS and (value := metric_value(block.halves[backend], name)) is not None]
    return timed or [value for record in setting.records(backend) if (value := measure(record, name)) is not None
                     and np.isfinite(value)]
