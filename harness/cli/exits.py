"""The exit codes, and the error that a verb raises to leave with one of them."""

from __future__ import annotations

OK = 0
CONDITION_FAILED = 1
INTERRUPTED = 2
INTERNAL = 3
USAGE = 4
NOTHING_MATCHED = 5
NOT_ENOUGH_EVIDENCE = 6
DIFFERENT = 7


class CommandError(Exception):
    """Ends the command with a message and an exit code. kind: one word for programs."""

    def __init__(self, message: str, exit_code: int, kind: str) -> None:
        self.exit_code = exit_code
        self.kind = kind
        super().__init__(message)


def nothing_matched(message: str) -> CommandError:
    return CommandError(message, NOTHING_MATCHED, "nothing matched")
