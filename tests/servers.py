"""The fork servers of harness.runner, kept from one test to the next: importing a framework takes as long as a test.

Who is done with a server closes it; here it is then idle, and the next worker of that framework takes it. Every job has
a process of its own as ever. A server is begun and ended as in earnest where the test has its own environment or
folder, and where it asks for that: the fixture `own_servers`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.runner import workers
from harness.runner.connection import Event, Server

# What may differ between tests that share a server: nothing in a worker reads it.
IGNORED = {
    "PYTEST_CURRENT_TEST", "HARNESS_RESULTS", "HARNESS_OVERRIDES", "HARNESS_CERTIFY", "HARNESS_TIMING",
    # Set for good by the command line, and by libraries when they are imported.
    "PYDANTIC_DISABLE_PLUGINS", "RAY_CLIENT_MODE", "RAY_USAGE_STATS_ENABLED", "PYGAME_HIDE_SUPPORT_PROMPT",
    "KMP_INIT_AT_FORK",
}

idle: dict[str, list[Kept]] = {}


class Kept(Server):
    """A server that waits for the next worker when it is closed, unless a job of its own still runs."""

    def __init__(self, backend: str, pass_fds: tuple[int, ...]) -> None:
        super().__init__(backend, once=False, pass_fds=pass_fds)
        self.backend = backend
        self.running: set[str] = set()

    def send(self, message: Event) -> None:
        if "function" in message:
            self.running.add(message["job"])
        super().send(message)

    def next_event(self, seconds: float | None) -> Event | None:
        event = super().next_event(seconds)
        if event is not None and event.get("event") == "exit":
            self.running.discard(event["job"])
        return event

    def close(self) -> None:
        if self.running or not self.alive:
            self.end()
            return
        for path in Path(self.compiled.name).iterdir():  # what it compiled is not for others
            shutil.rmtree(path, ignore_errors=True)
        idle.setdefault(self.backend, []).append(self)

    def end(self) -> None:
        super().close()


def surroundings() -> tuple[str, dict[str, str]]:
    """What a server takes over from the process that starts it."""
    return os.getcwd(), {name: value for name, value in os.environ.items() if name not in IGNORED}


@contextlib.contextmanager
def kept_servers() -> Iterator[None]:
    """Workers that are made in here share their servers, one after the other."""
    begun = surroundings()

    def open_server(backend: str, *, once: bool, pass_fds: tuple[int, ...]) -> Server:
        if once or surroundings() != begun:
            return Server(backend, once=once, pass_fds=pass_fds)
        while waiting := idle.get(backend):
            if (found := waiting.pop()).alive:
                return found
            found.end()
        # Without the descriptors: what they hold is to be let go when its run ends, not when the tests do.
        return Kept(backend, ())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "Server", open_server)
        yield
        workers.close_workers()
    while idle:
        for server in idle.popitem()[1]:
            server.end()
