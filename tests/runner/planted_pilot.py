"""Jobs of a pilot with a fault in them, for test_pilot.py."""

from __future__ import annotations

from typing import Any

from harness.runner.pilot_jobs import program_job


def skipping_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """The captured step leaves out every seventh update, and is the faster for it; the losses look the same."""
    from harness.backends.pytorch.captured import CapturedStep

    play = CapturedStep.__call__

    def skipping(self: Any, step: int, rows: Any, learning_rate: float) -> None:
        play(self, step, rows, 0.0 if step % 7 == 3 else learning_rate)

    CapturedStep.__call__ = skipping  # type: ignore[method-assign]
    return program_job(arguments, emit)
