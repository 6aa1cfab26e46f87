"""Fork servers: jobs come back, whatever becomes of the child, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from harness.errors import HarnessError, SpecError
from harness.runner import workers
from harness.runner.workers import Job, Worker

pytestmark = pytest.mark.usefixtures("own_servers")
ROOT = Path(__file__).resolve().parents[2]
JOBS = "tests.runner.jobs"


@pytest.fixture(scope="module")
def worker():
    with Worker("none") as item:
        yield item


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


def test_value_and_events(worker):
    events = []
    result = worker.run(Job(f"{JOBS}:double", {"value": 21}), events.append)
    assert result.status == "done"
    assert result.value["value"] == 42
    assert result.forked
    assert events == [{"event": "step", "loss": 0.5}]


def test_every_job_has_a_process_of_its_own(worker):
    pids = {worker.run(Job(f"{JOBS}:double", {"value": 1})).unwrap()["pid"] for _ in range(3)}
    assert len(pids) == 3
    assert os.getpid() not in pids


@pytest.mark.parametrize("size", [1, 3_000_000])
def test_noise_on_stdout_is_no_protocol(worker, tmp_path, size):
    log = tmp_path / "job.log"
    assert worker.run(Job(f"{JOBS}:noisy", {"size": size}, log)).unwrap() == "x" * size
    assert "forged" in log.read_text()
    assert "from a subprocess" in log.read_text()


@pytest.mark.parametrize(("which", "kind"), [
    ("nan", "nan_loss"), ("memory", "out_of_memory"), ("cuda", "out_of_memory"), ("allocator", "out_of_memory"),
    ("spec", "spec"), ("other", "error"),
])
def test_reasons(worker, which, kind):
    result = worker.run(Job(f"{JOBS}:raises", {"which": which}))
    assert (result.status, result.reason["kind"]) == ("failed", kind)


def test_unwrap_raises_the_users_mistake_as_it_was(worker):
    with pytest.raises(SpecError) as caught:
        worker.run(Job(f"{JOBS}:raises", {"which": "spec"})).unwrap()
    assert caught.value.where == "phase 'finetune'"
    assert "Did you mean 'hidden'?" in str(caught.value)
    with pytest.raises(HarnessError, match="ZeroDivisionError"):
        worker.run(Job(f"{JOBS}:raises", {"which": "other"})).unwrap()


@pytest.mark.parametrize("fork", [True, False])
def test_a_child_that_kills_itself(fork):
    with Worker("none", fork=fork) as worker:
        reason = worker.run(Job(f"{JOBS}:kill_itself")).reason
        assert reason["kind"] == "killed"
        assert "signal 9" in reason["message"]
        assert "about to die" in reason["message"]
        assert worker.run(Job(f"{JOBS}:double", {"value": 2})).unwrap()["value"] == 4


def test_a_child_that_exits_without_a_word(worker):
    assert "exit code 7" in worker.run(Job(f"{JOBS}:exits")).reason["message"]
    assert worker.run(Job(f"{JOBS}:calls_exit")).reason["kind"] == "error"


@pytest.mark.parametrize("fork", [True, False])
def test_timeout_kills_the_child(fork):
    pids = []
    with Worker("none", fork=fork) as worker:
        result = worker.run(Job(f"{JOBS}:sleep", {"seconds": 60}), lambda event: pids.append(event["pid"]), timeout=1.5)
        assert result.reason["kind"] == "timeout"
        assert gone(pids[0])


def test_an_exception_in_the_driver_kills_the_child(worker):
    pids = []

    def stop(event):
        pids.append(event["pid"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.run(Job(f"{JOBS}:sleep", {"seconds": 60}), stop)
    assert gone(pids[0])
    assert worker.run(Job(f"{JOBS}:double", {"value": 1})).unwrap()["value"] == 2


def test_a_fork_that_hangs_is_replaced_by_a_fresh_process(monkeypatch):
    monkeypatch.setattr(workers, "START_SECONDS", 0.0)
    with Worker("none") as worker:
        worker.start()
        follow = workers._follow

        def once(server, identity, log, on_event, timeout, forked):
            if not forked:
                monkeypatch.setattr(workers, "START_SECONDS", 30.0)
            return follow(server, identity, log, on_event, timeout, forked)

        monkeypatch.setattr(workers, "_follow", once)
        result = worker.run(Job(f"{JOBS}:double", {"value": 4}))
    assert result.value["value"] == 8
    assert not result.forked


def test_a_server_that_was_killed_is_replaced(worker):
    worker.run(Job(f"{JOBS}:double", {"value": 1})).unwrap()
    worker._process.process.kill()
    worker._process.process.wait()
    assert worker.run(Job(f"{JOBS}:double", {"value": 5})).unwrap()["value"] == 10


def test_jobs_from_several_threads_take_turns(worker):
    results = []

    def ask(value):
        results.append(worker.run(Job(f"{JOBS}:double", {"value": value})).unwrap()["value"])

    threads = [threading.Thread(target=ask, args=(value,)) for value in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 2, 4, 6, 8]


def test_unknown_backend():
    with pytest.raises(SpecError, match="Did you mean 'tensorflow'"):
        Worker("tensorflov")


@pytest.mark.parametrize("fork", ["True", "False"])
def test_a_killed_driver_leaves_nothing_behind(tmp_path, fork):
    """The script has no `if __name__ == "__main__"`: none is needed."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(f"""
        from harness.runner.workers import Job, Worker
        worker = Worker("none", fork={fork})
        worker.run(Job("{JOBS}:sleep", {{"seconds": 60}}),
                   lambda event: print(event["pid"], worker._process.process.pid, flush=True))
    """))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment)
    child, server = map(int, driver.stdout.readline().split())
    assert alive(child)
    driver.kill()
    driver.wait()
    driver.stdout.close()
    assert gone(child)
    assert gone(server)
