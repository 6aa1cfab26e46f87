"""plan and run: what is said before, while and after; the driver itself is replaced."""

import io
import json
from pathlib import Path

import pytest

import harness.runner.driver
from harness.cli.main import main
from harness.cli.progress import LiveLines, cell_line, duration, event_line, progress_display, whole_line
from harness.report.results import Results
from harness.runner.driver import Interrupted
from harness.runner.progress import Progress
from tests.bad_inputs.case import listing
from tests.report.synthetic import add, fail, pairs, payload

Capture = pytest.CaptureFixture[str]
EXPERIMENT = """\
data: {source: digits, split: {validation: 97, test: 500}}
recipe:
  batch_size: 100
  phases: [{name: pretrain, epochs: 3}, {name: finetune, epochs: 2, split: validation, freeze: [hidden_1]}]
matrix: {model: [mlp_64_64], seed: [0, 1]}
"""
EVENTS = (
    {"event": "plan", "cells": 3, "skipped": 1, "out": "results/e"},
    {"event": "cell_started", "id": "a", "title": "mlp, pytorch, tuned, seed 0", "index": 2, "of": 3, "labels": {},
     "backend": "pytorch"},
    {"event": "step", "id": "a", "phase": "pretrain", "epoch": 2, "epochs": 5, "step": 40, "steps": 100, "loss": 0.25,
     "samples_per_second": 45_000.0},
    {"event": "cell_finished", "id": "a", "title": "mlp, pytorch, tuned, seed 0", "status": "done", "reason": None,
     "seconds": 12.0},
    {"event": "waiting", "message": "another run is timing a cell"},
    {"event": "cell_started", "id": "b", "title": "mlp, pytorch, tuned, seed 1", "index": 3, "of": 3, "labels": {},
     "backend": "pytorch"},
    {"event": "cell_finished", "id": "b", "title": "mlp, pytorch, tuned, seed 1", "status": "failed",
     "reason": {"kind": "killed", "message": "by\nsignal 9"}, "seconds": 1.0},
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("e.yaml").write_text(EXPERIMENT)


@pytest.mark.parametrize("command", [["plan"], ["run", "--dry-run"]])
def test_plan_counts(command: list[str], capsys: Capture):
    before = listing(Path())
    assert main([*command, "e.yaml", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert listing(Path()) == before
    assert data["totals"]["cells"] == 4
    cell = data["cells"][0]
    # 1,797 digits: 500 for testing, 97 for validation. 12 batches of 100; 1 batch of 97.
    assert cell["examples"] == {"train": 1200, "validation": 97, "test": 500}
    assert [phase["steps"] for phase in cell["phases"]] == [36, 2]
    assert [phase["examples_trained"] for phase in cell["phases"]] == [3600, 194]
    parameters = 64 * 64 + 64 + 64 * 64 + 64 + 640 + 10
    assert cell["parameters"] == parameters
    assert [phase["trainable_parameters"] for phase in cell["phases"]] == [parameters, parameters - 64 * 64 - 64]
    first, second, last = 2 * 64 * 64, 2 * 64 * 64, 2 * 640
    assert cell["flops"] == first + second + last
    # No gradient of the images; where the first layer is frozen, none of its kernel and of what it puts out either.
    whole, finetune = 2 * first + 3 * second + 3 * last, first + 2 * second + 3 * last
    assert cell["training_flops"] == 3600 * whole + 194 * finetune
    assert data["totals"]["steps"] == 4 * 38


def test_plan_says_what_the_timed_blocks_take(capsys: Capture):
    overrides = ["batch_size=[50,100]", "timing.looks=[4,8]", "timing.window_seconds=2"]
    assert main(["plan", "e.yaml", *overrides, "--json"]) == 0
    blocks = json.loads(capsys.readouterr().out)["blocks"]
    assert (blocks["settings"], blocks["least"], blocks["most"]) == (2, 8, 16)
    assert blocks["least_seconds"] == 8 * blocks["block_seconds"] + blocks["pilot_seconds"]
    assert blocks["pilot_seconds"] > 0
    assert main(["plan", "e.yaml", *overrides]) == 0
    assert "4 timed blocks of each of 2 settings, 8 where that is not enough: about" in capsys.readouterr().out
    for without in ("timing=false", "backend=pytorch"):
        assert main(["plan", "e.yaml", without, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["blocks"] is None


def test_plan_follows_overrides(capsys: Capture):
    assert main(["plan", "e.yaml", "batch_size=1200", "matrix.seed=[0,1,2]", "backend=pytorch", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["totals"]["cells"] == 3
    assert data["cells"][0]["phases"][0]["steps"] == 3


def test_plan_says_it_in_a_table(capsys: Capture):
    assert main(["plan", "e.yaml"]) == 0
    out = capsys.readouterr().out
    assert "mlp_64_64" in out
    assert "4 cells, 152 steps" in out


def test_an_experiment_of_the_package_goes_by_its_name(capsys: Capture):
    assert main(["plan", "smoke", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "smoke"


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, failed: bool = False) -> dict:
    """Puts a driver in place that tells EVENTS and returns made-up results; gives what it was called with."""
    called: dict = {}

    def run(experiment, **options):
        called.update(options, experiment=experiment)
        for event in EVENTS:
            options["on_event"](event)
        store = pairs(folder)
        if failed:
            add(store, fail(payload("cnn")))
        return Results(folder)

    monkeypatch.setattr(harness.runner.driver, "run", run)
    return called


def test_run_ends_with_the_answer_and_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    called = pretend(monkeypatch, tmp_path / "r")
    assert main(["run", "e.yaml", "seed=[0]", "--out", "r", "--retry-failed"]) == 0
    streams = capsys.readouterr()
    assert called.pop("on_event")
    assert called == {"experiment": Path("e.yaml"), "out": Path("r"), "overrides": ("seed=[0]",), "retry_failed": True}
    sentence, page = streams.out.splitlines()
    assert "PyTorch faster" in sentence
    assert Path(page).is_file()
    assert main(["run", "e.yaml", "--more", "6", "--setting", "07a0", "--no-certify"]) == 0
    assert (called["more"], called["setting"], called["certify"]) == (6, "07a0", False)
    assert "timing" not in called
    assert main(["run", "e.yaml", "--no-timing"]) == 0
    assert called["timing"] is False


def test_progress_without_a_terminal_is_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    pretend(monkeypatch, tmp_path / "r")
    assert main(["run", "e.yaml", "--json"]) == 0
    streams = capsys.readouterr()
    assert streams.err.splitlines() == [
        "3 cells, 1 already done; results in results/e",
        "[2/3] mlp, pytorch, tuned, seed 0: done in 12 s, loss 0.25, about 12 s left",
        "another run is timing a cell",
        "[3/3] mlp, pytorch, tuned, seed 1: failed in 1.0 s (killed: by signal 9)",
    ]
    assert json.loads(streams.out)["cells"] == 6


def test_every_event_as_a_line_of_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    pretend(monkeypatch, tmp_path / "r", failed=True)
    assert main(["run", "e.yaml", "--json-events"]) == 1
    streams = capsys.readouterr()
    events = [json.loads(line) for line in streams.out.splitlines()]
    assert [event["event"] for event in events] == [*(event["event"] for event in EVENTS), "answer"]
    assert all(event["time"].startswith("20") for event in events)
    assert (events[-1]["exit_code"], len(events[-1]["failed"])) == (1, 1)
    assert streams.err == ""
    assert main(["run", "e.yaml", "--json-events", "--json"]) == 4


def test_an_interrupted_stream_of_events_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    def run(*arguments, **options):
        raise Interrupted("interrupted with 1 of 2 cells finished.")

    monkeypatch.setattr(harness.runner.driver, "run", run)
    assert main(["run", "e.yaml", "--json-events"]) == 2
    streams = capsys.readouterr()
    assert json.loads(streams.out)["event"] == "interrupted"
    assert "1 of 2 cells" in streams.err


def test_a_failed_cell_is_a_failed_condition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    pretend(monkeypatch, tmp_path / "r", failed=True)
    assert main(["run", "e.yaml", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failed"][0]["reason"]["kind"] == "nan_loss"


@pytest.mark.parametrize("error", [Interrupted("interrupted. Run it again."), KeyboardInterrupt()])
def test_interrupted(error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    def run(*arguments, **options):
        raise error

    monkeypatch.setattr(harness.runner.driver, "run", run)
    assert main(["run", "e.yaml"]) == 2
    streams = capsys.readouterr()
    assert "interrupted" in streams.err
    assert "Traceback" not in streams.err


BLOCKS = (
    {"event": "blocks", "settings": 2, "blocks": 4, "open": {"s": 2, "t": 2}},
    {"event": "block_started", "setting": "s", "title": "mlp, tuned", "number": 0, "done": 0, "target": 2,
     "backends": ["tensorflow", "pytorch"]},
    {"event": "pilot", "backend": "pytorch", "program": "inductor", "index": 3, "of": 4},
    {"event": "half", "setting": "s", "backend": "pytorch", "stage": "warm-up", "seconds": 3.0},
    {"event": "block_finished", "setting": "s", "title": "mlp, tuned", "number": 0, "status": "done", "reason": None,
     "done": 1, "target": 2, "look": 2, "ratio": 1 / 2.3, "seconds": 30.0, "backends": ["tensorflow", "pytorch"]},
    {"event": "block_finished", "setting": "t", "title": "cnn, tuned", "number": 0, "status": "dropped", "done": 0,
     "reason": {"kind": "disturbed", "message": "other processes\nran"}, "target": 2, "look": 2, "ratio": None,
     "seconds": 50.0, "backends": ["tensorflow", "pytorch"]},
    {"event": "blocks_stopped", "setting": "t", "title": "cnn, tuned", "reason": "UNFAIR: threads"},
    {"event": "block_finished", "setting": "s", "title": "mlp, tuned", "number": 1, "status": "done", "reason": None,
     "done": 2, "target": 2, "look": 2, "ratio": 1 / 2.5, "seconds": 10.0, "backends": ["tensorflow", "pytorch"]},
)


def test_the_progress_of_blocks():
    state, lines, current = Progress(), [], []
    for event in BLOCKS:
        state.update(event)
        lines.append(event_line(event, state))
        current.append((cell_line(state), whole_line(state)))
    assert lines == [
        "4 blocks of 2 settings, up to the next look: the backends timed against each other", None, None, None,
        "[block 1/2] mlp, tuned: PyTorch/TensorFlow 2.3, done in 30 s, about 90 s left",
        "[block 0/2] cnn, tuned: dropped in 50 s (disturbed: other processes ran), about 2 min left",
        "cnn, tuned: no more blocks: UNFAIR: threads",
        "[block 2/2] mlp, tuned: PyTorch/TensorFlow 2.5, done in 10 s",
    ]
    assert current[2][0] == "mlp, tuned: 0 of 2 blocks: pytorch, trying inductor (3 of 4)"
    assert current[3] == ("mlp, tuned: 0 of 2 blocks: pytorch, warm-up", "0/0 cells, 0 blocks, 4 more to the next look")
    assert current[4][1] == "0/0 cells, 1 blocks, 3 more to the next look, about 90 s left"
    assert (state.blocks_done, state.blocks_left) == (2, 0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_live_display():
    terminal = Terminal()
    with progress_display(terminal) as display:
        assert isinstance(display, LiveLines)
        for event in EVENTS[:3]:
            display(event)
    text = terminal.getvalue()
    assert "pretrain 2/5, loss 0.25, 45,000 samples/s" in text
    assert "1/3 cells" in text


def test_a_live_display_of_cells_side_by_side_and_of_the_last_failures():
    terminal = Terminal()
    with progress_display(terminal) as display:
        display(EVENTS[0])
        for number in range(10):
            display({"event": "cell_started", "id": f"{number}", "title": f"cell {number}"})
        display({"event": "step", "id": "1", "phase": "pretrain", "epoch": 2, "epochs": 5, "step": 1, "steps": 2,
                 "loss": 0.25, "samples_per_second": None})
        display({"event": "cell_finished", "id": "0", "title": "cell 0", "status": "failed", "seconds": 2.0,
                 "reason": {"kind": "killed", "message": "by\nsignal 9"}})
    text = terminal.getvalue()
    assert "cell 1: pretrain 2/5, loss 0.25" in text
    assert "9 running" in text
    assert "and 1 more cells beside them" in text
    assert "failed: cell 0: killed: by signal 9" in text


@pytest.mark.parametrize(("seconds", "text"), [(3.21, "3.2 s"), (42.4, "42 s"), (150, "2 min"), (7200, "2.0 h")])
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text
