"""harness compare over records that nobody had to train."""

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.records.store import Store
from tests.report.synthetic import add, block, pairs, payload, write_block

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """before, after (PyTorch 10% slower in its blocks), elsewhere (another model)."""
    folder = tmp_path_factory.mktemp("compare")
    pairs(folder / "before", seeds=5)
    after = pairs(folder / "after", seeds=5, blocks=0, environment={"versions": {"numpy": "2.1"}})
    for number in range(6):
        write_block(after.path, block(payload(), number, {"tensorflow": 1000.0, "pytorch": 1350.0}))
    pairs(folder / "elsewhere", seeds=1, models=("cnn",))
    return folder


def test_a_narrow_table_says_what_changed(stores: Path, capsys: Capture):
    assert main(["compare", str(stores / "before"), str(stores / "after")]) == 0
    out = capsys.readouterr().out
    assert "numpy 2.0 -> 2.1" in out
    lines = [line.split() for line in out.splitlines() if line.strip().startswith("mlp, digits, pytorch ")]
    assert " ".join(lines[0][3:]) == "1,500 ±0.29% 1,350 ±0.29% -10.00% (-10.32 to -9.68) worse n=6+6"
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize(("order", "conditions", "code"), [
    (("before", "after"), ["slower"], 1), (("after", "before"), ["slower"], 0),
    (("before", "after"), ["less-accurate", "different", "failed", "missing"], 0),
    (("before", "after"), ["samples_per_second<0.95"], 1), (("before", "after"), ["samples_per_second<0.85"], 0),
    (("before", "after"), ["slower", "tokens_per_second<0.9"], 1), (("before", "after"), ["tokens_per_second<0.9"], 6)])
def test_a_gate_sets_the_exit_code(stores: Path, order: tuple[str, str], conditions: list[str], code: int):
    options = [part for condition in conditions for part in ("--fail-on", condition)]
    assert main(["compare", *(str(stores / name) for name in order), *options]) == code


def test_the_same_as_json(stores: Path, capsys: Capture):
    folders = [str(stores / "before"), str(stores / "after")]
    assert main(["compare", *folders, "--fail-on", "slower", "--margin", "0.2", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["gates"] == [{"condition": "slower", "outcome": "passed", "why": [], "judged": 2, "confidence": 0.975}]
    row = next(row for row in data["rows"] if row["backend"] == "pytorch")
    assert row["change"]["value"] == pytest.approx(0.9)
    assert row["change"]["n"] == 6
    assert {item["exact"] for item in data["training"]} == {True}


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["before", "elsewhere"], 5, "differ in model"), (["before", "nowhere"], 4, "there are no results here"),
    (["before", "after", "--fail-on", "slowr"], 4, "Did you mean 'slower'"),
    (["before", "after", "--across", "thread"], 4, "Did you mean 'threads'"),
    (["before", "after", "--measure", "samples"], 4, "there is no measure 'samples'"),
    (["before", "after", "--margin", "3"], 4, "--margin is 3.0")])
def test_it_refuses(stores: Path, arguments: list[str], code: int, message: str, capsys: Capture):
    folders = [str(stores / name) for name in arguments[:2]]
    assert main(["compare", *folders, *arguments[2:]]) == code
    streams = capsys.readouterr()
    assert message in streams.err
    assert streams.out == ""


def test_hostile_names_stay_on_their_line(tmp_path: Path, capsys: Capture):
    for name in "ab":
        store = Store(tmp_path / name)
        add(store, payload(model="=1+1\n\x1b[31m<script>", labels={"model": "=1+1\n\x1b[31m<script>"}))
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "=1+1 " in out
