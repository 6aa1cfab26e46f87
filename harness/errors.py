"""The few exception types that users meet.

Every error says what happened, what was expected, how to mend it, and where. The command line turns
each of them into one message and an exit code; nothing here ever needs a traceback to be understood.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """Something went wrong inside the harness. Exit code 3."""

    exit_code = 3


class SpecError(HarnessError, ValueError):
    """What the user wrote cannot be carried out. Exit code 4.

    message: what happened and what was expected.
    where: file, line, key or layer path.
    hint: how to mend it.
    """

    exit_code = 4

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.message = message
        self.where = where
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} {self.hint}" if self.hint else text

    def at(self, place: str) -> SpecError:
        """The same error, one level further out: `place` goes in front of where it happened."""
        where = f"{place}: {self.where}" if self.where else place
        return type(self)(self.message, where=where, hint=self.hint)


class DataError(SpecError):
    """The data cannot be used as asked (missing file, empty set, NaN, labels out of range)."""


class CellFailed(HarnessError):  # noqa: N818 (what happened to the cell, not an error of the harness)
    """A run ended without a result. `kind` is one of the record's reason kinds."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """" Did you mean 'Dense'?" if a known name is near, else the list of what is known (or nothing)."""
    names = sorted(set(known))
    folded = {candidate.lower().replace("_", ""): candidate for candidate in names}
    text = str(name)
    near = difflib.get_close_matches(text.lower().replace("_", ""), list(folded), n=1, cutoff=0.6)
    if near:
        return f"Did you mean {folded[near[0]]!r}?"
    if 0 < len(names) <= 40:
        return f"Known: {', '.join(names)}."
    return ""
