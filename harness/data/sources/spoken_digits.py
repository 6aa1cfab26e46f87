"""The digits spoken by espeak-ng (Debian's package), once, into the cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.sources.archive import cache_folder
from harness.data.sources.audio import fitted, read_wav
from harness.data.vocabularies import Vocabulary
from harness.errors import DataError, did_you_mean
from harness.spec.signal_sources import SpokenDigits

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
Utterance = tuple[str, str, int, int, int]  # voice, variant, speed, pitch, digit


def read(source: SpokenDigits, base: Path | None) -> Raw:
    """x float32 [n, rate * seconds], y int64 [n] or [n, words]; a test set of other variants if some are held out."""
    unknown = set(source.held_out) - set(source.variants)
    if unknown or (source.held_out and set(source.held_out) == set(source.variants)):
        raise DataError(f"held_out: expected some but not all of the variants, got {', '.join(source.held_out)}.",
                        where="spoken_digits", hint=did_you_mean(next(iter(unknown), ""), source.variants))
    utterances = list(product(source.voices, source.variants, source.speeds, source.pitches, range(10)))
    samples = round(source.rate * source.seconds)
    sounds = _spoken(source, utterances)
    y = np.array([digit for *_, digit in utterances], np.int64)
    if source.words > 1:
        sounds, y = _in_a_row(source, sounds)
    x = np.stack([fitted(sound, samples) for sound in sounds]).astype(np.float32) / 32767
    held = np.array([variant in source.held_out for _, variant, *_ in utterances])
    everything = Arrays({"x": x}, {"y": y})
    raw = Raw(everything, classes=10 + (source.words > 1), rate=source.rate)
    if held.any():
        raw.train, raw.test = everything.take(np.flatnonzero(~held)), everything.take(np.flatnonzero(held))
    raw.vocabularies["y"] = Vocabulary(DIGITS) if source.words == 1 else Vocabulary(("", *DIGITS), padding=0)
    longer = sum(len(sound) > samples for sound in sounds)
    raw.notes.append(f"Spoken by {_version()}; {longer} of {len(sounds)} sounds are longer than {source.seconds:g} s "
                     "and lose their end.")
    return raw


def _in_a_row(source: SpokenDigits, sounds: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """As many sounds as before, each of `words` digits by one speaker, and their labels from 1, [n, words].

    sounds: ten of each speaker after the other, in the digits' order.
    """
    digits = np.random.default_rng(source.seed).integers(0, 10, (len(sounds), source.words))
    speakers = np.arange(len(sounds)) // 10 * 10
    return [np.concatenate([sounds[speaker + digit] for digit in row])
            for speaker, row in zip(speakers, digits, strict=True)], digits.astype(np.int64) + 1


def identity(source: SpokenDigits, base: Path | None) -> dict[str, Any]:
    """The program's version stands for the content."""
    return {"espeak-ng": _version()}


def _program() -> str:
    program = shutil.which("espeak-ng")
    if program is None:
        raise DataError("the command espeak-ng is not installed.", where="spoken_digits",
                        hint="Install Debian's package espeak-ng (apt-get install espeak-ng), or give recordings of "
                             "your own: {audio: FOLDER}.")
    return program


def _version() -> str:
    done = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d[\w.-]*", done.stdout)
    return f"espeak-ng {found.group()}" if found else "espeak-ng"


def _spoken(source: SpokenDigits, utterances: list[Utterance]) -> list[np.ndarray]:
    """int16 at the source's rate, from the cache or spoken now."""
    key = {"version": _version(), "rate": source.rate, "voices": source.voices, "variants": source.variants,
           "speeds": source.speeds, "pitches": source.pitches}
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = cache_folder() / "spoken-digits" / f"{name}.npz"
    if not path.is_file():
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            sounds = list(pool.map(lambda utterance: _say(utterance, source.rate), utterances))
        _store(path, sounds)
    with np.load(path, allow_pickle=False) as archive:
        return np.split(archive["samples"], np.cumsum(archive["lengths"])[:-1])


def _say(utterance: Utterance, rate: int) -> np.ndarray:
    voice, variant, speed, pitch, digit = utterance
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        done = subprocess.run(
            [_program(), "-v", f"{voice}+{variant}", "-s", str(speed), "-p", str(pitch), "-z", "-w", str(path),
             DIGITS[digit]], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode or not path.is_file():
            raise DataError(f"espeak-ng cannot speak as {voice}+{variant}: {done.stderr.strip()}.",
                            where="spoken_digits", hint="`espeak-ng --voices=en` and `--voices=variant` list them.")
        return np.round(read_wav(path, rate) * 32767).astype(np.int16)


def _store(path: Path, sounds: list[np.ndarray]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        np.savez(file, allow_pickle=False, samples=np.concatenate(sounds), lengths=[len(sound) for sound in sounds])
    Path(file.name).replace(path)
