"""What stands in for data that comes with one of Debian's packages, or from a network, where there is none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.sources.wordnet import DEBIAN_WORDNET
from tests.data.test_sounds import SPEAKER

WORDS = ("light", "darkness", "water", "earth", "day", "night", "heaven", "good", "great", "called", "made", "made of")
CATEGORIES = 26


def speaker(folder: Path) -> str:
    """A PATH with a command espeak-ng: this machine's own, or one in `folder` that says every word as its length."""
    path = os.environ.get("PATH", "")
    if shutil.which("espeak-ng"):
        return path
    program = folder / "espeak-ng"
    program.write_text(SPEAKER)
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{path}"


def stand_in(source: Any, folder: Path) -> Any:
    """The source itself where its data is at hand."""
    kind = source if isinstance(source, str) else next(iter(source), None)
    arguments = {} if isinstance(source, str) else source.get(kind) or {}
    if kind == "wordnet" and not (DEBIAN_WORDNET / "data.noun").is_file():
        return {"wordnet": {**arguments, "folder": str(_glosses(folder))}}
    if kind == "king_james_bible" and not shutil.which("bible"):
        return {"text_file": str(_verses(folder))}
    if kind == "imdb":
        return {"npz": str(_reviews(folder, arguments))}
    return source


def _glosses(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for part in ("noun", "verb", "adj", "adv"):
        lines = [f"{place:08} {3 + place % CATEGORIES:02} n 01 thing 0 001 @ 00001740 n 0000 | {place} {_text(rng)}  \n"
                 for place in range(600)]
        (folder / f"data.{part}").write_text("".join(lines))
    return folder


def _verses(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    path = folder / "verses.txt"
    path.write_text("\n".join(_text(rng) for _ in range(600)))
    return path


def _text(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS, 25))


def _reviews(folder: Path, arguments: dict[str, Any]) -> Path:
    rng = np.random.default_rng(0)
    path = folder / "reviews.npz"
    np.savez(path, x=rng.integers(4, arguments["num_words"], (600, arguments["maxlen"])).astype("int32"),
             y=rng.integers(0, 2, 600))
    return path
