"""Spectrograms in PyTorch.

Shape suffixes: N batch, T steps, C channels, F frequencies, W frame.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.weights import permuted
from harness.spec.layers import preprocessing_signals as spec
from harness.spec.layers.base import Shape


class STFTSpectrogram(nn.Module):
    """The Fourier transform of frames as convolutions of each channel; mode: what becomes of its two parts."""

    keras_weights = {"real_kernel": permuted("real_kernel", 2, 1, 0), "imag_kernel": permuted("imag_kernel", 2, 1, 0)}

    def __init__(
        self, mode: str, frame_length: int, step: int, frequencies: int, same: bool, expand_dims: bool
    ) -> None:
        super().__init__()
        self.mode = mode
        self.frame_length = frame_length
        self.step = step
        self.same = same
        self.expand_dims = expand_dims
        for side in ("real", "imag"):
            if mode != {"real": "imag", "imag": "real"}[side]:
                self.register_parameter(f"{side}_kernel", nn.Parameter(torch.zeros(frequencies, 1, frame_length)))

    def extra_repr(self) -> str:
        return f"{self.mode}, {self.frame_length}, step={self.step}"

    def part(self, x_NTC: torch.Tensor, side: str) -> torch.Tensor:
        """[N, C, F, T]: the "real" or the "imag" part."""
        kernel_F1W: torch.Tensor = getattr(self, f"{side}_kernel")
        count, steps, channels = x_NTC.shape
        signals = x_NTC.transpose(1, 2).reshape(count * channels, 1, steps)
        if self.same:
            total = max((-(-steps // self.step) - 1) * self.step + self.frame_length - steps, 0)
            signals = F.pad(signals, (total // 2, total - total // 2))
        y = F.conv1d(signals, kernel_F1W, stride=self.step)
        return y.reshape(count, channels, *y.shape[1:])

    def laid_out(self, y_NCFT: torch.Tensor) -> torch.Tensor:
        if self.expand_dims:
            return y_NCFT.permute(0, 3, 2, 1)
        return y_NCFT.flatten(1, 2).transpose(1, 2)

    def forward(self, x_NTC: torch.Tensor) -> torch.Tensor:
        if self.mode in ("real", "imag"):
            return self.laid_out(self.part(x_NTC, self.mode))
        real, imag = self.part(x_NTC, "real"), self.part(x_NTC, "imag")
        if self.mode == "angle":
            return self.laid_out(torch.atan2(imag, real))
        if self.mode == "stft":
            return self.laid_out(torch.cat([real, imag], 2))
        power = real.square() + imag.square()
        if self.mode == "psd":
            return self.laid_out(power + F.pad(power[:, :, 1:-1], (0, 0, 1, 1)))
        # keras.config.epsilon() is 1e-7.
        magnitude = self.laid_out(torch.sqrt(floored(power, 1e-7)))
        return magnitude if self.mode == "magnitude" else torch.log(floored(magnitude, 1e-7))


def floored(x: torch.Tensor, least: float) -> torch.Tensor:
    """max(x, least)."""
    return torch.maximum(x, torch.full((), least, dtype=x.dtype, device=x.device))


def mel(frequency: torch.Tensor) -> torch.Tensor:
    """Hertz on the mel scale."""
    return 1127.0 * torch.log(1.0 + frequency / 700.0)


def mel_matrix(bins: int, frequencies: int, sampling_rate: int, low: float, high: float) -> torch.Tensor:
    """float32 [frequencies, bins]: triangles that overlap, on the mel scale."""
    places = mel(torch.linspace(0.0, sampling_rate / 2.0, frequencies)[1:])[:, None]
    first, last = mel(torch.tensor(float(low))), mel(torch.tensor(float(high)))
    edges = torch.linspace(float(first), float(last), bins + 2)
    below, middle, above = edges[:-2], edges[1:-1], edges[2:]
    rising = (places - below) / (middle - below)
    falling = (above - places) / (above - middle)
    return F.pad(torch.minimum(rising, falling).clamp_min(0.0), (0, 0, 1, 0))


class MelSpectrogram(nn.Module):
    """The power of frames in bands of the mel scale; in float32.

    decibels: (reference power, smallest power, range below the largest), or None for the power itself.
    """

    window: torch.Tensor
    matrix: torch.Tensor

    def __init__(
        self, fft_length: int, stride: int, frame: int, window: str | tuple[float, ...] | None, sampling_rate: int,
        bins: int, frequencies: tuple[float, float], exponent: float, decibels: tuple[float, float, float] | None,
    ) -> None:
        super().__init__()
        self.fft_length, self.stride = fft_length, stride
        self.exponent = exponent
        self.decibels = decibels
        if isinstance(window, str):
            share = {"hann": 0.5, "hamming": 0.54}[window]
            place = torch.arange(frame, dtype=torch.float64) * (2.0 * math.pi / frame)
            values = share - (1.0 - share) * torch.cos(place)
        else:
            values = torch.ones(frame) if window is None else torch.tensor(window)
        before = (fft_length - frame) // 2
        if window is None:
            before, values = 0, torch.ones(fft_length)
        values = F.pad(values.to(torch.float32), (before, fft_length - len(values) - before))
        self.register_buffer("window", values, persistent=False)
        self.register_buffer("matrix", mel_matrix(bins, fft_length // 2 + 1, sampling_rate, *frequencies),
                             persistent=False)

    def forward(self, x_NT: torch.Tensor) -> torch.Tensor:
        single = x_NT.to(torch.float32)
        margin = self.fft_length // 2
        padded = F.pad(single[:, None], (margin, margin), mode="reflect").squeeze(1)
        frames_NTW = padded.unfold(-1, self.fft_length, self.stride) * self.window.to(torch.float32)
        spectrum = torch.fft.rfft(frames_NTW)
        magnitude = torch.sqrt(spectrum.real.square() + spectrum.imag.square())
        y_NTF = magnitude**self.exponent @ self.matrix.to(torch.float32)
        if self.decibels is not None:
            reference, least, below = self.decibels
            y_NTF = 10.0 * torch.log10(floored(y_NTF, least)) - 10.0 * math.log10(max(abs(reference), least))
            y_NTF = torch.maximum(y_NTF, y_NTF.amax() - below)
        return y_NTF.transpose(1, 2).to(x_NT.dtype)


def build_stft(layer: spec.STFTSpectrogram, *shapes: Shape) -> nn.Module:
    return STFTSpectrogram(layer.mode, layer.frame_length, layer.step, layer.frequencies, layer.padding == "same",
                           layer.expand_dims)


def build_mel(layer: spec.MelSpectrogram, *shapes: Shape) -> nn.Module:
    decibels = (layer.ref_power, layer.min_power, layer.top_db) if layer.power_to_db else None
    return MelSpectrogram(layer.fft_length, layer.sequence_stride, layer.frame, layer.window, layer.sampling_rate,
                          layer.num_mel_bins, (layer.min_freq, layer.highest), layer.mag_exp, decibels)


BUILDERS = {spec.STFTSpectrogram: build_stft, spec.MelSpectrogram: build_mel}
