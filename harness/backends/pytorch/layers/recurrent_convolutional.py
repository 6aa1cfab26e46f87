"""ConvLSTM2D in PyTorch: one convolution of all steps' images, then one of the state at every step.

Shape letters: N batch, T steps, H height, W width, C channels, F filters, G = 4F gates.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from harness.backends.pytorch.activations import activation_function
from harness.backends.pytorch.layers.convolutional import channels_of
from harness.backends.pytorch.layers.merging import Masks
from harness.backends.pytorch.layers.windows import Windows, convolve
from harness.backends.pytorch.weights import permuted, same
from harness.spec.layers import recurrent_convolutional as spec
from harness.spec.layers.base import Shape


class ConvLSTM2D(nn.Module):
    """keras.layers.ConvLSTM2D."""

    keras_weights = {
        "kernel": permuted("weight", 3, 2, 0, 1), "recurrent_kernel": permuted("recurrent_weight", 3, 2, 0, 1),
        "bias": same("bias"),
    }

    def __init__(self, layer: spec.ConvLSTM2D, inputs: int) -> None:
        super().__init__()
        self.layer = layer
        gates = 4 * layer.filters
        self.weight = nn.Parameter(torch.empty(gates, inputs, *layer.kernel_size))
        self.recurrent_weight = nn.Parameter(torch.empty(gates, layer.filters, *layer.kernel_size))
        self.bias = nn.Parameter(torch.empty(gates)) if layer.use_bias else None
        self.windows = Windows(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)
        self.recurrent_windows = Windows(layer.kernel_size, (1, 1), "same")
        self.activation = activation_function(layer.activation) or torch.nn.Identity()
        self.recurrent_activation = activation_function(layer.recurrent_activation) or torch.nn.Identity()

    def extra_repr(self) -> str:
        return repr(self.layer)

    def forward(
        self, x_NTHWC: torch.Tensor, *, masks: Masks
    ) -> tuple[torch.Tensor | tuple[torch.Tensor, ...], torch.Tensor | None]:
        (mask_NT,) = masks
        x_NCHW = x_NTHWC.flatten(0, 1).permute(0, 3, 1, 2)
        gates_NHWG = convolve(x_NCHW, self.weight, self.bias, self.windows, 1).permute(0, 2, 3, 1)
        gates_NTHWG = gates_NHWG.unflatten(0, x_NTHWC.shape[:2])
        h_NHWF = gates_NTHWG.new_zeros(*gates_NHWG.shape[:-1], self.layer.filters)[:x_NTHWC.shape[0]]
        c_NHWF = y_NHWF = h_NHWF
        outputs = []
        steps = range(x_NTHWC.shape[1])
        for t in reversed(steps) if self.layer.go_backwards else steps:
            new_h, new_c = self._step(gates_NTHWG[:, t], h_NHWF, c_NHWF)
            if mask_NT is None:
                h_NHWF, c_NHWF, y_NHWF = new_h, new_c, new_h
            else:
                # A masked step repeats the output before it, zeros at first (rnn.py).
                keep = mask_NT[:, t, None, None, None]
                y_NHWF = torch.where(keep, new_h, y_NHWF)
                h_NHWF, c_NHWF = torch.where(keep, new_h, h_NHWF), torch.where(keep, new_c, c_NHWF)
            outputs.append(y_NHWF)
        output = torch.stack(outputs, 1) if self.layer.return_sequences else y_NHWF
        return (output, h_NHWF, c_NHWF) if self.layer.return_state else output, self.output_mask((x_NTHWC,), masks)

    def _step(
        self, gates_NHWG: torch.Tensor, h_NHWF: torch.Tensor, c_NHWF: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        own = convolve(h_NHWF.permute(0, 3, 1, 2), self.recurrent_weight, None, self.recurrent_windows, 1)
        i, f, c, o = (gates_NHWG + own.permute(0, 2, 3, 1)).chunk(4, -1)
        new_c = self.recurrent_activation(f) * c_NHWF + self.recurrent_activation(i) * self.activation(c)
        return self.recurrent_activation(o) * self.activation(new_c), new_c

    def output_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return masks[0] if self.layer.return_sequences else None


def build_conv_lstm2d(layer: spec.ConvLSTM2D, *shapes: Shape) -> nn.Module:
    return ConvLSTM2D(layer, channels_of(shapes[0]))


BUILDERS = {spec.ConvLSTM2D: build_conv_lstm2d}
