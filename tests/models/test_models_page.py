"""docs/models.md is the library's, and its sizes are the published ones."""

from __future__ import annotations

import pytest

from harness.models import available_models
from tests.models.models_page import PAGE, ROWS, Row, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "python -m tests.models.models_page writes it"


def test_every_model_is_on_the_page() -> None:
    assert {row.model for row in ROWS} == set(available_models())


def named(row: Row) -> str:
    return f"{row.model} {' '.join(f'{key}={value}' for key, value in row.parameters.items())}"


@pytest.mark.parametrize("row", [row for row in ROWS if row.published != (None, None)], ids=named)
def test_it_is_as_large_as_published(row: Row) -> None:
    parameters, multiply_adds = row.published
    assert parameters is not None
    assert row.source
    assert row.size == pytest.approx(parameters, rel=row.close, abs=0)
    if multiply_adds is not None:
        assert row.spec.flops == pytest.approx(2 * multiply_adds, rel=row.flops_close)
