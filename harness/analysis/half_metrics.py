"""What a half of a timed block may have measured, by name: where it stands in the half, its unit, its direction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Half = Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """What a half may have measured. more_is_better: None where it is neither. read: of a half, None where it was not
    measured; place: where the half says why (its parts, outermost first)."""

    unit: str
    more_is_better: bool | None
    read: Callable[[Half], Any]
    place: tuple[str, ...] = ()


def _at(*path: str) -> Callable[[Half], Any]:
    def read(half: Half) -> Any:
        value: Any = half
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value
    return read


def _per(part: str, amount: str) -> Callable[[Half], Any]:
    """amount per second of a part of the half."""
    def read(half: Half) -> Any:
        return _over(_at(part, amount)(half), _at(part, "seconds")(half))
    return read


def _over(amount: Any, by: Any) -> float | None:
    """The proportion of two measured amounts; None where one is missing, or nothing was divided by."""
    if not isinstance(amount, (int, float)) or not isinstance(by, (int, float)) or not by:
        return None
    return float(amount) / float(by)


def _step_seconds(half: Half) -> float | None:
    return _over(_at("window", "seconds")(half), _at("window", "steps")(half))


def _flops_per_second(half: Half) -> float | None:
    return _over(half.get("flops_per_step"), _step_seconds(half))


def _joules_per_sample(half: Half) -> float | None:
    """By the mean power over the energy's own (longer) window."""
    rate = _per("window", "samples")(half)
    return _over(_per("energy", "joules")(half), rate)


METRICS: dict[str, Metric] = {
    "samples_per_second": Metric("examples/s", True, _per("window", "samples"), ("window",)),
    "tokens_per_second": Metric("tokens/s", True, _per("window", "tokens"), ("window", "tokens")),
    "step_seconds": Metric("s", False, _step_seconds, ("window",)),
    "end_to_end_samples_per_second": Metric("examples/s", True, _per("end_to_end", "samples"), ("end_to_end",)),
    "evaluation_samples_per_second": Metric("examples/s", True, _per("evaluation", "samples"), ("evaluation",)),
    "open_seconds": Metric("s", False, _at("open_seconds"), ("open_seconds",)),
    "first_step_seconds": Metric("s", False, _at("first_step_seconds"), ("first_step_seconds",)),
    "compile_seconds": Metric("s", False, _at("compile_seconds"), ("compile_seconds",)),
    "warmup_seconds": Metric("s", False, _at("warmup", "seconds"), ("warmup", "seconds")),
    "latency_p50": Metric("s", False, _at("latency", "p50_seconds"), ("latency",)),
    "latency_p90": Metric("s", False, _at("latency", "p90_seconds"), ("latency",)),
    "latency_p99": Metric("s", False, _at("latency", "p99_seconds"), ("latency",)),
    "peak_bytes": Metric("bytes", False, _at("memory", "peak_bytes"), ("memory", "peak_bytes")),
    "process_peak_bytes": Metric("bytes", False, _at("memory", "process_peak_bytes"),
                                 ("memory", "process_peak_bytes")),
    "largest_batch": Metric("examples", True, _at("memory", "largest_batch"), ("memory", "largest_batch")),
    "model_flops_per_second": Metric("FLOP/s", True, _flops_per_second, ("flops_per_step",)),
    "mfu": Metric("share of the device's peak", True, _at("mfu"), ("mfu",)),
    "ceiling_share": Metric("share of the measured ceiling", True, _at("ceiling_share"), ("ceiling_share",)),
    "energy": Metric("J/example", False, _joules_per_sample, ("energy", "joules")),
    "cost": Metric("price/example", False, _at("cost"), ("cost",)),
}


# Followed by the batch size.
INFERENCE = "inference_samples_per_second_"


def metric_of(name: str) -> Metric:
    """One of METRICS, or "inference_samples_per_second_<batch>"."""
    return Metric("examples/s", True, lambda half: None, ("latency",)) if name.startswith(INFERENCE) else METRICS[name]


def inference_sizes(half: Half) -> list[str]:
    """The batch sizes at which inference was timed."""
    return [str(size) for size in _at("latency", "throughput")(half) or ()]


def metric_value(half: Half, name: str) -> float | None:
    """One of METRICS, or "inference_samples_per_second_<batch>", 0 or more; None where it was not measured."""
    if name.startswith(INFERENCE):
        value = _at("latency", "throughput", name.removeprefix(INFERENCE))(half)
    else:
        value = METRICS[name].read(half)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def reason_missing(half: Half, name: str) -> str | None:
    """Why a half does not have the metric, in the words of whoever measured; None where it does not say."""
    part: Any = half
    place = ("latency",) if name.startswith(INFERENCE) else METRICS[name].place
    for step in place:
        if not isinstance(part, Mapping):
            return None
        said = part.get(f"{step}_reason")
        if said:
            return str(said)
        part = part.get(step)
    said = part.get("reason") if isinstance(part, Mapping) else None
    if said is None and len(place) > 1:
        said = _at(*place[:-1], "reason")(half)
    return None if said is None else str(said)
