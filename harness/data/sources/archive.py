"""Published archives: Keras's own cache folder, and downloading into it as keras.datasets does."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from harness.errors import DataError

TIMEOUT_SECONDS = 30


def cache_folder() -> Path:
    """The folder of keras.utils.get_file: $KERAS_HOME/datasets, ~/.keras/datasets without it."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets"


def verified(path: Path, sha256: str) -> Path:
    """The path, if its content has that hash. Raises DataError if not."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise DataError(
            f"{path} is not the published file: sha256 {found[:12]}..., expected {sha256[:12]}....",
            hint="Remove it, so that it is fetched again.",
        )
    return path


def download(url: str, path: Path, sha256: str | None, looked: Iterable[Path], hint: str) -> Path:
    """Fetches `url` to `path`, whole or not at all. Raises DataError that lists the places looked at."""
    import urllib.request

    folder_existed = path.parent.is_dir()
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=path.name, suffix=".part", delete=False
        ) as file:
            partial = Path(file.name)
            with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
                shutil.copyfileobj(answer, file)
                _complete(url, answer.headers.get("Content-Length"), file.tell())
        if sha256:
            verified(partial, sha256)
        return partial.replace(path)
    except OSError as error:
        places = ", ".join(str(place) for place in looked)
        reason = getattr(error, "reason", error)
        raise DataError(
            f"not found in {places}, and {url} cannot be fetched ({reason}).", hint=hint
        ) from None
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
        if not folder_existed and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _complete(url: str, promised: str | None, received: int) -> None:
    if promised is not None and int(promised) != received:
        raise OSError(f"{received} of {promised} bytes came")
