"""Where output goes: data on stdout, as text or as JSON; errors and progress on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from harness.errors import SpecError

# Names and messages come from elsewhere: nothing in them may steer a terminal. Lines and tabs stay.
CONTROLS = {code: "?" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def emit(data: Any, text: str, as_json: bool) -> None:
    """Prints the data as JSON if asked for, else the text."""
    write(to_json(data) if as_json else text)


def write(text: str) -> None:
    """Text on stdout. A reader that has seen enough (`harness ls | head`) is no error."""
    try:
        print(text.translate(CONTROLS), flush=True)
    except BrokenPipeError:
        # What is still buffered has no reader either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def to_json(data: Any) -> str:
    return json.dumps(plain(data), indent=2, ensure_ascii=False)


def plain(value: Any) -> Any:
    """Data as JSON has it: NumPy's numbers as Python's, a number that is none (NaN) as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned columns; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(header), *cells]) for column in range(len(header))]
    right = [
        bool(rows) and all(isinstance(row[column], (int, float)) or row[column] is None for row in rows)
        for column in range(len(header))
    ]

    def line(texts: Sequence[str]) -> str:
        parts = [t.rjust(w) if r else t.ljust(w) for t, w, r in zip(texts, widths, right, strict=True)]
        return "  ".join(parts).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, cells)])


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1000 else (
        f"{value:,.0f}" if isinstance(value, float) else " ".join(str(value).split()))


def byte_size(count: float | None) -> str:
    """ "1.5 MB"; "-" for what is unknown."""
    if count is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def print_error(message: str, hint: str | None, kind: str, as_json: bool, error: Any = None) -> None:
    """One message on stderr; as JSON where the output is."""
    if as_json:
        fields: dict[str, Any] = {"kind": kind, "message": f"{message} {hint}" if hint else message}
        if isinstance(error, SpecError):
            fields.update(kind="spec", what=error.message, where=error.where, hint=error.hint)
        print(json.dumps({"error": fields}, ensure_ascii=False), file=sys.stderr)
        return
    print(f"harness: {message}" if not message.startswith("harness") else message, file=sys.stderr)
    if hint:
        print(hint, file=sys.stderr)
