"""Who waits for whom: what is timed is alone, what is not may share."""

from __future__ import annotations

import pytest

from harness.runner.locks import FileLock


class Waited(Exception):  # noqa: N818
    pass


def refuse():
    raise Waited


@pytest.mark.parametrize(("first", "second", "waits"), [
    (True, True, False), (True, False, True), (False, True, True), (False, False, True),
])
def test_only_what_shares_runs_side_by_side(tmp_path, first, second, waits):
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    with one.held(shared=first):
        if waits:
            with pytest.raises(Waited), other.held(refuse, shared=second):
                pass
        else:
            with other.held(refuse, shared=second):
                pass
    with other.held(refuse, shared=second):
        pass
    one.close()
    other.close()


def test_a_shared_lock_becomes_exclusive_only_alone(tmp_path):
    """A run's cells share; its blocks, held by the same descriptor, do not."""
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    with other.held(shared=True):
        with one.held(shared=True):
            pass
        with pytest.raises(Waited), one.held(refuse):
            pass
    with one.held(refuse):
        pass
