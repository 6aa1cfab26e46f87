"""Reads arrays from HDF5 files that somebody else made: no links, no other files, no code, no more than is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from harness.errors import SpecError

# HDF5 would load a plugin for any other filter: deflate, shuffle, fletcher32.
FILTERS = (1, 2, 3)
MOST_OBJECTS = 200_000
# A packed dataset may be this many times larger than its bytes in the file, or this large.
MOST_EXPANSION, LARGE = 200, 2**20
SMALL = 2**26


@contextmanager
def open_hdf5(file: Path | BinaryIO, where: str) -> Iterator[Any]:
    """The open file. Raises SpecError for what is no HDF5 file, or a damaged one."""
    try:
        with _opened(file) as opened:
            yield opened
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"this is no readable HDF5 file ({' '.join(str(error).split())[:200]}).", where=where,
                        hint="It may be truncated.") from None


def _opened(file: Path | BinaryIO) -> Any:
    """The file of HDF5's library. One within another is read whole where it is small: HDF5 would call Python for each
    of its bytes, and calls it once more at the end of the process, when there is no Python left, for a file that it
    could not open."""
    import h5py

    if isinstance(file, Path):
        return h5py.File(file, "r")
    image = file.read(SMALL + 1)
    if 0 < len(image) <= SMALL:
        return h5py.File.in_memory(image)
    file.seek(0)
    return h5py.File(file, "r")


def item_at(root: Any, path: str, where: str) -> Any | None:
    """The group or dataset at a path, None if there is none. Raises SpecError where a link stands in the way."""
    import h5py

    found = root
    for name in path.split("/"):
        if not isinstance(found, h5py.Group) or name not in found:
            return None
        if not isinstance(found.get(name, getlink=True), h5py.HardLink):
            raise SpecError(f"{path!r} is reached by a link, which may lead out of the file.", where=where,
                            hint="Keras writes no links; the file was made or changed by something else.")
        found = found[name]
    return found


def datasets(root: Any, where: str) -> list[str]:
    """The paths of all datasets below a group. Raises SpecError for links, groups in a circle and too many objects."""
    import h5py

    paths: list[str] = []
    seen: set[Any] = set()
    waiting: list[tuple[str, Any]] = [("", root)]
    while waiting:
        prefix, group = waiting.pop()
        info = h5py.h5o.get_info(group.id)
        if (info.fileno, info.addr) in seen:
            raise SpecError(f"the group {prefix!r} stands in the file more than once.", where=where)
        seen.add((info.fileno, info.addr))
        for name in group:
            path = f"{prefix}/{name}" if prefix else name
            found = item_at(group, name, where) if "/" not in name else None
            if isinstance(found, h5py.Group):
                waiting.append((path, found))
            else:
                paths.append(path)
            if len(paths) + len(seen) + len(waiting) > MOST_OBJECTS:
                raise SpecError(f"the file has more than {MOST_OBJECTS:,} objects.", where=where)
    return sorted(paths)


def read_array(dataset: Any, where: str) -> np.ndarray:
    """A dataset's numbers, exactly. Raises SpecError unless they lie in this file and are numbers.

    bfloat16, which Keras marks by an attribute, comes as float32.
    """
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise SpecError("expected an array, found a group.", where=where)
    if dataset.is_virtual or dataset.external:
        raise SpecError("its numbers lie in another file, which is not read.", where=where)
    if dataset.shape is None:
        raise SpecError("the array is empty.", where=where)
    mark = dataset.attrs.get("dtype")
    half = mark in ("bfloat16", b"bfloat16") and dataset.dtype.itemsize == 2
    if dataset.dtype.kind not in "fiub" and not half:
        raise SpecError(f"expected numbers, found {dataset.dtype}.", where=where)
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]
    if any(item not in FILTERS for item in filters):
        raise SpecError("the array is packed by a filter that would have to be loaded.", where=where)
    stored = dataset.id.get_storage_size()
    most = max(LARGE, MOST_EXPANSION * stored) if filters or dataset.chunks else stored
    if dataset.nbytes > most:
        raise SpecError(f"the array of shape {dataset.shape} would be {dataset.nbytes:,} bytes, and the file holds "
                        f"{stored:,} of them.", where=where)
    array = np.asarray(dataset[()])
    if half:
        whole = np.frombuffer(array.tobytes(), np.uint16).astype(np.uint32) << 16
        return np.asarray(whole.view(np.float32)).reshape(array.shape)
    return array
