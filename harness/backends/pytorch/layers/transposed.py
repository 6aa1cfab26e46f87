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

Spec = spec.Conv1DTranspose | spec.Conv2DTranspose | spec.Conv3DTranspose


class ConvTranspose(nn.Module):
    """Conv1DTranspose, Conv2DTranspose or Conv3DTranspose.

    torch makes (n - 1) * stride + kernel values; Keras keeps the middle of them with padding "same" (the odd one
    is cut after), and puts zeros behind where its size is larger. The bias comes last.
    """

    def __init__(self, layer: Spec, inputs: int) -> None:
        super().__init__()
        self.layer = layer
        rank = len(layer.kernel_size)
        self.weight = nn.Parameter(torch.empty(inputs, layer.filters, *layer.kernel_size))
        self.bias = nn.Parameter(torch.empty(layer.filters)) if layer.use_bias else None
        self.activation = activation_function(layer.activation)
        self.keras_weights = {"kernel": permuted("weight", rank + 1, rank, *range(rank)), "bias": same("bias")}

    def extra_repr(self) -> str:
        return repr(self.layer)

    def pre_activation(self, x_NSC: torch.Tensor) -> torch.Tensor:
        x_NCS = x_NSC.movedim(-1, 1)
        weight: torch.Tensor = self.weight
        cuts = self._cuts(tuple(x_NCS.shape[2:]))
        strides: Sizes = self.layer.strides
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
        return (y_NFS if len(self.layer.strides) > 1 else y_NFS.squeeze(2)).movedim(1, -1)

    def _cuts(self, sizes: Sizes) -> list[tuple[int, int]]:
        """How many values go (before, after) in every dimension; negative: zeros are put there."""
        cuts = []
        for size, out, kernel, stride in zip(sizes, self.layer.output_lengths(sizes), self.layer.kernel_size,
                                             self.layer.strides, strict=True):
            assert out is not None
            total = (size - 1) * stride + kernel - out
            cuts.append((max(total, 0) // 2, total - max(total, 0) // 2))
        return cuts

    def forward(self, x_NSC: torch.Tensor) -> torch.Tensor:
        y_NSF = self.pre_activation(x_NSC)
        return y_NSF if self.activation is None else self.activation(y_NSF)


def build_transposed(layer: Spec, *shapes: Shape) -> nn.Module:
    return ConvTranspose(layer, channels_of(shapes[0]))


BUILDERS = {
    spec.Conv1DTranspose: build_transposed,
    spec.Conv2DTranspose: build_transposed,
    spec.Conv3DTranspose: build_transposed,
}
