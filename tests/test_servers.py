"""Workers share fork servers within the suite, and none gets one that it could not have started itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.runner import workers
from harness.runner.connection import Server
from harness.runner.workers import Job, Worker
from tests.forked import run_module, run_script, run_source, side_by_side
from tests.servers import Kept, idle

JOBS = "tests.runner.jobs"


def server_of(worker: Worker) -> Server:
    assert worker._process is not None
    return worker._process


def test_a_server_goes_on_to_the_next_worker() -> None:
    with Worker("none") as worker:
        assert worker.run(Job(f"{JOBS}:double", {"value": 2})).unwrap()["value"] == 4
        first = server_of(worker)
    assert first in idle["none"]
    with Worker("none") as worker:
        assert worker.run(Job(f"{JOBS}:double", {"value": 3})).unwrap()["value"] == 6
        assert server_of(worker) is first
        assert first not in idle["none"]


def test_another_environment_has_a_server_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_VARIABLE_OF_THE_TEST", "1")
    server = workers.Server("none", once=False, pass_fds=())
    assert not isinstance(server, Kept)
    server.close()
    assert not server.alive


def test_one_whose_job_still_runs_is_ended() -> None:
    server = workers.Server("none", once=False, pass_fds=())
    assert isinstance(server, Kept)
    assert server.ready()
    server.send({"job": "a", "function": f"{JOBS}:sleep", "arguments": {"seconds": 60}, "log": os.devnull})
    server.close()
    assert not server.alive
    assert server not in idle.get("none", [])


def test_programs_run_as_by_themselves(tmp_path: Path) -> None:
    source = "import os, sys\nprint(__name__, sys.argv[1:], os.environ['OMP_NUM_THREADS'], os.getcwd())"
    (tmp_path / "program.py").write_text(source)
    root = Path(__file__).parents[1]
    for printed in (run_source("none", source, 1, tmp_path), run_script("none", tmp_path / "program.py", 1, tmp_path)):
        assert printed.splitlines()[-1] == f"__main__ ['1', '{tmp_path}'] 1 {root}"
    assert run_module("none", "this").startswith("The Zen of Python")
    with pytest.raises(AssertionError, match="it ended with 3"):
        run_source("none", "raise SystemExit(3)")
    with pytest.raises(AssertionError, match="never"):
        side_by_side(lambda: "fine", lambda: run_source("none", "raise ValueError('never')"))
