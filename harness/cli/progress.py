"""How far a run is, on stderr: a live view in a terminal, one plain line per cell elsewhere; or every event as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from harness.runner.progress import Progress, RunningCell

Display = Callable[[Mapping[str, Any]], None]
# Lines for running cells in the live view; what runs beside is counted.
MOST_CELLS = 8


@contextmanager
def progress_display(stream: TextIO | None = None, *, events: bool = False) -> Iterator[Display]:
    """Gives a function that takes the driver's events and shows them. events: as JSON lines on stdout instead."""
    if events:
        yield JsonLines(sys.stdout)
        return
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield PlainLines(stream)
        return
    display = LiveLines(stream)
    try:
        yield display
    finally:
        display.stop()


class JsonLines:
    """Every event as one line of JSON, with the time at which it was told; a number that is none stands as null."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __call__(self, event: Mapping[str, Any]) -> None:
        from harness.cli.output import plain

        stamped = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **event}
        # One call of write: events of threads never share a line.
        self.stream.write(json.dumps(plain(stamped), ensure_ascii=False) + "\n")
        self.stream.flush()


class PlainLines:
    """One line when a run begins and one for each cell and each block that ends."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.state = stream, Progress()

    def __call__(self, event: Mapping[str, Any]) -> None:
        self.state.update(event)
        line = event_line(event, self.state)
        if line:
            print(line, file=self.stream, flush=True)


class LiveLines:
    """The running cells, the whole run and the last failures, redrawn; lines of finished cells scroll by above."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.state = stream, Progress()
        self.live: Any = None

    def __call__(self, event: Mapping[str, Any]) -> None:
        self.state.update(event)
        if self.live is None:
            self._start()
        line = event_line(event, self.state)
        if line:
            self.live.console.print(line, markup=False, highlight=False)

    def _start(self) -> None:
        """Not before there is something to show: a run that is refused prints its message alone."""
        from rich.console import Console
        from rich.live import Live

        # Four frames a second: drawing must not take the machine from the cell that is timed.
        self.live = Live(get_renderable=self.renderable, console=Console(file=self.stream), refresh_per_second=4,
                         transient=True)
        self.live.start(refresh=True)

    def stop(self) -> None:
        if self.live is not None:
            self.live.stop()

    def renderable(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        state = self.state
        line = Table.grid(padding=(0, 1))
        line.add_row(ProgressBar(total=max(state.total, 1), completed=min(state.done + state.share, state.total),
                                 width=30), Text(whole_line(state)))
        cells = list(state.cells.values())
        lines = [cell_line(state)] if len(cells) < 2 else [running_line(cell) for cell in cells[:MOST_CELLS]]
        if len(cells) > MOST_CELLS:
            lines.append(f"and {len(cells) - MOST_CELLS} more cells beside them")
        shown = [Text(_one_line(text), style="dim", no_wrap=True, overflow="ellipsis") for text in lines]
        failures = [Text(_one_line(f"failed: {title}: {reason}"), style="red", no_wrap=True, overflow="ellipsis")
                    for title, reason in state.errors]
        return Group(line, *shown, *failures)


def event_line(event: Mapping[str, Any], state: Progress) -> str | None:
    """The line that an event is worth, None for none."""
    kind = event.get("event")
    if kind == "plan":
        skipped = f", {event['skipped']} already done" if event["skipped"] else ""
        return f"{event['cells']} cells{skipped}; results in {event['out']}"
    if kind == "cell_finished":
        reason = event.get("reason") or {}
        failed = f" ({reason.get('kind')}: {_one_line(reason.get('message'))})" if event["status"] != "done" else ""
        loss = "" if state.loss is None or failed else f", loss {state.loss:.4g}"
        left = "" if state.seconds_left is None else f", about {duration(state.seconds_left)} left"
        if state.done >= state.total:
            left = ""
        return (f"[{state.done}/{state.total}] {event['title']}: {event['status']} in "
                f"{duration(event['seconds'])}{loss}{failed}{left}")
    if kind == "certified":
        return (f"[certificate {event['index']}/{event['of']}] {event['title']}: {_one_line(event['sentence'])} "
                f"({duration(event['seconds'])})")
    if kind == "waiting":
        return str(event["message"])
    if kind == "redone":
        return f"{event['task']} is done again, for the {event['attempt']}. time: {_one_line(event['message'])}"
    return block_line(event, state)


def block_line(event: Mapping[str, Any], state: Progress) -> str | None:
    """ "[block 4/6] mlp, tuned: PyTorch/TensorFlow 2.3, done in 24 s, about 3 min left"."""
    kind = event.get("event")
    if kind == "blocks" and event["blocks"]:
        several = f" of {event['settings']} settings" if event["settings"] > 1 else ""
        return f"{event['blocks']} blocks{several}, up to the next look: the backends timed against each other"
    if kind == "blocks_stopped":
        return f"{event['title']}: no more blocks: {_one_line(event['reason'])}"
    if kind != "block_finished":
        return None
    reason = event.get("reason") or {}
    why = f" ({reason.get('kind')}: {_one_line(reason.get('message'))})" if reason else ""
    left = "" if state.seconds_left is None or not state.blocks_left else f", about {duration(state.seconds_left)} left"
    return (f"[block {event['done']}/{event['look']}] {event['title']}: {speed_ratio(event)}{event['status']} in "
            f"{duration(event['seconds'])}{why}{left}")


def speed_ratio(event: Mapping[str, Any]) -> str:
    """ "PyTorch/TensorFlow 2.3, ": the faster one over the other, over all blocks so far; "" without any."""
    from harness.analysis.settings import backend_title

    ratio, names = event.get("ratio"), [backend_title(str(name)) for name in event["backends"]]
    if not ratio:
        return ""
    if ratio < 1:
        ratio, names = 1 / ratio, names[::-1]
    return f"{'/'.join(names)} {ratio:.3g}, "


def whole_line(state: Progress) -> str:
    """ "7/12 cells, 1 failed, about 2 min left"."""
    parts = [f"{state.done}/{state.total} cells"]
    if state.failed:
        parts.append(f"{state.failed} failed")
    if state.blocks_done or state.blocks_left:
        parts.append(f"{state.blocks_done} blocks, {state.blocks_left} more to the next look")
    if len(state.cells) > 1:
        parts.append(f"{len(state.cells)} running")
    if state.cells_per_minute is not None and state.done < state.total:
        parts.append(f"{state.cells_per_minute:.3g} cells/min")
    if state.seconds_left is not None and (state.done < state.total or state.blocks_left):
        parts.append(f"about {duration(state.seconds_left)} left")
    return ", ".join(parts)


def cell_line(state: Progress) -> str:
    """ "mlp, pytorch, tuned, seed 0: finetune 3/10, loss 0.123, 45,000 samples/s"."""
    if state.current is None:
        return state.message or ""
    for cell in state.cells.values():
        if cell.title == state.current:
            return running_line(cell)
    return f"{state.current}: {state.message or 'starting'}"


def running_line(cell: RunningCell) -> str:
    """ "mlp, pytorch, tuned, seed 0: finetune 3/10, loss 0.123, 45,000 samples/s"."""
    parts = [f"{cell.phase} {cell.epoch}/{cell.epochs}"] if cell.phase else []
    if cell.loss is not None:
        parts.append(f"loss {cell.loss:.4g}")
    if cell.samples_per_second:
        parts.append(f"{cell.samples_per_second:,.0f} samples/s")
    return f"{cell.title}: {', '.join(parts) or 'starting'}"


def duration(seconds: float) -> str:
    """ "3.2 s", "2 min", "1.5 h"."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _one_line(text: Any) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= 160 else line[:157] + "..."
