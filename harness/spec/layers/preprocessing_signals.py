"""Layers from signals to spectrograms (keras/src/layers/preprocessing)."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from harness.errors import SpecError
from harness.spec.initializers import STFT
from harness.spec.layers.base import Layer, Shape, Weight, known, require_rank
from harness.spec.layers.preprocessing_categories import plain_list


def _last(value: Any) -> Any:
    if value == "channels_first":
        raise SpecError("TensorFlow has no convolution of channels first on a CPU.", hint="Put the channels last.")
    return "channels_last" if value is None else value


class STFTSpectrogram(Layer):
    """The short-time Fourier transform of each channel of (batch, steps, channels), as convolutions whose kernels are
    weights (trainable ones, unless trainable=False).

    expand_dims: (batch, time, frequencies, channels) instead of (batch, time, channels * frequencies).
    """

    mode: Literal["log", "magnitude", "psd", "real", "imag", "angle", "stft"] = "log"
    frame_length: int = Field(default=256, gt=1)
    frame_step: int | None = Field(default=None, gt=0)
    fft_length: int | None = None
    window: str | tuple[float, ...] | None = "hann"
    periodic: bool = False
    scaling: Literal["density", "spectrum"] | None = "density"
    padding: Literal["valid", "same"] = "valid"
    expand_dims: bool = False
    data_format: Annotated[Literal["channels_last"], BeforeValidator(_last)] = "channels_last"

    _list = field_validator("window", mode="before")(plain_list)

    @model_validator(mode="after")
    def _check(self) -> STFTSpectrogram:
        if self.frame_step is not None and self.frame_step > self.frame_length:
            raise SpecError(f"frame_step may not be above frame_length={self.frame_length}, got {self.frame_step}.")
        if self.fft_length is not None and self.fft_length < self.frame_length:
            raise SpecError(f"fft_length may not be below frame_length={self.frame_length}, got {self.fft_length}.")
        if isinstance(self.window, tuple) and len(self.window) != self.frame_length:
            raise SpecError(f"window needs frame_length={self.frame_length} numbers, got {len(self.window)}.")
        return self

    @property
    def step(self) -> int:
        return self.frame_step or self.frame_length // 2

    @property
    def frequencies(self) -> int:
        length = self.fft_length or 2 ** math.ceil(math.log2(self.frame_length))
        return length // 2 + 1

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 3, "(batch, steps, channels)")
        batch, steps, channels = shapes[0]
        if steps is None:
            frames = None
        else:
            frames = -(-steps // self.step) if self.padding == "same" else (steps - self.frame_length) // self.step + 1
        count = self.frequencies * (2 if self.mode == "stft" else 1)
        channels = known(channels, self, "the number of channels")
        return (batch, frames, count, channels) if self.expand_dims else (batch, frames, channels * count)

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        shape = (self.frame_length, 1, self.frequencies)
        sides: tuple[Literal["real", "imag"], ...] = tuple(
            side for side in ("real", "imag") if self.mode != {"real": "imag", "imag": "real"}[side])
        return tuple(
            Weight(f"{side}_kernel", shape,
                   STFT(side=side, window=self.window, scaling=self.scaling, periodic=self.periodic))
            for side in sides)


class MelSpectrogram(Layer):
    """(batch, samples) to (batch, mel bins, time): the Fourier transform's power in bands of the mel scale, in decibels
    where power_to_db. Computed in float32: Keras 3.15's layer does not run in float64."""

    fft_length: int = Field(default=2048, gt=1)
    sequence_stride: int = Field(default=512, gt=0)
    sequence_length: int | None = None
    window: Literal["hann", "hamming"] | tuple[float, ...] | None = "hann"
    sampling_rate: int = Field(default=16000, gt=0)
    num_mel_bins: int = Field(default=128, gt=0)
    min_freq: float = 20.0
    max_freq: float | None = None
    power_to_db: bool = True
    top_db: float = 80.0
    mag_exp: float = 2.0
    min_power: float = 1e-10
    ref_power: float = 1.0

    _list = field_validator("window", mode="before")(plain_list)

    @model_validator(mode="after")
    def _check(self) -> MelSpectrogram:
        if self.frame > self.fft_length:
            raise SpecError(f"sequence_length may not be above fft_length={self.fft_length}, got {self.frame}.")
        if isinstance(self.window, tuple) and len(self.window) != self.frame:
            raise SpecError(f"window needs {self.frame} numbers, got {len(self.window)}.")
        return self

    @property
    def frame(self) -> int:
        return self.sequence_length or self.fft_length

    @property
    def highest(self) -> float:
        return self.max_freq or int(self.sampling_rate / 2)

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 2, "(batch, samples)")
        batch, samples = shapes[0]
        if samples is not None and samples <= self.fft_length // 2:
            raise SpecError(f"MelSpectrogram: fft_length={self.fft_length} needs more than {self.fft_length // 2} "
                            f"samples, got {samples}.")
        padded = None if samples is None else samples + self.fft_length // 2 * 2 - self.fft_length
        return (batch, self.num_mel_bins, None if padded is None else padded // self.sequence_stride + 1)


LAYERS = (STFTSpectrogram, MelSpectrogram)
