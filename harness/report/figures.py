"""The figures: matplotlib to inline SVG that follows the page's colours, light or dark.

Text stays text, so the page's own fonts and colour apply; no date, no random id, no outside address.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from harness.analysis.curves import Curve, curve, metric_names
from harness.analysis.settings import backend_title
from harness.records.record import Record
from harness.report.slim import slim
from harness.report.wording import is_share, shown

# Okabe and Ito's colours, told apart by everyone; the marker says the same again.
STYLES = {"tensorflow": ("#e69f00", "o"), "pytorch": ("#0072b2", "s")}
FURTHER = (("#009e73", "^"), ("#cc79a7", "D"), ("#d55e00", "v"), ("#56b4e9", "P"))
# Drawn in this colour, printed as currentColor.
INK = "#010203"
MOST_MARKERS = 12


def style(backend: str, position: int) -> tuple[str, str]:
    """(colour, marker) of a backend, the same on every page."""
    return STYLES.get(backend) or FURTHER[position % len(FURTHER)]


def learning_metrics(records: Sequence[Record]) -> list[str]:
    """The training metrics worth a panel: the loss, then the first score that is a share."""
    names = metric_names(records)
    base = list(dict.fromkeys(name.removeprefix("val_") for name in names))
    scores = [name for name in base if name != "loss" and is_share(name)] or [n for n in base if n != "loss"]
    return [name for name in ("loss", *scores[:1]) if name in base]


def learning_figure(
    runs: Mapping[str, Sequence[Record]], names: Sequence[str]
) -> tuple[str, dict[str, dict[str, Curve]]]:
    """One panel per metric: training and validation of every backend over epochs.

    Returns the SVG and the curves drawn: backend -> metric -> Curve.
    """
    curves: dict[str, dict[str, Curve]] = {}
    for backend, records in runs.items():
        found = {n: curve(records, n) for name in names for n in (name, f"val_{name}")}
        curves[backend] = {name: line for name, line in found.items() if line is not None}
    with plain_style():
        return to_svg(learning_panels(curves, names)), curves


@contextmanager
def plain_style() -> Iterator[None]:
    """matplotlib's defaults, whatever the user's own style says: the same records, the same bytes."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["svg.fonttype"] = "none"
        matplotlib.rcParams["svg.hashsalt"] = "harness"
        yield


def learning_panels(
    curves: Mapping[str, Mapping[str, Curve]], names: Sequence[str], figure_class: Any = None
) -> Any:
    """The figure of `learning_figure`. figure_class: matplotlib's own where None."""
    from matplotlib.figure import Figure

    figure = (figure_class or Figure)(figsize=(4.9 * len(names), 3.4), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        for position, (backend, lines) in enumerate(curves.items()):
            for metric in (name, f"val_{name}"):
                if metric in lines:
                    _draw(panel, lines[metric], backend, position, validation=metric.startswith("val_"))
        _dress(panel, name, curves)
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _draw(panel: Any, line: Curve, backend: str, position: int, validation: bool) -> None:
    colour, marker = style(backend, position)
    dashes = "--" if validation else "-"
    # Identical training gives lines on top of each other: the earlier one shows around the later one.
    width, marker_size = (3.6, 7.5) if position == 0 else (1.5, 4.0)
    if len(line.seeds) > 1:
        panel.fill_between(line.epochs, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
        for values in line.seeds.values():
            panel.plot(line.epochs, _finite(values), dashes, color=colour, alpha=0.45, linewidth=0.7)
    panel.plot(
        line.epochs,
        _finite(line.mean),
        dashes,
        color=colour,
        linewidth=width,
        marker=marker,
        markersize=marker_size,
        markerfacecolor="none" if validation else colour,
        markevery=max(1, len(line.epochs) // MOST_MARKERS),
        label=f"{literal(backend_title(backend))} {'validation' if validation else 'training'}",
    )


def _dress(panel: Any, name: str, curves: Mapping[str, Mapping[str, Curve]]) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    panel.set_xlabel("epoch", color=INK)
    panel.set_ylabel(literal(name), color=INK)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if is_share(name):
        panel.yaxis.set_major_formatter(PercentFormatter(1.0))
    dress(panel)
    phases = max((line.phases for lines in curves.values() for line in lines.values()), key=len, default=())
    for phase, start in phases if len(phases) > 1 else ():
        panel.axvline(start - 0.5, color=INK, linewidth=0.8, linestyle=":")
        panel.annotate(
            literal(phase)[:40], (start - 0.5, 1.0), xycoords=("data", "axes fraction"), xytext=(3, 2),
            textcoords="offset points", fontsize=8, color=INK,
        )  # fmt: skip


def dress(panel: Any) -> None:
    """The look that all panels share: ink, a faint grid, two spines."""
    panel.tick_params(colors=INK, labelsize=9)
    panel.grid(alpha=0.2, linewidth=0.5)
    panel.set_facecolor("none")
    for side, spine in panel.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))


def to_svg(figure: Any) -> str:
    """The figure as an inline <svg>: byte-identical for equal figures, without outside references."""
    figure.patch.set_alpha(0.0)
    for legend in figure.legends:
        for text in legend.get_texts():
            text.set_color(INK)
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # A name in a script that the measuring font lacks is still printed by the browser's own.
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    # Ids that nothing refers to would repeat from figure to figure.
    referred = set(re.findall(r"#([\w.-]+)", text))
    text = re.sub(r'\sid="([^"]*)"', lambda match: match.group(0) if match.group(1) in referred else "", text)
    return slim(text.replace(INK, "currentColor").strip())


def literal(text: str) -> str:
    """Text that matplotlib prints as it stands: a dollar sign begins no formula, an underscore hides no line."""
    return shown(text).replace("$", r"\$").lstrip("_")


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)
