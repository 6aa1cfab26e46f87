"""Sweeps: tests marked `sweep` are long conformance sweeps, of which a run takes a part.

Without anything said it is one of SWEEP_PARTS parts, chosen by the day, so that two weeks' runs take them all.
HARNESS_SWEEP=all takes every sweep, none takes none, 3/10 the third of ten parts.
"""

from __future__ import annotations

import datetime
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

SWEEP_PARTS = 14
# Tests that are not about certificates or timed blocks run experiments without them; those that are say so themselves.
os.environ.setdefault("HARNESS_CERTIFY", "0")
os.environ.setdefault("HARNESS_TIMING", "0")


@dataclass(frozen=True)
class Part:
    """Part `number` (from 1) of `parts`; 0 of 1 is none."""

    number: int
    parts: int

    @classmethod
    def of(cls, wanted: str, day: int) -> Part:
        """What HARNESS_SWEEP says; `day` decides where it is empty. Raises UsageError for anything else."""
        if not wanted:
            return cls(day % SWEEP_PARTS + 1, SWEEP_PARTS)
        if wanted in ("all", "none"):
            return cls(1 if wanted == "all" else 0, 1)
        number, slash, parts = wanted.partition("/")
        if not (slash and number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
            raise pytest.UsageError(f"HARNESS_SWEEP is all, none or k/n with 1 <= k <= n, got {wanted!r}")
        return cls(int(number), int(parts))

    def has(self, name: str) -> bool:
        """Whether a test is in it: by its name, so that a new test moves no other."""
        return self.number > 0 and zlib.crc32(name.encode()) % self.parts == self.number - 1

    def __str__(self) -> str:
        if self.parts == 1:
            return "all of them" if self.number else "none"
        return f"part {self.number} of {self.parts} (HARNESS_SWEEP=all takes all)"


def chosen_part() -> Part:
    return Part.of(os.environ.get("HARNESS_SWEEP", ""), datetime.date.today().toordinal())


def pytest_report_header() -> str:
    return f"conformance sweeps: {chosen_part()}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        # What one process of a framework computes for a whole module is computed by one worker.
        if item.get_closest_marker("xdist_group") is None and _shares_with_its_module(item):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    if hasattr(config, "workerinput"):
        # pytest-xdist hands out the largest groups first and then one test after the other: the short ones last, so
        # that both workers end at the same time.
        items.sort(key=lambda item: item.get_closest_marker("frameworks") is None)
    part = chosen_part()
    left_out = {item for item in items if item.get_closest_marker("sweep") and not part.has(item.nodeid)}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _shares_with_its_module(item: pytest.Item) -> bool:
    found = getattr(item, "_fixtureinfo", None)
    return found is not None and any(
        definition.scope == "module" for definitions in found.name2fixturedefs.values() for definition in definitions)


@pytest.fixture(scope="session", autouse=True)
def _kept_servers() -> Iterator[None]:
    """Workers take over the fork servers of those before them."""
    from tests.servers import kept_servers

    with kept_servers():
        yield


@pytest.fixture
def own_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test of the fork servers themselves: its workers begin and end theirs."""
    from harness.runner import connection, workers

    monkeypatch.setattr(workers, "Server", connection.Server)


@pytest.fixture(scope="module")
def chosen(request: pytest.FixtureRequest) -> Callable[[str], list[str]]:
    """chosen("name"): the values of that parameter in the tests of the module that this run takes, each once."""
    def values(parameter: str) -> list[str]:
        parameters = [getattr(getattr(item, "callspec", None), "params", {}) for item in request.session.items
                      if item.path == request.path]
        return list(dict.fromkeys(given[parameter] for given in parameters if parameter in given))

    return values
