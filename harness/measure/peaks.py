"""What a device can do at most, by its data sheet: dense FLOP/s of matrix products, and the share of it that is used.

Figures are those without sparsity, at the boost clock, accumulated in float32 (what both frameworks ask for: GeForce
cards halve their rate for it). Where a vendor states a figure with sparsity alone, half of it stands here. "float32" is
outside the tensor cores; a float64 figure is of the tensor cores where there are some. None: the device does not have
it, or the data sheet does not say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TERA = 1e12
# Nvidia's documents, by their titles.
VOLTA = "NVIDIA V100 Tensor Core GPU data sheet (January 2020)"
VOLTA_S = "NVIDIA V100 Tensor Core GPU data sheet (January 2020), V100S"
TURING = "NVIDIA T4 Tensor Core GPU data sheet"
AMPERE = "NVIDIA A100 Tensor Core GPU data sheet"
A30, A10, A40 = (f"NVIDIA {name} data sheet" for name in ("A30 Tensor Core GPU", "A10 Tensor Core GPU", "A40 GPU"))
GA102 = "NVIDIA Ampere GA102 GPU Architecture white paper, appendix A"
HOPPER = "NVIDIA H100 Tensor Core GPU Architecture white paper, table 2"
H100_NVL = "NVIDIA H100 Tensor Core GPU data sheet, H100 NVL; halved where stated with sparsity"
H200 = "NVIDIA H200 Tensor Core GPU data sheet, H200 SXM; halved where stated with sparsity"
H200_NVL = "NVIDIA H200 Tensor Core GPU data sheet, H200 NVL; halved where stated with sparsity"
L4, L40, L40S = (f"NVIDIA {name} data sheet" for name in ("L4 Tensor Core GPU", "L40 GPU", "L40S GPU"))
ADA = "NVIDIA Ada GPU Architecture white paper, appendix A"

PRECISIONS = ("float64", "float32", "tf32", "bfloat16", "float16")
Row = tuple[str, tuple[float | None, ...], str]
# The driver's name of the device as a regular expression, TFLOP/s in the order of PRECISIONS, the source.
TABLE: tuple[Row, ...] = (
    (r"Tesla V100-SXM[23]-\d+GB(-LS)?", (7.8, 15.7, None, None, 125.0), VOLTA),
    (r"Tesla V100-PCIE-\d+GB", (7.0, 14.0, None, None, 112.0), VOLTA),
    (r"Tesla V100S-PCIE-32GB", (8.2, 16.4, None, None, 130.0), VOLTA_S),
    (r"(Tesla|NVIDIA) T4", (None, 8.1, None, None, 65.0), TURING),
    (r"(NVIDIA )?A100[- ](SXM4|PCIE|PG509).*", (19.5, 19.5, 156.0, 312.0, 312.0), AMPERE),
    (r"(NVIDIA )?A100 80GB PCIe", (19.5, 19.5, 156.0, 312.0, 312.0), AMPERE),
    (r"(NVIDIA )?A30", (10.3, 10.3, 82.0, 165.0, 165.0), A30),
    (r"(NVIDIA )?A10", (None, 31.2, 62.5, 125.0, 125.0), A10),
    (r"(NVIDIA )?A40", (None, 37.4, 74.8, 149.7, 149.7), A40),
    (r"(NVIDIA )?GeForce RTX 3080", (None, 29.8, 29.8, 59.5, 59.5), GA102),
    (r"(NVIDIA )?GeForce RTX 3090", (None, 35.6, 35.6, 71.0, 71.0), GA102),
    (r"NVIDIA H100 80GB HBM3", (66.9, 66.9, 494.7, 989.4, 989.4), HOPPER),
    (r"NVIDIA H100 PCIe", (51.2, 51.2, 378.0, 756.0, 756.0), HOPPER),
    (r"NVIDIA H100 NVL", (60.0, 60.0, 417.5, 835.5, 835.5), H100_NVL),
    (r"NVIDIA H200", (67.0, 67.0, 494.5, 989.5, 989.5), H200),
    (r"NVIDIA H200 NVL", (60.0, 60.0, 417.5, 835.5, 835.5), H200_NVL),
    (r"NVIDIA L4", (None, 30.3, 60.0, 121.0, 121.0), L4),
    (r"NVIDIA L40", (None, 90.5, 90.5, 181.05, 181.05), L40),
    (r"NVIDIA L40S", (None, 91.6, 183.0, 362.05, 362.05), L40S),
    (r"NVIDIA GeForce RTX 4080", (None, 48.7, 48.7, 97.5, 97.5), ADA),
    (r"NVIDIA GeForce RTX 4090", (None, 82.6, 82.6, 165.2, 165.2), ADA),
)


@dataclass(frozen=True)
class Peak:
    """flops_per_second: None where it is not known, and `reason` says why. source: the document."""

    flops_per_second: float | None
    source: str | None = None
    reason: str | None = None


def known_peak(device: str, precision: str) -> Peak:
    """The peak of a device by the driver's name ("NVIDIA H200", also as "gpu:0 NVIDIA H200") for one of PRECISIONS.

    The whole name decides: a laptop's RTX 4090, a slice of an A100 (MIG) and a PCIe card are other devices.
    """
    name = re.sub(r"^gpu:\d+ +", "", " ".join(device.split()))
    if name.startswith("cpu"):
        return Peak(None, reason="a CPU has no stated peak: measure the ceiling of its matrix products instead")
    if precision not in PRECISIONS:
        return Peak(None, reason=f"no peak is stated for {precision!r}")
    for pattern, rates, source in TABLE:
        if re.fullmatch(pattern, name):
            rate = rates[PRECISIONS.index(precision)]
            if rate is None:
                return Peak(None, source, f"no {precision} rate is known of {name}")
            return Peak(rate * TERA, source)
    return Peak(None, reason=f"the peak of {name!r} is not in the harness's table")


def peak_of_conditions(conditions: Mapping[str, Any]) -> Peak:
    """The peak of the device and the arithmetic that a backend read back (Backend.conditions)."""
    precision = conditions.get("precision") or {}
    return known_peak(str(conditions.get("device", "unknown")), str(precision.get("matmul")))


def share(flops_per_step: float | None, steps: float, seconds: float, rate: float | None) -> float | None:
    """The share of a rate (FLOP/s) that steps of so many FLOPs reached; None where something is not known."""
    if not flops_per_step or not rate or seconds <= 0:
        return None
    return flops_per_step * steps / seconds / rate
