"""Sounds to log-mel spectra, by librosa (`pip install harness[audio]`)."""

from __future__ import annotations

import numpy as np

from harness.data.dataset import Raw
from harness.data.preparation import step_arrays
from harness.errors import DataError
from harness.spec import sequence_steps as spec

_FLOOR = 1e-10  # librosa.power_to_db's amin
_SOUNDS = 256  # at a time


def log_mel(raw: Raw, step: spec.LogMel, fitted_on: int) -> None:
    """[n, samples] to float32 [n, frames, mels], in decibels of power: -100 is silence."""
    where = "data: prepare: log_mel"
    try:
        import librosa
    except ImportError:
        raise DataError("the package librosa is not installed.", where=where,
                        hint="Install it: pip install 'harness[audio]' (or pip install librosa).") from None
    rate = step.rate or raw.rate
    if rate is None:
        raise DataError("the samples per second are not known.", where=where, hint="Give `rate`.")
    if step.fmax is not None and not step.fmin < step.fmax <= rate / 2:
        raise DataError(f"expected fmin < fmax <= {rate / 2:g} (half the rate), got {step.fmin:g} and {step.fmax:g}.",
                        where=where)
    for name in step_arrays(raw, step, "x"):
        for part, arrays in raw.parts().items():
            sounds = arrays.x[name]
            if sounds.ndim != 2 or sounds.dtype.kind not in "iuf":
                raise DataError(f"expected sounds [n, samples], got {sounds.dtype} {('n', *sounds.shape[1:])}.",
                                where=f"{where}: {part}")
            arrays.x[name] = np.concatenate([
                _spectra(librosa, sounds[start : start + _SOUNDS], rate, step)
                for start in range(0, len(sounds), _SOUNDS)])


def _spectra(librosa: object, sounds: np.ndarray, rate: int, step: spec.LogMel) -> np.ndarray:
    power = librosa.feature.melspectrogram(  # type: ignore[attr-defined]
        y=sounds.astype(np.float32), sr=rate, n_fft=step.n_fft, hop_length=step.hop_length, n_mels=step.n_mels,
        fmin=step.fmin, fmax=step.fmax)
    return np.ascontiguousarray((10 * np.log10(np.maximum(power, _FLOOR))).swapaxes(1, 2), dtype=np.float32)
