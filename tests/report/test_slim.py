"""A slimmer figure shows the same: its words, its lines, its colours."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from harness.report import figures
from harness.report.figures import plain_style, to_svg
from harness.report.slim import slim


@pytest.fixture(scope="module")
def both():
    """(the figure as matplotlib writes it, the slimmer one)."""
    from matplotlib.figure import Figure

    found = []
    for change in (lambda text: text, slim):
        with plain_style(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(figures, "slim", change)
            figure = Figure(figsize=(5, 3))
            panel = figure.subplots()
            panel.plot(np.arange(40), np.exp(-np.arange(40) / 7.0), "-o", color="#d55e00", label="a < b & c")
            panel.plot(np.arange(40), np.linspace(0.1, 1, 40), "--", color="#0072b2", linewidth=3)
            panel.set_yscale("log")
            panel.set_title("two  words")
            panel.legend()
            found.append(to_svg(figure))
    return found


def lines(svg: str) -> list[np.ndarray]:
    """The coordinates of every path, in order."""
    root = ElementTree.fromstring(svg)
    return [np.array([float(number) for number in re.findall(r"-?\d+\.?\d*", path.attrib["d"])])
            for path in root.iter("path") if path.attrib.get("style") != "fill: none; opacity: 0"]


def test_the_lines_are_where_they_were(both):
    before, after = map(lines, both)
    assert len(before) == len(after) > 10
    for ours, theirs in zip(after, before, strict=True):
        assert np.abs(ours - theirs).max() <= 0.0501


def test_the_words_are_the_same(both):
    before, after = (["".join("".join(text.itertext()).split()) for text in ElementTree.fromstring(svg).iter("text")]
                     for svg in both)
    assert before == after
    assert "a<b&c" in after
    assert "two  words" in both[1]


def test_every_mark_keeps_its_style(both):
    def styles(svg: str) -> list[str]:
        root = ElementTree.fromstring(svg)
        rules = dict(re.findall(r"\.(v\w+)\{(.*?)\}", "".join(root.find("defs/style").itertext())))
        found = [rules.get(mark.attrib.get("class", ""), mark.attrib.get("style", "")) for mark in root.iter("use")]
        return [re.sub(r"\s", "", style) for style in found]

    assert styles(both[0]) == styles(both[1])
    assert any("#d55e00" in style for style in styles(both[1]))
    assert "style=" not in both[1]


def test_it_is_half_as_long_and_refers_to_nothing_that_is_gone(both):
    assert len(both[1]) < 0.5 * len(both[0])
    assert "<g>" not in both[1]
    referred = set(re.findall(r'(?:href="#|url\(#)([\w.-]+)', both[1]))
    assert referred == set(re.findall(r' id="([^"]+)"', both[1]))
    assert slim(both[0]) == both[1]


def test_a_turned_label_stays_turned():
    svg = ('<svg><text x="1.0" y="2.0" transform="rotate(-90 1.0 2.0)">up</text>'
           '<text transform="rotate(-0 3 4)">on</text></svg>')
    assert 'transform="rotate(-90 1 2)"' in slim(svg)
    assert slim(svg).count("transform") == 1
