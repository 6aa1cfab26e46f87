"""The page of a certificate, and "Same training?" in the report, for every label."""

from __future__ import annotations

import json
import re

import pytest

from harness.certify.certificate import Certificate
from harness.records.certificates import certificate_key, certificate_path
from harness.records.store import Store
from harness.report.certificate_page import certificate_html
from harness.report.trajectory_figure import trajectory_figure
from tests.certify.made_up import certificate, curve
from tests.report.synthetic import add, certify, pairs, payload
from tests.report.test_report import HOSTILE, Balanced, report


def section(page):
    return page.partition('<section id="training">')[2].partition("</section>")[0]


def whole(page):
    """Checks what holds for every page."""
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert "script" not in parser.tags
    assert not re.search(r"https?://|//[a-z]|url\((?!#)|@import|src=", page)
    return page


@pytest.mark.parametrize(("label", "badge", "texts"), [
    ("same to rounding", "same to rounding", ["R4", "D(t), phase pretrain", "Error per layer",
                                              "T* in float32: step 40.", "3,125 training steps"]),
    ("different", "different", ["R1, phase pretrain, step 1, buffer, bn, moving_variance", "use the biased variance",
                                "likely cause", "FAILED", "1e-05"]),
    ("not certified", "not certified", ["both become NaN at step 7", "R3, R4 were not run"]),
    (None, "not certified", ["there is no certificate beside these runs"]),
])
def test_every_label_in_the_report(tmp_path, label, badge, texts):
    store = pairs(tmp_path / "store", seeds=3, label=label)
    page, markdown, data = report(store)
    assert data["badges"]["Same training?"] == badge
    for text in texts:
        assert text in section(page)
    assert badge in data["tables"]["Answers"]["rows"][0][7]
    part = markdown.partition("## Same training?")[2].partition("\n## ")[0]
    assert badge in part
    assert len(data["certificates"]) == (label is not None)
    comparable = data["verdict"]["comparisons"][0]["primary"]["outcome"] != "not comparable"
    assert comparable == (label == "same to rounding")
    assert "samples_per_second ratio PyTorch/TensorFlow 1.5" in data["verdict"]["sentence"]
    if label:
        # R5 stands in the ladder, from the records.
        assert "3 of 5 paired seeds" in section(page)


def test_paired_seeds_lift_the_label_everywhere(tmp_path):
    page, markdown, data = report(pairs(tmp_path / "store", seeds=5, label="not certified"))
    assert data["badges"]["Same training?"] == "same in distribution"
    assert "same in distribution: R5 passed over 5 paired seeds" in section(page)
    assert "same in distribution: R5 passed over 5 paired seeds" in markdown
    assert "PyTorch faster" in page


def test_a_report_from_records_made_before_certificates(tmp_path):
    store = Store(tmp_path / "store")
    for seed in range(3):
        for backend in ("tensorflow", "pytorch"):
            data = payload(backend=backend, seed=seed)
            del data["cell"]["identity"]
            add(store, data)
    page, _, data = report(store)
    assert "not certified: made before certificates" in section(page)
    assert data["badges"]["Same training?"] == "not certified"


def test_damaged_certificates_are_said_and_passed_over(tmp_path):
    store = pairs(tmp_path / "store")
    path = certificate_path(store.path, certificate_key(payload()["cell"]))
    data = json.loads(path.read_text())
    path.write_text("{")
    page, _, _ = report(store)
    assert "no readable certificate" in page
    assert "there is no certificate beside these runs" in section(page)
    # Whole enough for its label, and yet not what a certificate holds.
    del data["phases"][0]["curves"]
    path.write_text(json.dumps(data))
    page, _, _ = report(Store(store.path))
    assert "not readable in full" in page
    assert "same to rounding" in section(page)


def test_hostile_text_in_a_certificate(tmp_path):
    store = pairs(tmp_path / "store", label=None)
    found = certificate("different").finding
    hostile = type(found)(*[HOSTILE if isinstance(getattr(found, name), str) else getattr(found, name)
                            for name in found.__dataclass_fields__])
    certify(store, payload(), "different", finding=hostile, notes=(HOSTILE,))
    page, markdown, _ = report(store)
    assert "&lt;script&gt;" in section(page)
    assert "<script" not in page + markdown
    assert "\x00" not in page + markdown


@pytest.mark.parametrize("label", ["same to rounding", "different", "not certified"])
def test_a_certificate_is_one_self_contained_file(label):
    made = certificate(label, model=f"<b>{HOSTILE}")
    page = whole(certificate_html(made))
    assert page == certificate_html(Certificate.from_data(json.loads(json.dumps(made.to_data()))))
    assert page.count("<svg") == (label == "same to rounding")
    assert "<b>" not in page
    assert "prefers-color-scheme: dark" in page
    assert made.label in page


def test_curves_that_are_zero_infinite_or_cut_short_are_drawn():
    exact = curve(between=(0.0,) * 6, seeds=(), horizon=None)
    broken = curve(between=(1e-9, float("inf"), float("nan"), 1e-3), limit=(1e-8,) * 6)
    nothing = curve(between=(), limit=(), seeds=(), controls={})
    svg = trajectory_figure([exact, broken, nothing])
    assert svg.startswith("<svg")
    assert svg == trajectory_figure([exact, broken, nothing])
    assert "D(t) of weights" in svg
