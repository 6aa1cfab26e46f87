"""The report is whole, honest and harmless for every kind of store."""

from __future__ import annotations

import csv
import hashlib
import html.parser
import json
import math
import re
import subprocess
import sys

import pytest

from harness.errors import SpecError
from harness.records.blocks import write_block
from harness.records.store import Store
from harness.report import Results, write_report
from harness.report.write import FILES
from tests.report.synthetic import add, block, fail, pairs, payload

HOSTILE = "<script>alert('x')</script>|`$\\frac$ \x00\x1b \u202e =1+1 & \"quoted\""
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Balanced(html.parser.HTMLParser):
    """Collects tags and fails on one that is not closed where it should be."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open[-1:] == [tag]
        self.open.pop()


def report(store, **experiment):
    """Writes the report, checks what holds for every page, and returns (page, markdown, data)."""
    folder = store.path / "report"
    page = write_report(store, folder, experiment).read_text(encoding="utf-8")
    assert {path.name for path in folder.iterdir()} == set(FILES)
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert "script" not in parser.tags
    assert not any(name.startswith("on") for name in parser.attributes)
    assert not re.search(r"https?://|//[a-z]|url\((?!#)|@import|src=", page)
    assert str(store.path) not in page
    data = json.loads((folder / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert data["schema"] == 1
    return page, (folder / "report.md").read_text(encoding="utf-8"), data


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_no_cells(store):
    page, markdown, data = report(store)
    assert "No answer yet: there are no records." in page
    assert "No answer yet" in markdown
    assert data["verdict"]["exit_code"] == 6
    assert data["records"] == 0
    assert (store.path / "report" / "cells.csv").read_text().startswith("id,model,data,backend")


def test_on_a_narrow_page_every_value_names_its_column(tmp_path):
    page, _, _ = report(pairs(tmp_path / "store"))
    css = page.partition("<style>")[2].partition("</style>")[0]
    assert "content: attr(data-column)" in css
    for section in ("answers", "throughput", "phases", "environment"):
        part = page.partition(f'<section id="{section}">')[2].partition("</section>")[0]
        columns = re.findall(r'<th scope="col">(.*?)</th>', part)
        named = re.findall(r'<td data-column="(.*?)">', part)
        assert named
        assert named == columns[1:] * (len(named) // len(columns[1:]))
        assert "<td>" not in part


def test_one_cell(store):
    add(store, payload())
    page, _, data = report(store)
    assert "only TensorFlow was run" in page
    assert page.count("<svg") == 1
    assert data["tables"]["Throughput"]["rows"][0][:3] == ["mlp, digits", "TensorFlow", "1"]


def test_all_failed(store):
    for backend in ("tensorflow", "pytorch"):
        add(store, fail(payload(backend=backend), "killed", "signal 9"))
    page, markdown, data = report(store)
    assert "PyTorch failed in all 1 runs (killed: signal 9)" in page
    assert [row[1] for row in data["tables"]["Failed cells"]["rows"]] == ["killed", "killed"]
    assert "<svg" not in page
    assert "signal 9" in markdown


def test_one_framework_missing(store):
    for seed in range(3):
        add(store, payload("mlp", "tensorflow", seed))
        add(store, payload("cnn", "pytorch", seed))
    page, _, _ = report(store)
    assert "TensorFlow was not run" in page
    assert "PyTorch was not run" in page


def test_a_whole_experiment(store):
    pairs(store.path, models=("mlp", "cnn"))
    page, markdown, data = report(store, name="quickstart", question="Which one?")
    assert page.index("Of 2 comparisons") < page.index("<table") < page.index("<svg")
    for text in (
        "Which one?",
        "PyTorch faster",
        "same to rounding",
        "layer by layer, teacher-forced",
        "Failed cells",
        "What is not known",
        "finetune",
    ):
        assert text in page
        assert text in markdown
    assert "harness run experiments/quickstart.yaml" in page
    assert data["verdict"]["exit_code"] == 0
    assert data["curves"]["mlp, digits"]["pytorch"]["val_loss"]["n"] == [3, 3, 3, 3]
    # A figure of D(t) and one of the learning curves for each; both frameworks in Okabe and Ito's colours.
    assert page.count("<svg") == 4
    assert max(map(len, re.findall(r"<svg.*?</svg>", page, re.DOTALL))) < 40_000
    assert "#e69f00" in page
    assert "#0072b2" in page


def test_missing_evidence_comes_with_a_command(store):
    pairs(store.path, seeds=2, blocks=0)
    page, _, data = report(store, name="quickstart", verdict={"primary": "train_seconds"})
    assert data["reproduce"][1] == "harness run experiments/quickstart.yaml 'matrix.seed=[0,1,2,3,4]'"
    assert "3 more paired seeds (about 3.0 minutes)" in page


def test_missing_blocks_come_with_a_command(store, tmp_path):
    pairs(store.path, blocks=0, seeds=5)
    page, _, data = report(store, name="quickstart")
    assert "no blocks were measured; run `harness run experiments/quickstart.yaml`" in page
    assert data["reproduce"] == ["harness run experiments/quickstart.yaml"]
    page, _, _ = report(store, name="quickstart", timing=False)
    assert "no blocks were measured; run `harness run experiments/quickstart.yaml timing=true`" in page
    pairs(store.path, blocks=0, seeds=5)
    for number in range(4):
        speeds = {"tensorflow": 1000.0 * (1 + 0.1 * (-1) ** number), "pytorch": 1000.0}
        write_block(store.path, block(payload(), number, speeds))
    page, _, data = report(store, name="quickstart", timing={"looks": [2, 4]})
    assert re.fullmatch(r"harness run experiments/quickstart.yaml --more \d+", data["reproduce"][1])
    assert re.search(r"\d+ more blocks \(about \d+\.\d minutes\)", page)


def test_blocks_are_a_table_and_none_is_lost(store):
    pairs(store.path, blocks=4)
    reason = {"kind": "no_steady_state", "message": "tensorflow: no steady state after 120 s"}
    write_block(store.path, block(payload(), 4, status="failed", reason=reason, halves={}))
    write_block(store.path, block(payload(), 5, status="dropped", reason={**reason, "kind": "disturbed"}, halves={}))
    page, markdown, data = report(store)
    rows = {row[1]: row for row in data["tables"]["Timed blocks"]["rows"]}
    assert rows["samples_per_second (examples/s)"][2:4] == ["PyTorch / TensorFlow", "1,500 (1,493 to 1,507)"]
    assert rows["samples_per_second (examples/s)"][-1] == "4"
    assert rows["energy (J/example)"][3] == "- (no counter on this machine)"
    assert rows["process_peak_bytes (bytes)"][3] == "256.0 MiB (256.0 MiB to 256.0 MiB)"
    ended = [row[:2] for row in data["tables"]["Failed cells"]["rows"]]
    assert ended == [["mlp, digits, block 4, failed", "no_steady_state"],
                     ["mlp, digits, block 5, dropped", "disturbed"]]
    for text in ("Timed blocks", "no steady state after 120 s", "1 of 6 blocks were dropped"):
        assert text in page
        assert text in markdown


def test_metrics_that_became_nan(store):
    for backend in ("tensorflow", "pytorch"):
        data = payload(backend=backend, accuracy=math.nan)
        for phase in data["phases"]:
            for epoch in phase["epochs"]:
                epoch["loss"] = math.inf
        add(store, data)
    page, _, data = report(store)
    assert "NaN" in page
    assert "infinity" in page
    assert data["curves"]["mlp, digits"]["pytorch"]["loss"]["mean"] == ["NaN"] * 4


def test_hostile_names(store):
    for seed in range(3):
        for backend in ("tensorflow", "pytorch"):
            add(store, payload(HOSTILE, backend, seed, labels={HOSTILE: HOSTILE}, phases=(HOSTILE, "__x__")))
    add(store, fail(payload(HOSTILE, "pytorch", 9), message=HOSTILE))
    page, markdown, _ = report(store, name=HOSTILE, question=HOSTILE)
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<script" not in markdown
    assert "\x00" not in page + markdown
    assert "\x1b" not in page + markdown
    tables = [line for line in markdown.splitlines() if line.startswith("| ")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in tables}
    assert len(tables) > 10
    assert widths <= {5, 8, 9, 10, 12}


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\t=1+1", "\r=1+1"])
def test_a_spreadsheet_runs_nothing(store, formula):
    add(store, payload(formula, labels={formula: formula}))
    report(store)
    with (store.path / "report" / "cells.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert all(not cell.lstrip().startswith(("=", "+", "@")) for row in rows for cell in row)
    assert all(not cell.startswith("-") or float(cell) for row in rows for cell in row)
    assert rows[1][1].startswith("'")


def test_the_same_store_gives_the_same_bytes(store, tmp_path):
    pairs(store.path, models=("mlp", "cnn"))
    digests = []
    for number, salt in enumerate(("0", "1")):
        folder = tmp_path / f"report-{number}"
        program = "import sys; from harness.report import write_report; write_report(sys.argv[1], sys.argv[2], {})"
        command = [sys.executable, "-c", program, str(store.path), str(folder)]
        subprocess.run(command, check=True, env={**environment(), "PYTHONHASHSEED": salt})
        digests.append({name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES})
    assert digests[0] == digests[1]


def environment():
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_damaged_record_is_passed_over_with_a_note(store):
    pairs(store.path)
    broken = store.folder(store.ids()[0]) / "run.json"
    broken.write_text(broken.read_text()[:100])
    page, _, data = report(store)
    assert "passed over: cells/" in page
    assert len(data["notes"]) == 1
    assert data["records"] == 5


def test_series_parquet_holds_every_step(store):
    import pyarrow.parquet

    pairs(store.path)
    add(store, fail(payload(seed=7)))
    report(store)
    table = pyarrow.parquet.read_table(store.path / "report" / "series.parquet")
    assert table.num_rows == 6 * 16
    assert {"id", "model", "backend", "seed", "step", "loss"} <= set(table.column_names)


def test_results(store):
    pairs(store.path, seeds=5)
    (store.path / "experiment.json").write_text(
        json.dumps({"name": "x", "question": "Q?", "verdict": {"primary": "train_seconds", "margin": 0.9}})
    )
    results = Results.open(store.path)
    assert len(results.cells()) == len(results.records()) == 10
    assert results.which().primary == "train_seconds"
    assert results.which().comparisons[0].primary.outcome == "no practical difference"
    assert results.which(margin=0.03).comparisons[0].primary.outcome == "better"
    assert results.report() == store.path / "report" / "report.html"
    assert "Q?" in results.report(store.path / "elsewhere").read_text()
    assert "<svg" in results._repr_html_()
    assert "no practical difference" in str(results)
    with pytest.raises(SpecError, match="Did you mean 'margin'"):
        results.which(margn=1)


def test_results_need_a_folder(tmp_path):
    (tmp_path / "quickstart" / "cells").mkdir(parents=True)
    with pytest.raises(SpecError, match=r"Did you mean 'quickstart'"):
        Results.open(tmp_path / "quickstat")
    with pytest.raises(SpecError, match="Expected a folder cells"):
        Results.open(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"name": NaN}'])
def test_a_broken_experiment_file_is_named(tmp_path, content):
    (tmp_path / "cells").mkdir()
    (tmp_path / "experiment.json").write_text(content)
    with pytest.raises(SpecError, match=r"experiment\.json"):
        Results.open(tmp_path).which()


def test_the_users_own_matplotlib_style_changes_nothing(store, tmp_path):
    import matplotlib

    pairs(store.path)
    plain = write_report(store, tmp_path / "a").read_bytes()
    with matplotlib.rc_context({"lines.linewidth": 9, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert write_report(store, tmp_path / "b").read_bytes() == plain


def test_no_framework_is_loaded(store):
    pairs(store.path)
    program = (
        "import sys; from harness.report import Results; Results.open(sys.argv[1]).report();"
        "sys.exit(bool({'tensorflow', 'keras', 'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(store.path)]
    assert subprocess.run(command, check=False, env=environment()).returncode == 0
