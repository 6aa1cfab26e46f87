"""Who may run: nothing beside what is timed on this machine, and each cell of a store in one driver only."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: no advisory locks; two drivers there are the user's own care
    fcntl = None  # type: ignore[assignment]

RETRY_SECONDS = 0.2


def machine_lock_path() -> Path:
    """The lock file that all drivers of this user on this machine share."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"harness-timing-{user}.lock"


class FileLock:
    """A file lock that is free again when its holder and all who inherited the descriptor are gone.

    The workers inherit it: after a driver is killed, the lock holds until its last child is dead, so that the
    next driver does not time a cell beside it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)

    @contextmanager
    def held(self, on_wait: Callable[[], Any] | None = None, *, shared: bool = False) -> Iterator[None]:
        """Waits for the lock; on_wait is called once if it is not free at once. shared: beside others that share."""
        told = False
        while not self._take(shared):
            if on_wait is not None and not told:
                on_wait()
                told = True
            time.sleep(RETRY_SECONDS)
        try:
            yield
        finally:
            if fcntl is not None:
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self.descriptor)

    def _take(self, shared: bool) -> bool:
        if fcntl is None:
            return True
        try:
            fcntl.flock(self.descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
