"""Folders of WAV files, one subfolder per class: sounds of one length and one rate."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.sources.files import find
from harness.data.sources.folders import class_folders, folder_identity, listed, split_folders
from harness.data.vocabularies import Vocabulary
from harness.errors import DataError
from harness.spec.signal_sources import Audio


def read(source: Audio, base: Path | None) -> Raw:
    """x float32 [n, rate * seconds] in -1..1, y int64 [n]: the subfolders in the order of their names."""
    folders = split_folders(find(source.audio, base, "audio", folder=True))
    classes = class_folders(folders.values(), "audio")
    samples = round(source.rate * source.seconds)
    parts, cut = {}, 0
    for part, place in folders.items():
        files = [(path, label) for label, name in enumerate(classes) for path in listed(place / name)]
        if not files:
            raise DataError(f"{place} has no sound.", where="audio",
                            hint="Expected one subfolder of WAV files per class.")
        sounds = [read_wav(path, source.rate) for path, _ in files]
        cut += sum(len(sound) > samples for sound in sounds)
        parts[part] = Arrays({"x": np.stack([fitted(sound, samples) for sound in sounds])},
                             {"y": np.array([label for _, label in files], np.int64)})
    raw = Raw(parts["train"], parts.get("validation"), parts.get("test"), classes=len(classes), rate=source.rate)
    raw.vocabularies["y"] = Vocabulary(tuple(classes))
    raw.notes.append("Classes by folder: " + ", ".join(f"{i} = {name}" for i, name in enumerate(classes)) + ".")
    if cut:
        raw.notes.append(f"{cut} sounds are longer than {source.seconds:g} s and lose their end.")
    return raw


def identity(source: Audio, base: Path | None) -> dict[str, Any]:
    """One hash over every file's path and content."""
    return folder_identity(find(source.audio, base, "audio", folder=True))


def fitted(sound: np.ndarray, samples: int) -> np.ndarray:
    """The first so many samples, with silence behind a shorter sound."""
    return np.pad(sound[:samples], (0, max(0, samples - len(sound))))


def read_wav(path: Path, rate: int) -> np.ndarray:
    """float32 [samples] in -1..1 at `rate`; channels are averaged, other rates resampled by polyphase filtering
    (scipy.signal.resample_poly). Raises DataError if it is no WAV file or holds no sound."""
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # unknown chunks: a recorder's own remarks
            own, values = wavfile.read(path)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read as a WAV file ({error}).", where="audio",
                        hint="Move it out of the class folder, or convert it: ffmpeg -i FILE FILE.wav.") from None
    values = np.asarray(values)
    if values.dtype.kind == "f":
        sound = values.astype(np.float64)
    else:  # 8 bits are unsigned with the silence at 128; the others are signed
        middle, scale = (128, 128) if values.dtype == np.uint8 else (0, -float(np.iinfo(values.dtype).min))
        sound = (values.astype(np.float64) - middle) / scale
    sound = sound.mean(axis=1) if sound.ndim == 2 else sound
    if not len(sound) or not np.isfinite(sound).all():
        raise DataError(f"{path} holds {'no sound' if not len(sound) else 'values that are no numbers'}.",
                        where="audio", hint="Move it out of the class folder.")
    if own != rate:
        shared = int(np.gcd(own, rate))
        sound = resample_poly(sound, rate // shared, own // shared)
    return np.clip(sound, -1, 1).astype(np.float32)
