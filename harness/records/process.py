"""What the host says of this process: its clock and its memory."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

# Seconds, monotonic.
Clock = Callable[[], float]


def process_peak_bytes() -> int:
    """Peak resident memory of this process (kilobytes on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
