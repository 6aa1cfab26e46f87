"""harness doctor: the machine, both frameworks, what would spoil a measurement, and its exit code."""

import fcntl
import json
import os
import sys
from pathlib import Path

import pytest

from harness.cli import environment
from harness.cli.main import main
from harness.measure.machine import Trouble
from harness.measure.noise import Noise, measure_noise

Capture = pytest.CaptureFixture[str]
ANSWER = {"version": "2", "gpus": [], "cuda": None, "import_seconds": 1.0, "threads": {"intra_op": 1, "inter_op": 1}}
SPOILS = Trouble("the machine swaps now", "it is slow", "add memory", "spoils")
NOISE = Trouble("the turbo is on", "it is hot", "switch it off", "adds noise")


@pytest.fixture(autouse=True)
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs beside the suite must not decide."""
    lock = tmp_path / "timing.lock"
    monkeypatch.setattr("harness.runner.locks.machine_lock_path", lambda: lock)
    monkeypatch.setattr(environment, "WATCH_SECONDS", 0.05)
    return lock


def found(*troubles: Trouble, spread: float = 0.04):
    """In place of looking at this machine."""
    return lambda *arguments: (list(troubles), Noise((1.0, 1.1), spread))


@pytest.mark.parametrize(("troubles", "code", "conclusion"), [
    ((), 0, "Nothing here would spoil a measurement."), ((NOISE,), 0, "What adds noise costs blocks."),
    ((SPOILS, NOISE), 1, "1 of these would spoil a measurement: mend it first."),
])
def test_the_exit_code_says_whether_to_measure_here(
    troubles: tuple[Trouble, ...], code: int, conclusion: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(environment, "examine", found(*troubles))
    assert main(["doctor", "--quick"]) == code
    out = capsys.readouterr().out
    assert out.strip().endswith(conclusion)
    for trouble in troubles:
        assert f"{trouble.what}\n  why:  {trouble.why}\n  mend: {trouble.mend}" in out
    assert ("SPOILS: the machine swaps now" in out) == (SPOILS in troubles)
    assert "differ by about 4.0%: a margin of 3% needs about 30 blocks, one of 5% needs about 13 blocks" in out


def test_as_json(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(environment, "examine", found(SPOILS))
    assert main(["doctor", "--quick", "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["troubles"] == [{"what": "the machine swaps now", "why": "it is slow", "mend": "add memory",
                                 "severity": "spoils"}]
    assert data["fit"] is False
    assert data["noise"] == {"spread": 0.04, "windows": 2, "blocks": {"0.03": 30, "0.05": 13},
                             "stolen_shares": [], "steal_share": None}
    assert data["cores"] >= 1
    assert data["frameworks"] == {}


@pytest.mark.parametrize(("shares", "said"), [
    ((0.0, 0.01, 0.02), "1.0% mostly, at most 2.0%; timing.steal_share=0.03 would keep"),
    ((0.02, 0.06, 0.09), "timing.steal_share=0.09 would keep nine of ten"),
    ((0.3, 0.4, 0.5), "no limit makes a comparison worth its time here")])
def test_it_says_which_limit_of_stolen_time_can_be_kept(
    shares: tuple[float, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(environment, "examine", lambda *_: ([], Noise((1.0, 1.1), 0.04, shares)))
    main(["doctor", "--quick"])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("stolen "))
    assert said in line


def test_it_looks_at_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    monkeypatch.setattr("harness.measure.noise.measure_noise",
                        lambda work, **given: measure_noise(work, seconds=0.01, **given))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    assert main(["doctor", "--quick", "--json", "--out", str(tmp_path / "none" / "yet")]) == 1
    data = json.loads(capsys.readouterr().out)
    assert "NVIDIA_TF32_OVERRIDE=1 is set" in [trouble["what"] for trouble in data["troubles"]]
    assert data["noise"]["spread"] > 0


def test_it_disturbs_no_run(own_lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(environment, "probe", lambda command: pytest.fail("a framework was started beside a run"))
    monkeypatch.setattr("harness.measure.noise.measure_noise", lambda work, **given: pytest.fail("work beside a run"))
    held = os.open(own_lock, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert main(["doctor"]) == 1
    finally:
        os.close(held)
    out = capsys.readouterr().out
    assert "SPOILS: another run of the harness holds this machine" in out
    assert "it was not measured: another run of the harness is at work" in out
    assert "frameworks  not asked" in out


def test_it_goes_on_when_a_framework_is_broken(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    broken = {"tensorflow": f"print('a warning'); print({json.dumps(ANSWER)!r})",
              "pytorch": "raise ImportError('libtorch.so is missing')"}
    monkeypatch.setattr(environment, "probe_all", lambda: {
        name: environment.probe([sys.executable, "-c", code]) for name, code in broken.items()})
    monkeypatch.setattr("harness.measure.noise.measure_noise", lambda work, **given: Noise((1.0,), 0.0))
    assert main(["doctor", "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["frameworks"]["pytorch"] == {"error": "ImportError: libtorch.so is missing"}
    assert data["frameworks"]["tensorflow"] == ANSWER
    assert "pytorch cannot be used: ImportError: libtorch.so is missing" in [
        trouble["what"] for trouble in data["troubles"]]
    assert main(["doctor"]) == 1
    assert "not usable: ImportError: libtorch.so is missing" in capsys.readouterr().out


@pytest.mark.parametrize(("code", "error"), [
    ("print('no JSON')", "the probe printed no answer"), ("pass", "the probe printed no answer"),
    ("import sys; sys.exit(3)", "exit code 3"),
])
def test_a_probe_without_an_answer(code: str, error: str) -> None:
    assert environment.probe([sys.executable, "-c", code]) == {"error": error}


@pytest.mark.frameworks
@pytest.mark.parametrize("name", ["tensorflow", "pytorch"])
def test_what_a_framework_says_of_itself(name: str) -> None:
    answer = environment.probe([sys.executable, "-m", "harness.backends.seen", name])
    assert set(ANSWER) <= set(answer), answer
    assert answer["version"][0] == "2"
    assert answer["import_seconds"] > 0
