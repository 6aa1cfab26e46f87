"""Convolutions and pooling as operations, transforms and images in PyTorch (keras/src/ops/nn.py, math.py, image.py).

Tensors come and go with the channels last. Shape suffixes: N batch, S space, C channels in, F filters out.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from harness.backends.pytorch.layers.operations import Operation
from harness.backends.pytorch.layers.pooling import Pooling
from harness.backends.pytorch.layers.windows import Windows, convolve


class Pool(Operation):
    """The maximum or the mean of every window."""

    def __init__(self, windows: Windows, maximum: bool, steps: bool) -> None:
        super().__init__()
        self.pooling = Pooling(windows, maximum, steps)

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.pooling(x)
        return y


def convolved(x_NSC: torch.Tensor, kernel_SCF: torch.Tensor, windows: Windows, groups: int) -> torch.Tensor:
    """A convolution with Keras's kernel; steps run as images of height 1."""
    weight_FCS = kernel_SCF.movedim((-1, -2), (0, 1))
    x_NCS = x_NSC.movedim(-1, 1)
    if x_NCS.dim() > 3:
        return convolve(x_NCS, weight_FCS, None, windows, groups).movedim(1, -1)
    return convolve(x_NCS.unsqueeze(2), weight_FCS.unsqueeze(2), None, windows, groups).squeeze(2).movedim(1, -1)


def depthwise_kernel(kernel_SCM: torch.Tensor) -> torch.Tensor:
    """(space, channels, multiplier) as the kernel of a convolution in groups: (space, 1, channels * multiplier)."""
    return kernel_SCM.flatten(-2).unsqueeze(-2)


class Conv(Operation):
    """A convolution whose kernel is a tensor; depthwise: each channel with kernels of its own."""

    def __init__(self, windows: Windows, depthwise: bool = False, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.windows, self.depthwise = windows, depthwise

    def compute(self, x_NSC: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        if self.depthwise:
            return convolved(x_NSC, depthwise_kernel(kernel), self.windows, x_NSC.shape[-1])
        return convolved(x_NSC, kernel, self.windows, x_NSC.shape[-1] // kernel.shape[-2])


class SeparableConv(Operation):
    def __init__(self, windows: Windows, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.windows = windows

    def compute(self, x_NSC: torch.Tensor, depthwise: torch.Tensor, pointwise: torch.Tensor) -> torch.Tensor:
        y_NSC = convolved(x_NSC, depthwise_kernel(depthwise), self.windows, x_NSC.shape[-1])
        return y_NSC @ pointwise.reshape(pointwise.shape[-2:])


class SpaceToDepth(Operation):
    """Blocks of places become channels."""

    def __init__(self, block_size: int) -> None:
        super().__init__()
        self.block = block_size

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        number, height, width, channels = x.shape
        block = self.block
        x = x.reshape(number, height // block, block, width // block, block, channels).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(number, height // block, width // block, block * block * channels)


class DepthToSpace(Operation):
    """Channels become blocks of places."""

    def __init__(self, block_size: int) -> None:
        super().__init__()
        self.block = block_size

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        number, height, width, channels = x.shape
        block = self.block
        x = x.reshape(number, height, width, block, block, channels // block**2).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(number, height * block, width * block, channels // block**2)


class Fourier(Operation):
    """A transform of (real, imaginary) over the last axis or the last two ("fft", "fft2", "ifft2")."""

    def __init__(self, function: str, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.function = function

    def compute(self, real: torch.Tensor, imaginary: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = getattr(torch.fft, self.function)(torch.complex(real, imaginary))
        return y.real, y.imag


class RealFourier(Operation):
    """The transform of real values, as (real, imaginary)."""

    def __init__(self, fft_length: int | None = None) -> None:
        super().__init__()
        self.length = fft_length

    def compute(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.fft.rfft(x, self.length)
        return y.real, y.imag


class InverseRealFourier(Operation):
    def __init__(self, fft_length: int | None = None, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.length = fft_length

    def compute(self, real: torch.Tensor, imaginary: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft(torch.complex(real, imaginary), self.length)


class ExtractSequences(Operation):
    """Windows over the last axis."""

    def __init__(self, sequence_length: int, sequence_stride: int) -> None:
        super().__init__()
        self.length, self.stride = sequence_length, sequence_stride

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return x.unfold(-1, self.length, self.stride)


class Resize(Operation):
    """rows, columns: what becomes of each axis of space, as a matrix (new places, old places)."""

    rows: torch.Tensor
    columns: torch.Tensor

    def __init__(self, rows: Any, columns: Any) -> None:
        super().__init__()
        for name, values in (("rows", rows), ("columns", columns)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64), persistent=False)

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        x = self.floating(x)
        return torch.einsum("ih,...hwc,jw->...ijc", self.rows.to(x.dtype), x, self.columns.to(x.dtype))


class ResizeNearest(Operation):
    """The value of the nearest place; rows, columns: which one."""

    def __init__(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        x = x.index_select(-3, torch.tensor(self.rows, device=x.device))
        return x.index_select(-2, torch.tensor(self.columns, device=x.device))


class Margins(Operation):
    """Zeros around (positive) or cuts from (negative) height and width: F.pad does both."""

    def __init__(self, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        super().__init__()
        self.pad = (0, 0, *columns, *rows)

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x, self.pad)


class Grayscale(Operation):
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.floating(x)
        weights = torch.tensor((0.2989, 0.5870, 0.1140), dtype=wide.dtype, device=x.device)
        return (wide @ weights).unsqueeze(-1).to(x.dtype)


class ExtractPatches(Operation):
    """Every window's values, in the order (row, column, channel), as channels."""

    def __init__(self, windows: Windows) -> None:
        super().__init__()
        self.windows = windows

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        channels, places = x.shape[-1], math.prod(self.windows.kernel)
        kernel = torch.eye(places * channels, dtype=x.dtype, device=x.device)
        return convolved(x, kernel.reshape(*self.windows.kernel, channels, places * channels), self.windows, 1)


class SobelEdges(Operation):
    """The changes along height and width, over borders that are mirrored."""

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        rise = torch.tensor(((-1.0, -2.0, -1.0), (0.0, 0.0, 0.0), (1.0, 2.0, 1.0)), dtype=x.dtype, device=x.device)
        number, height, width, channels = x.shape
        x_NCHW = x.movedim(-1, 1).reshape(number * channels, 1, height, width)
        kernels = torch.stack((rise, rise.T)).unsqueeze(1)
        y = F.conv2d(F.pad(x_NCHW, (1, 1, 1, 1), mode="reflect"), kernels)
        return y.reshape(number, channels, 2, height, width).permute(0, 3, 4, 1, 2)


BUILDERS: dict[str, tuple[type[Operation], dict[str, Any]]] = {
    "fft": (Fourier, {"function": "fft"}), "fft2": (Fourier, {"function": "fft2"}),
    "ifft2": (Fourier, {"function": "ifft2"}), "rfft": (RealFourier, {}), "irfft": (InverseRealFourier, {}),
    "extract_sequences": (ExtractSequences, {}),
}
