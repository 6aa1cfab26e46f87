"""Tables that are too long for a page come in parts."""

from __future__ import annotations

from types import SimpleNamespace

from harness.report.page import template
from harness.report.tables import Table


def table(rows: int) -> Table:
    return Table("Timed blocks", "Means.", ["setting", "measure", "ratio"],
                 [["mlp" if index % 2 == 0 else "cnn", f"m{index}", "<1>"] for index in range(rows)])


def printed(rows: int) -> str:
    macros = template("macros.html").make_module(SimpleNamespace().__dict__)
    return str(macros.folded(table(rows), "blocks"))


def test_a_part_for_each_first_value_in_their_order():
    parts = table(4).parts()
    assert [part.title for part in parts] == ["mlp", "cnn"]
    assert parts[0].columns == ["measure", "ratio"]
    assert [row for part in parts for row in part.rows] == [["m0", "<1>"], ["m2", "<1>"], ["m1", "<1>"], ["m3", "<1>"]]


def test_a_long_table_is_folded_and_loses_nothing():
    short, long = printed(12), printed(13)
    assert "<details>" not in short
    assert short.count("mlp") == 6
    assert long.count("<details>") == 2
    assert long.count("mlp") == long.count("cnn") == 1
    assert all(f"m{index}</th>" in long for index in range(13))
    assert long.count("&lt;1&gt;") == 13
