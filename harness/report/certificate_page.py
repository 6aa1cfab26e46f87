"""certificate.html: one certificate as one file, without network or script."""

from __future__ import annotations

from harness.certify.certificate import Certificate
from harness.report.page import template
from harness.report.training import view


def certificate_html(certificate: Certificate) -> str:
    """The self-contained page. Everything is escaped but the SVG, which matplotlib has escaped."""
    model = certificate.subject.get("model") or "a model"
    page = view(certificate, f"Certificate of {model}")
    return template("certificate.html").render(page=page)  # type: ignore[no-any-return]
