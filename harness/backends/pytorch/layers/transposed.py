"""Transposed convolutions in PyTorch: F.conv_transpose2d and F.conv_transpose3d, cut to Keras's size.

Tensors come and go with the channels last; steps run as images of height 1, as in convolutional.py.
Shape suffixes: N batch, S any number of dimensions of space, C channels in, F filters out.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.activations import activation_function
from harness.backends.pytorch.layers.convolutional import channels_of
from harness.backends.pytorch.weights import permuted, same
from harness.spec.layers import transposed as spec
from harness.spec.layers.base import Shape
from harness.spec.layers.spatial import Sizes
from harness.spec.layers.transposed import transposed_length

Spec = spec.Conv1DTranspose | spec.Conv2DTranspose | spec.Conv3DTranspose


class ConvTranspose(nn.Module):
    """Conv1DTranspose, Conv2DTranspose or Conv3DTranspose.

    torch makes (n - 1) * stride + kernel values; Keras keeps the middle of them with padding "same" (the odd one
    is cut after), and puts zeros behind where its size is larger. The bias comes last.
    """

    def __init__(
        self, inputs: int, filters: int, kernel: Sizes, strides: Sizes, padding: str = "valid",
        output_padding: Sizes | None = None, bias: bool = True, activation: str | None = None,
    ) -> None:
        super().__init__()
        self.kernel, self.strides, self.padding, self.output_padding = kernel, strides, padding, output_padding
        self.weight = nn.Parameter(torch.empty(inputs, filters, *kernel))
        self.bias = nn.Parameter(torch.empty(filters)) if bias else None
        self.activation = activation_function(activation)

    def extra_repr(self) -> str:
        return (f"{self.weight.shape[0]}, {self.weight.shape[1]}, kernel={self.kernel}, strides={self.strides}, "
                f"padding={self.padding!r}, output_padding={self.output_padding}")

    def pre_activation(self, x_NSC: torch.Tensor) -> torch.Tensor:
        x_NCS = x_NSC.movedim(-1, 1)
        weight: torch.Tensor = self.weight
        cuts = self._cuts(tuple(x_NCS.shape[2:]))
        strides = self.strides
        if len(strides) == 1:
            x_NCS, weight = x_NCS.unsqueeze(2), weight.unsqueeze(2)
            cuts, strides = [(0, 0), *cuts], (1, *strides)
        operation = F.conv_transpose2d if len(strides) == 2 else F.conv_transpose3d
        if all(before == after for before, after in cuts):
            # As many values cut at both ends: torch does that by itself.
            y_NFS = operation(x_NCS, weight, self.bias, strides, [before for before, _ in cuts])
        else:
            # F.pad cuts where it is given negative numbers, and counts from the last dimension.
            pad = [-number for pair in reversed(cuts) for number in pair]
            y_NFS = F.pad(operation(x_NCS, weight, None, strides), pad)
            if self.bias is not None:
                y_NFS = y_NFS + self.bias.reshape(-1, *(1,) * len(strides))
        return (y_NFS if len(self.strides) > 1 else y_NFS.squeeze(2)).movedim(1, -1)

    def _cuts(self, sizes: Sizes) -> list[tuple[int, int]]:
        """How many values go (before, after) in every dimension; negative: zeros are put there."""
        cuts = []
        extras = self.output_padding or (None,) * len(sizes)
        for size, kernel, stride, extra in zip(sizes, self.kernel, self.strides, extras, strict=True):
            total = (size - 1) * stride + kernel - transposed_length(size, kernel, stride, self.padding, extra)
            cuts.append((max(total, 0) // 2, total - max(total, 0) // 2))
        return cuts

    def forward(self, x_NSC: torch.Tensor) -> torch.Tensor:
        y_NSF = self.pre_activation(x_NSC)
        return y_NSF if self.activation is None else self.activation(y_NSF)


def build_transposed(layer: Spec, *shapes: Shape) -> nn.Module:
    rank = len(layer.kernel_size)
    module = ConvTranspose(channels_of(shapes[0]), layer.filters, layer.kernel_size, layer.strides, layer.padding,
                           layer.output_padding, layer.use_bias, layer.activation)
    kernel = permuted("weight", rank + 1, rank, *range(rank))
    module.keras_weights = {"kernel": kernel, "bias": same("bias")}  # type: ignore[assignment]
    return module


BUILDERS = {
    spec.Conv1DTranspose: build_transposed,
    spec.Conv2DTranspose: build_transposed,
    spec.Conv3DTranspose: build_transposed,
}
