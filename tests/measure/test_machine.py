"""harness doctor finds each trouble that is planted on a machine, that one alone, and says how to mend it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.measure.machine import spoils
from harness.measure.system import System, moment
from tests.measure.planted import GIGA, QUIET, STAT, look_at, nvidia_smi

CPU, CGROUP = "sys/devices/system/cpu", "sys/fs/cgroup/slice/mine"
BUSY = STAT.replace("cpu0 100", "cpu0 400")  # 3 s of 4 on one core
SEEN = {"tensorflow": {"version": "2.21", "gpus": ["H200"], "cuda": "12.5"},
        "pytorch": {"version": "2.13", "gpus": ["H200"], "cuda": "12.6"}}


@dataclass(frozen=True)
class Planted:
    """Files changed from the beginning, and between the moments; what is then found: in `what`, in `mend`."""

    what: str
    mend: str
    severity: str
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def process(number: int, ticks: int, name: str = "train.py") -> dict[str, str]:
    return {f"proc/{number}/stat": f"{number} ({name}) R 1 {number} {number} 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 0"}


CASES = {
    "governor": Planted("governor is powersave on 2 of 4 cores", "cpupower frequency-set -g performance", "adds noise",
                        {f"{CPU}/cpu{cpu}/cpufreq/scaling_governor": "powersave" for cpu in (1, 2)}),
    "turbo of Intel": Planted("turbo is on", "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo", "note",
                              {f"{CPU}/intel_pstate/no_turbo": "0"}),
    "boost of others": Planted("turbo is on", "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost", "note",
                               {f"{CPU}/cpufreq/boost": "1"}),
    "another process": Planted("other processes use 0.8 of 4 cores: train.py (30) 0.75", "end them", "spoils",
                               process(30, 100), {"proc/stat": BUSY, **process(30, 400)}),
    "a little load": Planted("other processes use 0.1 of 4 cores: train.py (30) 0.12", "end them", "adds noise",
                             process(30, 0), {"proc/stat": STAT.replace("cpu1 100", "cpu1 150"), **process(30, 50)}),
    "unseen load": Planted("cannot be seen from here", "another machine", "spoils", {}, {"proc/stat": BUSY}),
    "quota": Planted("quota of 1.5 cores", "--cpuset-cpus", "adds noise", {f"{CGROUP}/cpu.max": "150000 100000"}),
    "quota of the group above": Planted("quota of 2 cores", "--cpuset-cpus", "adds noise",
                                        {"sys/fs/cgroup/slice/cpu.max": "200000 100000"}),
    "quota, version 1": Planted("quota of 0.5 cores", "--cpuset-cpus", "adds noise",
                                {"proc/self/cgroup": "3:cpu,cpuacct:/box\n",
                                 "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "50000",
                                 "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000"}),
    "throttled by the quota": Planted("held it back 12 times", "--cpuset-cpus", "spoils",
                                      {f"{CGROUP}/cpu.max": "150000 100000"},
                                      {f"{CGROUP}/cpu.stat": "nr_periods 40\nnr_throttled 12\n"}),
    "affinity": Planted("may use 2 of 4 processors", "execution.threads", "note", options={"processors": (0, 1)}),
    "threads of one core": Planted("4 of 4 processors are pairs", "taskset -c 0,1", "adds noise",
                                   {f"{CPU}/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 2},{cpu % 2 + 2}"
                                    for cpu in range(4)}),
    "steal": Planted("host of this virtual machine takes 5.0%", "dedicated cores", "spoils", {},
                     {"proc/stat": STAT.replace("cpu0 100 0 0 2400 0 0 0 0", "cpu0 100 0 0 2400 0 0 0 80")}),
    "a little steal": Planted("takes 1.0%", "dedicated cores", "adds noise", {},
                              {"proc/stat": STAT.replace("cpu3 100 0 0 2400 0 0 0 0", "cpu3 100 0 0 2400 0 0 0 16")}),
    "heat now": Planted("heat slows the processor now (3 times", "cool it", "spoils", {},
                        {f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "3"}),
    "heat before": Planted("heat has slowed the processor 3 times", "cool it", "note",
                           {f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "3"}),
    "clock source": Planted("clock source is hpet", "echo tsc | sudo tee", "adds noise",
                            {"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet"}),
    "swapped out": Planted("1.0 GiB of memory are swapped out", "swapoff", "adds noise",
                           {"proc/meminfo": QUIET["proc/meminfo"].replace("SwapFree: 2000000", "SwapFree: 1000000")}),
    "swapping": Planted("swaps now (90 pages", "swapoff", "spoils", {}, {"proc/vmstat": "pswpin 50\npswpout 52\n"}),
    "little memory": Planted("1.1 GiB of memory are left", "end what fills", "adds noise",
                             {"proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 1200000 kB\n"}),
    "no memory": Planted("0.1 GiB of memory are left", "end what fills", "spoils",
                         {"proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 120000 kB\n"}),
    "a container's memory": Planted("0.3 GiB of memory are left", "end what fills", "spoils",
                                    {f"{CGROUP}/memory.max": str(GIGA), f"{CGROUP}/memory.current": str(GIGA),
                                     f"{CGROUP}/memory.stat": f"anon 1\nfile {GIGA * 3 // 10}\n"}),
    "full disk": Planted("0.1 GiB are free where the results go", "make room", "spoils",
                         options={"free": GIGA // 10}),
    "battery": Planted("runs on its battery", "plug it in", "spoils",
                       {"sys/class/power_supply/BAT0/status": "Discharging"}),
    "precision": Planted("NVIDIA_TF32_OVERRIDE=1 is set", "unset NVIDIA_TF32_OVERRIDE", "spoils",
                         options={"environ": {"NVIDIA_TF32_OVERRIDE": "1"}}),
    "threads": Planted("OMP_NUM_THREADS=8 is set", "execution.threads", "spoils",
                       options={"environ": {"OMP_NUM_THREADS": "8"}}),
    "threads as they are wanted": Planted("OMP_NUM_THREADS=1 is set", "execution.threads", "note",
                                          options={"environ": {"OMP_NUM_THREADS": "1"}}),
    "binding": Planted("KMP_AFFINITY=compact is set", "unset", "adds noise",
                       options={"environ": {"KMP_AFFINITY": "compact"}}),
    "compiler off": Planted("TORCHDYNAMO_DISABLE=1 is set", "unset", "spoils",
                            options={"environ": {"TORCHDYNAMO_DISABLE": "1"}}),
    "allocator": Planted("LD_PRELOAD=jemalloc.so is set", "unset", "adds noise",
                         options={"environ": {"LD_PRELOAD": "jemalloc.so"}}),
    "a broken framework": Planted("pytorch cannot be used: no libtorch", "pip install", "spoils",
                                  options={"frameworks": {**SEEN, "pytorch": {"error": "no libtorch"}}}),
    "persistence": Planted("persistence mode is off", "-pm 1", "adds noise",
                           options={"run": nvidia_smi(persistence="Disabled")}),
    "slices": Planted("cut into slices (MIG)", "-mig 0", "adds noise", options={"run": nvidia_smi(mig="Enabled")}),
    "ECC": Planted("ECC is off", "-e 1", "note", options={"run": nvidia_smi(ecc="Disabled")}),
    "power limit": Planted("power limit is 350 W, by default 700 W", "-pl 700", "adds noise",
                           options={"run": nvidia_smi(limit="350.00")}),
    "hot GPU": Planted("clocked down: it is too hot (hardware)", "cool it", "spoils",
                       options={"run": nvidia_smi(reasons="0x0000000000000040")}),
    "hot GPU, older driver": Planted(
        "clocked down: it is too hot (driver)", "cool it", "spoils",
        options={"run": nvidia_smi(reasons="0x0000000000000020", clocks="clocks_throttle_reasons")}),
    "power cap": Planted("clocked down: its power limit is reached", "nvidia-smi -q", "adds noise",
                         options={"run": nvidia_smi(reasons="0x0000000000000005")}),
    "others on the GPU": Planted("use the GPU: 4242, python, 1000 MiB", "end them", "spoils",
                                 options={"run": nvidia_smi(apps="4242, python, 1000 MiB\n")}),
    "a build without CUDA": Planted("tensorflow does not see the GPU (it is a build without CUDA)", "GPU build",
                                    "spoils", options={"run": nvidia_smi(), "frameworks": {
                                        **SEEN, "tensorflow": {"version": "2.21", "gpus": [], "cuda": None}}}),
    "an old driver": Planted("pytorch does not see the GPU (it is built for CUDA 13.0, the driver knows up to 12.8)",
                             "for a CUDA that the driver knows", "spoils",
                             options={"run": nvidia_smi(), "frameworks": {
                                 **SEEN, "pytorch": {"version": "2.13", "gpus": [], "cuda": "13.0"}}}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_planted_trouble_is_found_alone(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    found = look_at(tmp_path, case.before, case.after, **case.options)
    assert [trouble.severity for trouble in found] == [case.severity], found
    assert case.what in found[0].what
    assert case.mend in found[0].mend
    assert found[0].why
    assert spoils(found) == (case.severity == "spoils")


def test_nothing_is_found_on_a_quiet_machine(tmp_path: Path) -> None:
    assert look_at(tmp_path, run=nvidia_smi(), frameworks=SEEN) == []


def test_nothing_is_made_up_where_nothing_is_told(tmp_path: Path) -> None:
    """Another system: no /proc, no /sys."""
    from harness.measure.machine import Look, troubles

    system = System(tmp_path, {}, (0, 1), lambda command: None, lambda folder: None, 1)
    now = moment(system)
    assert (now.busy, now.stolen, now.throttled, now.heat, now.swapped) == (None,) * 5
    assert troubles(Look(system, now, now, 1.0)) == []


def test_the_own_group_is_not_others(tmp_path: Path) -> None:
    own = QUIET["proc/10/stat"].replace(" 400 0 0 0 20", " 700 0 0 0 20")
    assert look_at(tmp_path, after={"proc/10/stat": own, "proc/stat": BUSY}) == []


def test_a_thread_of_the_own_core_that_others_may_use(tmp_path: Path) -> None:
    lists = {f"{CPU}/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 2},{cpu % 2 + 2}" for cpu in range(4)}
    found = look_at(tmp_path, lists, processors=(0, 1))
    assert any("second thread of a core" in trouble.what for trouble in found)


def test_a_hidden_gpu_is_not_missed(tmp_path: Path) -> None:
    without = {name: {**answer, "gpus": []} for name, answer in SEEN.items()}
    found = look_at(tmp_path, run=nvidia_smi(), frameworks=without, environ={"CUDA_VISIBLE_DEVICES": "-1"})
    assert [trouble.what for trouble in found] == ["CUDA_VISIBLE_DEVICES=-1 is set"]


def test_the_gpus_of_this_run_alone_are_looked_at(tmp_path: Path) -> None:
    asked: list[list[str]] = []
    look_at(tmp_path, run=lambda command: asked.append(command), environ={"CUDA_VISIBLE_DEVICES": "2"})
    assert asked
    assert all(command[-2:] == ["-i", "2"] for command in asked)


def test_the_worst_comes_first(tmp_path: Path) -> None:
    found = look_at(tmp_path, {f"{CPU}/intel_pstate/no_turbo": "0", **CASES["governor"].before}, free=0)
    assert [trouble.severity for trouble in found] == ["spoils", "adds noise", "note"]


def test_the_lock_of_another_run(tmp_path: Path) -> None:
    lock = tmp_path / "timing.lock"
    assert look_at(tmp_path / "a", lock=lock) == []  # nobody ever ran
    lock.touch()
    assert look_at(tmp_path / "b", lock=lock) == []
    held = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)  # shared holders are in the way as well
        locks = f"1: FLOCK  ADVISORY  READ 4711 00:2b:{lock.stat().st_ino} 0 EOF\n"
        (found,) = look_at(tmp_path / "c", {"proc/locks": locks}, lock=lock)
        assert found.severity == "spoils"
        assert found.what == "another run of the harness holds this machine (process 4711)"
    finally:
        os.close(held)
    assert look_at(tmp_path / "d", lock=lock) == []
