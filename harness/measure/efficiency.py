"""What follows from a timed half and from what is known of its machine: MFU, share of the ceiling, cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.measure.cost import cost_of
from harness.measure.peaks import Peak, peak_of_conditions, share


def efficiency(
    half: Mapping[str, Any], *, ceiling: Mapping[str, Any] | None = None, cost_per_hour: float | None = None,
    peak: Peak | None = None,
) -> dict[str, Any]:
    """{"mfu", "peak", "ceiling_share", "ceiling", "cost"} of a half, None with "<name>_reason" where not known.

    mfu: model FLOPs of the window per second, over the device's peak in the arithmetic that was probed. ceiling: a
    measured one as plain data (measure/ceiling.py). peak: in place of the table's.
    """
    window = half["window"]
    steps, seconds, flops = window["steps"], window["seconds"], half.get("flops_per_step")
    peak = peak_of_conditions(half.get("conditions") or {}) if peak is None else peak
    uncounted = "the FLOPs of a step cannot be told from the spec"
    found: dict[str, Any] = {"mfu": share(flops, steps, seconds, peak.flops_per_second)}
    if found["mfu"] is None:
        found["mfu_reason"] = uncounted if not flops else peak.reason or "nothing was timed"
    else:
        found["peak"] = {"flops_per_second": peak.flops_per_second, "source": peak.source}
    rate = None if ceiling is None else ceiling.get("flops_per_second")
    found["ceiling_share"] = share(flops, steps, seconds, rate)
    if found["ceiling_share"] is None:
        found["ceiling_share_reason"] = uncounted if not flops else "no ceiling was measured"
    else:
        found["ceiling"] = dict(ceiling or {})
    return {**found, **cost_of(seconds, window["samples"], cost_per_hour)}
