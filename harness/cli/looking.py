"""What `harness init` sees in a user's own data: what must be said of it in the experiment for it to load."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    import pandas

ROWS, IMAGES = 10_000, 500
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")


@dataclass(frozen=True)
class Seen:
    """source: what to add to the description. missing: what to do about missing values. quantity: whether the
    target is one (None: not looked at)."""

    source: dict[str, Any] = field(default_factory=dict)
    missing: str | None = None
    quantity: bool | None = None


def look(source: Any, folder: Path) -> Seen:
    """Raises SpecError for a table without the target column. What cannot be read is left to `harness plan`."""
    if source == "diabetes":
        return Seen(quantity=True)
    if not isinstance(source, dict):
        return Seen()
    kind = next(iter(source))
    path = folder / source[kind]
    try:
        if kind in ("csv", "parquet"):
            return _table(path, source["target"])
        return _archive(path) if kind == "npz" else _images(path)
    except (OSError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        return Seen()


def _table(path: Path, target: str) -> Seen:
    import numpy as np
    import pandas

    source: dict[str, Any] = {}
    if path.suffix == ".parquet":
        frame = pandas.read_parquet(path)
    else:
        with path.open(encoding="utf-8") as file:
            header = file.readline()
        separator = next((mark for mark in ";\t" if mark in header and "," not in header), ",")
        source |= {"separator": separator} if separator != "," else {}
        frame = pandas.read_csv(path, sep=separator, nrows=ROWS, skipinitialspace=True)
    if target not in frame.columns:
        raise SpecError(f"there is no column {target!r}.", where=path.name, hint=did_you_mean(target, frame.columns))
    features = [name for name in frame.columns if name != target]
    text = [str(name) for name in features if not _numeric(frame[name])]
    source |= {"categorical": text} if text else {}
    numbers = frame[[name for name in features if str(name) not in text]]
    gaps = bool(frame[target].isna().any())
    missing = "drop" if gaps else "median" if numbers.isna().to_numpy().any() else None
    values = frame[target].dropna().to_numpy()
    # Whole numbers with gaps are floats to pandas, and classes to the harness.
    return Seen(source, missing, values.dtype.kind == "f" and not (gaps and bool(np.all(values == np.floor(values)))))


def _numeric(column: pandas.Series[Any]) -> bool:
    return column.dtype.kind in "biuf"


def _archive(path: Path) -> Seen:
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        name = next((name for name in ("y", "y_train") if name in archive.files), None)
        return Seen() if name is None else Seen(quantity=archive[name].dtype.kind == "f" and archive[name].ndim < 2)


def _images(path: Path) -> Seen:
    from PIL import Image

    sizes: Counter[tuple[int, int]] = Counter()
    files = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in PICTURES]
    for file in files[:: max(1, len(files) // IMAGES)]:
        with Image.open(file) as image:
            sizes[image.size] += 1
    if len(sizes) < 2:
        return Seen(quantity=False)
    width, height = sizes.most_common(1)[0][0]
    return Seen({"size": [height, width]}, quantity=False)
