"""Paths: found from the base folder, refused outside of it."""

import numpy as np
import pytest

from harness.data import identity, load
from harness.errors import DataError


@pytest.fixture
def base(tmp_path):
    inside = tmp_path / "project"
    (inside / "data").mkdir(parents=True)
    arrays = {"x": np.arange(40.0).reshape(20, 2), "y": np.arange(20) % 2}
    np.savez(inside / "data" / "mine.npz", **arrays)
    np.savez(tmp_path / "outside.npz", **arrays)
    return inside


def test_relative_to_the_base_or_absolute(base):
    relative = load({"npz": "data/mine.npz"}, base=base)
    assert load({"npz": str(base / "data/mine.npz")}).fingerprint == relative.fingerprint
    assert load({"npz": "data/../data/mine.npz"}, base=base).fingerprint == relative.fingerprint
    assert load({"npz": str(base.parent / "outside.npz")}, base=base).fingerprint == relative.fingerprint


@pytest.mark.parametrize("path", ["../outside.npz", "data/../../outside.npz", "./../project/../outside.npz"])
@pytest.mark.parametrize("read", [load, identity])
def test_leaving_the_base_is_refused(base, path, read):
    with pytest.raises(DataError, match=r"data: npz: .*leads outside the folder.*absolute"):
        read({"npz": path}, base=base)


def test_missing_files_name_the_nearest(base):
    with pytest.raises(DataError, match=r"there is no file .*min\.npz.* Did you mean 'mine\.npz'\?"):
        load({"npz": "data/min.npz"}, base=base)
    with pytest.raises(DataError, match="there is no folder"):
        load({"images": "photos"}, base=base)
    with pytest.raises(DataError, match="expected a file, got a folder"):
        load({"npz": "data"}, base=base)
    with pytest.raises(DataError, match="expected a folder, got a file"):
        load({"images": "data/mine.npz"}, base=base)
    with pytest.raises(DataError, match="there is no file"):
        load({"npz": "data/mine\0.npz"}, base=base)
