"""What else used the machine: the counters as Linux writes them, and when they spoil a half."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from harness.runner import disturbance
from harness.runner.disturbance import Reading, between, is_throttled, spoiled
from harness.spec.timing import Timing

QUIET = {"seconds": 10.0, "cores": 4, "cpu_seconds": 10.0, "foreign_cpu_seconds": 0.2, "steal_seconds": 0.0,
         "throttled_seconds": 0.0, "thermal_events": 0}


@pytest.mark.parametrize(("found", "threads", "words"), [
    ({}, 1, None),
    ({}, 0, None),
    # Three cores are free: only what is used beyond them weighs on the half.
    ({"foreign_cpu_seconds": 29.0}, 1, None),
    ({"foreign_cpu_seconds": 32.0}, 1, "other processes used 3.2 of 4 cores, where 1 was to be left alone"),
    ({"foreign_cpu_seconds": 3.0}, 4, None),
    ({"foreign_cpu_seconds": 5.0}, 4, "where 4 were to be left alone"),
    ({"foreign_cpu_seconds": 5.0}, 0, "where 4 were to be left alone"),
    ({"steal_seconds": 0.2}, 1, None),
    ({"steal_seconds": 0.5}, 1, "the host of this virtual machine took 0.5 s"),
    ({"throttled_seconds": 0.05}, 1, None),
    ({"throttled_seconds": 0.5}, 1, "the quota of this container held it back for 0.5 of 10.0 s"),
    ({"thermal_events": 3}, 1, "throttled for its temperature (3 times)"),
    # Nothing is known, or over too short a time: nothing is said.
    ({"foreign_cpu_seconds": None, "steal_seconds": None, "throttled_seconds": None, "thermal_events": None}, 0, None),
    ({"seconds": 0.5, "foreign_cpu_seconds": 2.0}, 0, None),
])
def test_what_spoils_a_half(found, threads, words):
    said = spoiled({**QUIET, **found}, threads, Timing())
    assert (said is None) == (words is None), said
    assert words is None or words in said


@pytest.mark.parametrize(("key", "value", "found"), [
    ("foreign_share", 0.3, {"foreign_cpu_seconds": 32.5}), ("steal_share", 0.08, {"steal_seconds": 0.7}),
    ("throttled_share", 0.06, {"throttled_seconds": 0.5})])
def test_each_limit_is_a_key_of_the_timing(key, value, found):
    assert spoiled({**QUIET, **found}, 1, Timing())
    assert spoiled({**QUIET, **found}, 1, Timing(**{key: value})) is None
    assert spoiled({**QUIET, **{name: 2 * amount for name, amount in found.items()}}, 1, Timing(**{key: value}))


def test_between_two_readings():
    before = Reading(10.0, 100.0, 1.0, 50.0, 2.0, 7)
    after = Reading(15.0, 109.0, 1.5, 54.0, 2.5, 9)
    found = between(before, after, cores=2)
    assert found == {"seconds": 5.0, "cores": 2, "cpu_seconds": 4.0, "foreign_cpu_seconds": 5.0, "steal_seconds": 0.5,
                     "throttled_seconds": 0.5, "thermal_events": 2}
    assert is_throttled(found, Timing()) is True
    unknown = between(Reading(0.0, None, None, 0.0, None, None), Reading(1.0, None, None, 1.0, None, None), cores=2)
    assert unknown["foreign_cpu_seconds"] is unknown["throttled_seconds"] is None
    assert is_throttled(unknown, Timing()) is None
    assert is_throttled(QUIET, Timing()) is False


def test_the_counters_of_the_usable_processors_are_added_up(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    stat = tmp_path / "stat"
    #                 user nice system idle iowait irq softirq steal guest guest_nice
    stat.write_text("cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 100 10 20 900 50 1 2 30 5 0\ncpu1 5000 0 0 0 0 0 0 0 0 0\n"
                    "cpu2 200 0 0 900 0 0 0 0 0 0\nintr 1 2 3\n")
    assert disturbance.processor_seconds(stat) == pytest.approx((3.33, 0.3))
    stat.write_text("cpu0 0 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 0 0 0\n")  # a sandbox
    assert disturbance.processor_seconds(stat) == (None, None)
    assert disturbance.processor_seconds(tmp_path / "absent") == (None, None)


def test_the_counters_of_throttling(tmp_path):
    assert disturbance.throttled_seconds(tmp_path) is None
    assert disturbance.thermal_events(tmp_path) is None
    (tmp_path / "cpu.stat").write_text("usage_usec 5\nnr_throttled 3\nthrottled_usec 2500000\n")
    assert disturbance.throttled_seconds(tmp_path) == 2.5
    (tmp_path / "cpu.stat").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.stat").write_text("nr_throttled 3\nthrottled_time 1500000000\n")
    assert disturbance.throttled_seconds(tmp_path) == 1.5
    for core, count in ((0, 2), (1, 3)):
        folder = tmp_path / f"cpu{core}" / "thermal_throttle"
        folder.mkdir(parents=True)
        (folder / "core_throttle_count").write_text(f"{count}\n")
    assert disturbance.thermal_events(tmp_path) == 5


OWN_TIME = """
import json, subprocess, sys, time
from harness.runner.disturbance import between, reading

WORK = "import time\\nend = time.process_time() + 0.4\\nwhile time.process_time() < end: pass\\nprint(1, flush=True)\\n"

def working(**how):
    return subprocess.Popen([sys.executable, "-c", WORK + "time.sleep(60)"], stdout=subprocess.PIPE, **how)

def since(before):
    return between(before, reading())["cpu_seconds"]

before = reading()
child = working()
child.stdout.readline()
alive = since(before)
child.kill()
child.communicate()
gone = since(before)
stranger = working(start_new_session=True)
before = reading()
stranger.stdout.readline()
time.sleep(0.05)
foreign = since(before)
stranger.kill()
stranger.communicate()
print(json.dumps([alive, gone, foreign]))
"""


def test_own_time_is_that_of_the_process_its_children_and_its_group():
    """A child that works, seen while it lives (by its group) and when it is gone (waited for); one of another group
    is none of ours. In a session of its own: beside this test others of this process's group are at work."""
    process = subprocess.run([sys.executable, "-c", OWN_TIME], capture_output=True, text=True, check=True,
                             start_new_session=True)
    alive, gone, foreign = json.loads(process.stdout)
    assert alive >= 0.38
    assert gone >= 0.38
    assert foreign < 0.2
