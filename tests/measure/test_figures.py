"""Peaks, ceilings, energy, cost, and what follows from them for a half: known numbers, and null with a reason."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import SpecError
from harness.measure.ceiling import measured_ceiling, numpy_ceiling
from harness.measure.cost import checked_price, cost_of
from harness.measure.efficiency import efficiency
from harness.measure.energy import Meter, Nvml, meter_for, nvml_counter, rapl_counter
from harness.measure.peaks import PRECISIONS, TABLE, TERA, known_peak, peak_of_conditions, share

HALF = {"window": {"steps": 1000, "seconds": 10.0, "samples": 32000}, "flops_per_step": 2 * 10**12,
        "conditions": {"device": "gpu:0 NVIDIA H200", "precision": {"wanted": "tf32", "matmul": "tf32"}}}


class Clock:
    """Goes on by `step` at every look, and by what is added."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 100.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.mark.parametrize(("device", "precision", "tera"), [
    ("NVIDIA H200", "bfloat16", 989.5), ("gpu:0 NVIDIA H200", "tf32", 494.5), ("NVIDIA H100 PCIe", "float16", 756.0),
    ("NVIDIA H100 80GB HBM3", "float32", 66.9), ("NVIDIA A100-SXM4-80GB", "tf32", 156.0),
    ("NVIDIA A100 80GB PCIe", "float64", 19.5), ("Tesla V100-SXM2-16GB", "float16", 125.0),
    ("Tesla T4", "float32", 8.1), ("NVIDIA L4", "float32", 30.3), ("NVIDIA L40S", "bfloat16", 362.05),
    ("NVIDIA A10", "bfloat16", 125.0), ("NVIDIA GeForce RTX 3090", "tf32", 35.6),
    ("gpu:1 NVIDIA GeForce RTX 4090", "float16", 165.2),
])
def test_a_known_peak(device: str, precision: str, tera: float) -> None:
    peak = known_peak(device, precision)
    assert peak.flops_per_second == tera * TERA
    assert peak.source is not None
    assert peak.source.startswith("NVIDIA ")
    assert peak.reason is None


@pytest.mark.parametrize(("device", "precision", "reason"), [
    ("cpu", "float32", "a CPU has no stated peak"), ("NVIDIA A10G", "float32", "not in the harness's table"),
    ("NVIDIA GeForce RTX 4090 Laptop GPU", "float32", "not in"), ("NVIDIA GeForce RTX 3090 Ti", "float32", "not in"),
    ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "tf32", "not in"), ("Tesla T4", "tf32", "no tf32 rate is known of Tesla T4"),
    ("Tesla V100-SXM2-16GB", "bfloat16", "no bfloat16 rate"), ("NVIDIA H200", "int8", "no peak is stated for 'int8'"),
])
def test_an_unknown_peak_is_null_with_a_reason(device: str, precision: str, reason: str) -> None:
    peak = known_peak(device, precision)
    assert peak.flops_per_second is None
    assert reason in str(peak.reason)


def test_the_table_is_dense_and_consistent() -> None:
    for pattern, rates, source in TABLE:
        assert len(rates) == len(PRECISIONS)
        assert source
        double, single, tf32, bfloat16, half = rates
        assert single is not None, pattern
        # Halves do not pass for sparsity: tf32 is a half of 16 bits at the most.
        assert half is not None, pattern
        assert half >= 4 * single - 0.5 or half >= 1.9 * single, pattern
        assert bfloat16 in (None, half), pattern
        assert tf32 is None or single <= tf32 <= 0.51 * half, pattern
        assert double is None or double <= single, pattern


def test_the_share_of_a_peak() -> None:
    assert share(2e12, 1000, 10.0, 400e12) == 0.5
    assert [share(None, 1, 1.0, 1.0), share(1.0, 1, 1.0, None), share(1.0, 1, 0.0, 1.0)] == [None] * 3


def test_the_arithmetic_that_was_probed_decides_the_peak() -> None:
    wanted = {"device": "gpu:0 NVIDIA H200", "precision": {"wanted": "float32", "matmul": "tf32"}}
    assert peak_of_conditions(wanted).flops_per_second == 494.5e12
    assert peak_of_conditions({}).flops_per_second is None


def test_the_efficiency_of_a_half() -> None:
    found = efficiency(HALF, ceiling={"flops_per_second": 250e12, "size": 8192}, cost_per_hour=3.6)
    assert found["mfu"] == pytest.approx(200 / 494.5)
    assert found["peak"]["source"].startswith("NVIDIA H200")
    assert found["ceiling_share"] == pytest.approx(0.8)
    assert found["cost"] == pytest.approx(3.6 / 3600 * 10 / 32000)
    assert not [name for name in found if name.endswith("_reason")]


def test_what_is_not_known_is_null_with_a_reason() -> None:
    on_cpu = efficiency({**HALF, "conditions": {"device": "cpu", "precision": {"matmul": "float32"}}})
    assert [on_cpu[name] for name in ("mfu", "ceiling_share", "cost")] == [None] * 3
    assert "a CPU has no stated peak" in on_cpu["mfu_reason"]
    assert on_cpu["ceiling_share_reason"] == "no ceiling was measured"
    assert "cost_per_hour" in on_cpu["cost_reason"]
    uncounted = efficiency({**HALF, "flops_per_step": None}, ceiling={"flops_per_second": 1e12})
    assert (uncounted["mfu"], uncounted["ceiling_share"]) == (None, None)
    assert "cannot be told from the spec" in uncounted["mfu_reason"]


def test_a_ceiling_is_the_fastest_call_of_the_fastest_size() -> None:
    clock = Clock()
    takes = {100: iter([9.0, 0.2, 0.1, 0.4] + [0.3] * 99), 200: iter([9.0] + [0.5] * 99)}
    def product_of(size: int):
        def call() -> None:
            clock.now += next(takes[size])
        return call

    found = measured_ceiling(product_of, "float32", "made up", sizes=(100, 200), seconds=1.0, clock=clock)
    assert found.size == 200
    assert found.flops_per_second == pytest.approx(2 * 200**3 / 0.5)
    assert found.calls == 4 + 3  # so many until the second is over, three at least


def test_the_ceiling_of_this_machine() -> None:
    single, double = (numpy_ceiling(precision, 1, sizes=(128, 256), seconds=0.05)
                      for precision in ("float32", "float64"))
    assert 1e8 < double.flops_per_second < 1e13
    assert single.flops_per_second > 1e8
    assert (single.precision, double.precision) == ("float32", "float64")
    assert single.library.startswith("numpy")
    assert (single.threads == 1) == (single.reason is None)  # threads held, or a reason why not


@pytest.mark.parametrize("price", [0, -1.0, math.nan, math.inf, True, "3"])
def test_a_price_that_is_none(price: Any) -> None:
    with pytest.raises(SpecError, match="a price is a number above 0"):
        checked_price(price)


def test_the_cost_of_an_example() -> None:
    assert cost_of(3600.0, 1000, 2.5) == {"cost": 0.0025, "cost_per_hour": 2.5}
    assert cost_of(1.0, 1, None)["cost"] is None
    assert cost_of(0.0, 1, 2.0) == {"cost": None, "cost_reason": "nothing was timed"}
    assert checked_price(2) == 2.0


def powercap(root: Path, package: float, memory: float | None = None, core: float = 5.0) -> Path:
    """A processor's counters, in joules."""
    parts = {"intel-rapl:0": ("package-0", package), "intel-rapl:0:0": ("core", core)}
    if memory is not None:
        parts["intel-rapl:0:1"] = ("dram", memory)
    for name, (kind, joules) in parts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "name").write_text(f"{kind}\n")
        (root / name / "energy_uj").write_text(f"{int(joules * 1e6)}\n")
        (root / name / "max_energy_range_uj").write_text(f"{int(1000 * 1e6)}\n")
    return root


def test_a_processors_energy_with_its_memory_without_its_cores_twice(tmp_path: Path) -> None:
    clock = Clock()
    meter = meter_for("cpu", clock, powercap(tmp_path, 100.0, 20.0))
    meter.start()
    clock.now += 10.0
    powercap(tmp_path, 250.0, 35.0, core=90.0)
    assert meter.stop() == {"joules": 165.0, "seconds": 10.0, "source": "RAPL"}


def test_a_counter_that_started_again(tmp_path: Path) -> None:
    clock = Clock()
    meter = meter_for("cpu", clock, powercap(tmp_path, 990.0))
    meter.start()
    clock.now += 10.0
    powercap(tmp_path, 40.0)
    assert meter.stop()["joules"] == pytest.approx(50.0)


def test_energy_that_is_not_measured_is_null_and_never_0(tmp_path: Path) -> None:
    clock = Clock()
    nothing = meter_for("cpu", clock, tmp_path / "none")
    nothing.start()
    assert nothing.stop() == {"joules": None, "seconds": 0.0,
                              "reason": "this machine shows no RAPL counter (virtual machines hide it)"}
    short = meter_for("cpu", clock, powercap(tmp_path, 1.0))
    short.start()
    clock.now += 1.0
    assert short.stop()["reason"] == "RAPL needs a window of 5 s or more, this one took 1.0 s"
    still = meter_for("cpu", clock, tmp_path)
    still.start()
    clock.now += 10.0
    assert still.stop() == {"joules": None, "seconds": 10.0, "reason": "RAPL did not move"}
    gone = meter_for("cpu", clock, tmp_path)
    gone.start()
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    clock.now += 10.0
    stopped = gone.stop()
    assert stopped["joules"] is None
    assert "RAPL cannot be read" in stopped["reason"]
    with pytest.raises(RuntimeError, match="started before"):
        gone.stop()


def test_counters_for_root_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *arguments: Any, **options: Any) -> str:
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return original(self, *arguments, **options)

    powercap(tmp_path, 1.0)
    original = Path.read_text
    monkeypatch.setattr(Path, "read_text", refuse)
    assert "sudo chmod a+r" in str(rapl_counter(tmp_path))


class Library:
    """As much of pynvml as is used; energy in millijoules."""

    class NVMLError(Exception):
        pass

    def __init__(self, broken: bool = False) -> None:
        self.energy, self.broken, self.asked = 5_000_000, broken, ""

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        self.asked = f"index {index}"
        return self.asked

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self.asked = uuid
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        if self.broken:
            raise self.NVMLError("Not Supported")
        return self.energy


def test_a_gpus_energy_over_a_minute() -> None:
    library, clock = Library(), Clock()
    counter = nvml_counter("gpu:0 NVIDIA H200", "", library)
    assert isinstance(counter, Nvml)
    meter = Meter(counter, clock=clock)
    for seconds, joules in ((59.0, None), (61.0, 30_000.0)):
        meter.start()
        clock.now += seconds
        library.energy += 30_000_000
        stopped = meter.stop()
        assert stopped["joules"] == joules
        assert ("60 s or more" in stopped.get("reason", "")) == (joules is None)


def test_the_gpu_that_is_visible() -> None:
    library = Library()
    for device, visible, asked in (("gpu:1 X", "", "index 1"), ("gpu:0 X", "3,1", "index 3"),
                                   ("gpu:1 X", "3,GPU-ab12", "GPU-ab12"), ("gpu:0 X", None, "index 0")):
        nvml_counter(device, visible or "", library)
        assert library.asked == asked
    assert nvml_counter("gpu:0 X", "", Library(broken=True)) == "NVML has no energy counter here: Not Supported"


def test_noise_asks_for_blocks() -> None:
    from harness.measure.noise import blocks_needed, measure_noise, pair_spread

    # Simulated comparisons of equal work end after 6.0, 9.4 and 16.1 blocks in the mean (docs/measuring.md), with looks
    # at 6, 12 and 24. By hand, of many: (2.216 + 1.645) * 30% / log(1.03) = 39.2, squared 1536.
    assert [blocks_needed(spread, 0.03) for spread in (0.0, 0.01, 0.02, 0.03)] == [2, 5, 10, 18]
    assert blocks_needed(0.2, 0.03) == pytest.approx((3.861 * 0.2 / math.log(1.03)) ** 2, rel=0.01)
    assert blocks_needed(10.0, 0.03) == 1000
    assert blocks_needed(0.04, 0.05) < blocks_needed(0.04, 0.03)
    rates = np.exp(np.random.default_rng(0).normal(0.0, 0.02, 4000))
    assert pair_spread(rates.tolist()) == pytest.approx(0.02 * math.sqrt(2), rel=0.05)
    assert pair_spread([1.0] * 16) == 0.0
    clock = Clock()
    def work() -> None:
        clock.now += 0.01
    found = measure_noise(work, windows=8, seconds=0.1, clock=clock)
    assert len(found.rates) == 8
    assert found.spread == pytest.approx(0.0, abs=1e-9)
    assert (found.stolen, found.steal_share()) == ((), None)
    # A tenth of every second is stolen: 25 windows of a tenth of a second hold two whole ones.
    shares = measure_noise(work, windows=24, seconds=0.1, clock=clock, stolen=lambda: 0.1 * clock.now).stolen
    assert shares == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize(("shares", "limit"), [
    ((0.0,) * 5, 0.03), ((0.01,) * 9 + (0.5,), 0.06), ((0.041,) * 8, 0.05), ((0.12,) * 8, 0.12), ((0.25,) * 8, None)])
def test_the_limit_of_stolen_time_that_a_machine_can_keep(shares: tuple[float, ...], limit: float | None) -> None:
    from harness.measure.noise import Noise

    assert Noise((1.0,), 0.0, shares).steal_share() == limit
