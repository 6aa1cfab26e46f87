"""D(t) over the band of its controls: how far apart two trainings are, and how far rounding alone would take one."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.certify.certificate import Curve
from harness.report.figures import INK, literal, plain_style, to_svg

# Okabe and Ito: black for the two backends is the page's ink, so that it shows on either ground.
BAND, LIMIT, SEEDS = "#56b4e9", "#d55e00", "#009e73"
COLUMNS = 2
MOST_MARKERS = 12


def trajectory_figure(curves: Sequence[Curve]) -> str:
    """One panel per curve, as inline SVG; the scale is logarithmic, and a distance of exactly 0 is drawn at its
    bottom."""
    with plain_style():
        return to_svg(trajectory_panels(curves))


def trajectory_panels(curves: Sequence[Curve], figure_class: Any = None) -> Any:
    """The figure of `trajectory_figure`. figure_class: matplotlib's own where None."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    figure = (figure_class or Figure)(figsize=(4.9 * columns, 3.2 * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, curve in zip(panels, curves, strict=False):
        _draw(panel, curve)
    for panel in panels[len(curves):]:
        panel.set_visible(False)
    handles: dict[str, Any] = {}
    for panel in panels[:len(curves)]:
        found, labels = panel.get_legend_handles_labels()
        handles |= dict(zip(labels, found, strict=True))
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw(panel: Any, curve: Curve) -> None:
    steps = np.asarray(curve.steps, dtype=float)
    rows = [curve.between, curve.limit, curve.seeds, *curve.controls.values()]
    positive = [value for row in rows for value in row if np.isfinite(value) and value > 0]
    floor = 10 ** np.floor(np.log10(min(positive, default=1e-17)) - 0.5)

    def line(values: Sequence[float]) -> np.ndarray:
        drawn = np.asarray(values, dtype=float)[:len(steps)]
        drawn = np.concatenate([drawn, np.full(len(steps) - len(drawn), np.nan)])
        return np.where(np.isfinite(drawn), np.maximum(drawn, floor), np.nan)

    if curve.controls:
        table = np.array([line(values) for values in curve.controls.values()])
        panel.fill_between(steps, table.min(axis=0), table.max(axis=0), color=BAND, alpha=0.35, linewidth=0,
                           label="one framework from itself (controls)")
    panel.plot(steps, line(curve.limit), "--", color=LIMIT, linewidth=1.2, label="limit")
    if curve.seeds:
        panel.plot(steps, line(curve.seeds), ":", color=SEEDS, linewidth=1.4, label="one seed from another")
    panel.plot(steps, line(curve.between), "-o", color=INK, linewidth=1.6, markersize=3.5,
               markevery=max(1, len(steps) // MOST_MARKERS), label="the two trainings")
    if curve.horizon is not None:
        panel.axvline(curve.horizon, color=INK, linewidth=0.8, linestyle=":")
        panel.annotate("T*", (curve.horizon, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -10),
                       textcoords="offset points", fontsize=9, color=INK)
    panel.set_yscale("log")
    panel.set_ylim(bottom=floor)
    panel.set_xlabel("steps played", color=INK)
    panel.set_ylabel(literal(f"D(t) of {curve.quantity}"), color=INK)
    title = f"{curve.quantity}, {curve.dtype}, {curve.program}"
    panel.set_title("\n".join(map(literal, textwrap.wrap(title, 56)[:3])), color=INK, fontsize=9)
    _dress(panel)


def _dress(panel: Any) -> None:
    panel.minorticks_off()
    panel.tick_params(which="both", colors=INK, labelsize=9)
    panel.grid(alpha=0.2, linewidth=0.5)
    panel.set_facecolor("none")
    for side, spine in panel.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))
