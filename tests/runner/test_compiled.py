"""What was compiled is taken over from jobs that came to their end alone, and not where it is measured."""

from __future__ import annotations

import os

import pytest

from harness.runner import compiled
from harness.runner.connection import environment
from harness.runner.timing import taken_over
from harness.runner.workers import Job, Worker

pytestmark = pytest.mark.usefixtures("own_servers")
JOB = "tests.runner.compiled_jobs:compile_one"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, value in compiled.variables(str(tmp_path)).items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(monkeypatch):
    monkeypatch.delenv(compiled.CACHE, raising=False)


def test_a_job_takes_over_what_ended_well_and_never_half_a_library():
    with Worker("none") as worker:
        def run(name: str, ends: str | None = None, cold: bool = False):
            return worker.run(Job(JOB, {"name": name, "ends": ends}, cold=cold))

        first = run("a").value
        assert (first["found"], first["warm"]) == ([], False)
        assert run("b", "killed").reason["kind"] == "killed"
        assert run("c", "failed").reason["kind"] == "error"
        second = run("d").value
        assert (second["found"], second["warm"], second["whole"]) == (["a.so"], True, True)
        assert second["path"] == first["path"]
        cold = run("e", cold=True).value
        assert (cold["found"], cold["warm"]) == ([], False)
        assert run("f").value["found"] == ["a.so", "d.so", "e.so"]


def test_killed_while_it_is_kept_nothing_half_is_left(folder, monkeypatch):
    compiled.begin(cold=False)
    (folder / "now" / "ab").mkdir(parents=True)
    (folder / "now" / "ab" / "x.so").write_text("whole")
    compiled.keep()
    compiled.begin(cold=False)
    assert (folder / "now" / "ab" / "x.so").read_text() == "whole"
    real, done = os.rename, []

    def rename(source, target):
        done.append(target)
        if len(done) > stop:
            raise KeyboardInterrupt
        real(source, target)

    for stop in range(3):
        compiled.begin(cold=True)
        (folder / "now").mkdir()
        (folder / "now" / f"y{stop}.so").write_text("whole")
        done.clear()
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", rename)
            with pytest.raises(KeyboardInterrupt):
                compiled.keep()
        compiled.begin(cold=False)
        assert all(path.read_text() == "whole" for path in folder.rglob("*.so"))
    assert {path.name for path in folder.iterdir()} <= {"now", "kept"}


def test_a_cache_of_the_users_own_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv(compiled.CACHE, str(tmp_path / "mine"))
    assert compiled.variables("/elsewhere") == {}
    assert environment("/elsewhere")[compiled.CACHE] == str(tmp_path / "mine")
    (tmp_path / "mine").mkdir()
    compiled.begin(cold=True)
    compiled.keep()
    assert (tmp_path / "mine").is_dir()
    assert not compiled.is_warm()


@pytest.mark.parametrize(("compiler", "warm", "cache", "seconds"), [
    ("inductor", False, "cold", 30.0), ("inductor", True, "warm", None), ("none", True, None, 30.0),
    ("xla", True, None, 30.0)])
def test_what_was_taken_over_is_no_time_of_compiling(compiler, warm, cache, seconds):
    half = {"compilation": {"compiler": compiler}, "compile_seconds": 30.0, "first_step_seconds": 31.0}
    half |= taken_over(half, warm)
    assert (half["compile_cache"], half["compile_seconds"]) == (cache, seconds)
    assert ("warm_compile_seconds" in half) == ("compile_seconds_reason" in half) == (cache == "warm")
    if cache == "warm":
        assert (half["warm_first_step_seconds"], half["first_step_seconds"]) == (31.0, None)
        assert "timing.cold_blocks" in half["first_step_seconds_reason"]
