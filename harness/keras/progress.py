"""The live line of a fit, on stderr: which framework, which epoch, how far, how fast."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TextIO

from harness.analysis.settings import backend_title
from harness.keras.state import STATE


class Progress:
    """verbose: 0 is silent; "auto" shows a live line on a terminal and nothing elsewhere; 1 and 2 show one line per
    framework and epoch where there is no terminal."""

    def __init__(self, verbose: Any, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        terminal = self.stream.isatty()
        self.live = terminal and (verbose in (1, True) or (verbose == "auto" and STATE.interactive)) and verbose != 2
        self.lines = not self.live and verbose not in (0, "auto", False, None)
        self._shown = 0
        self._epoch = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        self._end_line()

    def of(self, half: str) -> Callable[[Mapping[str, Any]], None]:
        """What a worker's events of that half are given to."""
        self._epoch = 0

        def update(event: Mapping[str, Any]) -> None:
            if event.get("event") != "step":
                return
            if self.live:
                self._write(text(half, event))
            elif self.lines and event["epoch"] != self._epoch:
                self._epoch = event["epoch"]
                print(text(half, event), file=self.stream, flush=True)

        return update

    def done(self, half: str) -> None:
        """A half's last line stays on the screen."""
        self._end_line()

    def waits(self) -> None:
        if self.live or self.lines:
            print("another run on this machine is timing; waiting for it.", file=self.stream, flush=True)

    def _write(self, line: str) -> None:
        self.stream.write("\r" + line.ljust(self._shown))
        self.stream.flush()
        self._shown = len(line)

    def _end_line(self) -> None:
        if self._shown:
            self.stream.write("\n")
            self.stream.flush()
            self._shown = 0


def text(half: str, event: Mapping[str, Any]) -> str:
    """ "PyTorch     epoch 2/5  step 1,200/9,375  loss 0.4312  12,345 examples/s"."""
    loss = event.get("loss")
    parts = [
        f"{backend_title(half):<10}", f"epoch {event['epoch']}/{event['epochs']}",
        f"step {event['step']:,}/{event['steps']:,}", "" if loss is None else f"loss {loss:.4g}",
        f"{event['samples_per_second']:,.0f} examples/s",
    ]
    return "  ".join(part for part in parts if part)
