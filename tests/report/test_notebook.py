"""What a notebook shows: figures drawn from records alone, and HTML that no name can break."""

from __future__ import annotations

import html.parser
import json
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.errors import SpecError
from harness.records.hypertext import LONGEST
from harness.records.record import Record
from harness.report import Results
from tests.certify.made_up import certificate
from tests.report.synthetic import fail, pairs, payload

HOSTILE = "<script>alert('x')</script> \"quoted\" & \x00\x1b \u202e $\\frac$ _x\n=1+1"


class Tags(html.parser.HTMLParser):
    """Tags, attributes and texts, each tag closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.texts: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= set(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("notebook") / "store"
    pairs(folder, seeds=3, models=("mlp", "cnn"))
    return Results(folder)


def texts(figure) -> str:
    """All that stands in a figure."""
    return " ".join(item.get_text() for item in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_every_plot_is_a_figure_of_matplotlib_that_shows_itself(results: Results):
    from matplotlib.figure import Figure

    plots = [results.plot.learning_curves("mlp"), results.plot.losses("cnn", steps=5), results.plot.speed(),
             results.plot.answer(), results.plot.speed("process_peak_bytes")]
    assert all(isinstance(figure, Figure) for figure in plots)
    assert plots[1]._repr_png_().startswith(b"\x89PNG")
    curves, losses, speed, answer, _ = plots
    assert len(curves.axes) == 2
    assert max(len(line.get_xdata()) for line in losses.axes[0].lines) == 5
    assert {label.get_text() for label in speed.axes[0].get_yticklabels()} == {"mlp, digits", "cnn, digits"}
    dots = [list(line.get_xdata()) for line in speed.axes[0].lines if line.get_linestyle() == "None"]
    assert sorted(map(len, dots)) == [6] * 4  # a dot for every block
    points = [line.get_xdata()[0] for line in answer.axes[0].lines if line.get_marker() == "o"]
    assert points == pytest.approx([1.5, 1.5], rel=0.01)


def test_a_certificate_is_drawn(tmp_path: Path):
    store = pairs(tmp_path / "store", seeds=1)
    path, = (store.path / "certificates").iterdir()
    data = json.loads(path.read_text())
    if not any(phase["curves"] for phase in data["phases"]):
        with pytest.raises(SpecError, match="ended below R3"):
            Results(store.path).plot.certificate()
        curve = {"quantity": "weights", "dtype": "float32", "program": "lock-step", "steps": [0, 1, 2],
                 "between": [0.0, 1e-8, 2e-8], "controls": {"tensorflow, one ulp 1": [0.0, 1e-8, 3e-8]},
                 "limit": [1e-5] * 3, "seeds": [], "horizon": None}
        data["phases"][0]["curves"] = [curve]
        path.write_text(json.dumps(data))
    assert "D(t) of weights" in texts(Results(store.path).plot.certificate())
    with pytest.raises(SpecError, match="no certificate 'abc'"):
        Results(store.path).plot.certificate("abc")


def test_the_wrong_name_is_answered_with_the_right_ones(results: Results):
    with pytest.raises(SpecError, match="cnn, digits; mlp, digits"):
        results.plot.losses()
    with pytest.raises(SpecError, match="no settings fit 'rnn'"):
        results.plot.learning_curves("rnn")
    with pytest.raises(SpecError, match="Did you mean 'accuracy'"):
        results.plot.learning_curves("mlp", ["acuracy"])


def test_hostile_names_are_drawn_as_text(tmp_path: Path):
    store = pairs(tmp_path / "store", seeds=1, models=(HOSTILE,), labels={"model": HOSTILE})
    results = Results(store.path)
    for figure in (results.plot.learning_curves(), results.plot.losses(), results.plot.speed(), results.plot.answer()):
        assert figure._repr_png_()
        assert "\x1b" not in texts(figure)


def test_a_record_and_a_certificate_show_themselves():
    record = Record(payload())
    shown = Tags(record._repr_html_())
    assert {"test_accuracy", "0.9", "pretrain"} <= set(shown.texts)
    assert shown.attributes == {("class", "harness-record")}
    broken = Tags(Record(fail(payload()))._repr_html_())
    assert "nan_loss: the loss is NaN" in broken.texts
    ladder = Tags(certificate("different", "mlp")._repr_html_())
    assert any(text.startswith("different") for text in ladder.texts)
    assert any(text.startswith("R1 ") for text in ladder.texts)


def test_no_name_becomes_markup():
    said = payload(model=HOSTILE, phases=(HOSTILE,))
    said["phases"][0]["program"] = "x" * 10_000
    for item in (Record(said), Record(fail(said, message=HOSTILE)), certificate("not certified", HOSTILE)):
        text = item._repr_html_()
        shown = Tags(text)
        assert "script" not in shown.tags
        assert "&lt;script&gt;" in text
        assert not {"\x00", "\x1b", "\u202e"} & set(text)
        assert max(map(len, shown.texts)) <= LONGEST + 3
    model = harness.load_model("mlp", input_shape=(4,), num_classes=2)
    assert "table" in Tags(model._repr_html_()).tags


def test_what_a_notebook_shows_needs_no_framework(results: Results):
    program = ("import sys, harness; r = harness.Results(sys.argv[1]); r.plot.speed()._repr_png_(); "
               "r.records()[0]._repr_html_(); "
               "sys.exit(bool({'tensorflow', 'torch', 'keras', 'matplotlib.pyplot'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", program, str(results.path)], check=False).returncode == 0
