"""What reads sequences of images: one convolution of all steps' images, then one of the state at every step.

Shape letters: N batch, T steps, C channels, F filters, G = 4F gates, S any number of dimensions of space. Tensors are
laid out as in Keras, (N, S, C), or (N, C, S) where the channels are first.
"""

from __future__ import annotations

import torch
from torch import nn

from harness.backends.pytorch.activations import activation_function
from harness.backends.pytorch.layers.dropout_masks import DropoutMasks
from harness.backends.pytorch.layers.sequence_readers import States
from harness.backends.pytorch.layers.windows import Windows, convolve, windows_of
from harness.backends.pytorch.weights import WeightMap, permuted, same
from harness.spec.layers import recurrent_convolutional as spec
from harness.spec.layers.base import Shape


class ConvReader(nn.Module):
    """The reader of ConvLSTM1D, 2D and 3D; gates i, f, c, o.

    windows: of the input's convolution; recurrent_windows: of the state's, which keeps the size. Those over rows
    (rank 1) are of images of height 1.
    """

    def __init__(
        self, rank: int, inputs: int, filters: int, windows: Windows, recurrent_windows: Windows,
        activation: str | None, recurrent_activation: str | None, use_bias: bool, channels_first: bool,
    ) -> None:
        super().__init__()
        self.rank = rank
        self.filters = filters
        self.weight = nn.Parameter(torch.empty(4 * filters, inputs, *windows.kernel[-rank:]))
        self.recurrent_weight = nn.Parameter(torch.empty(4 * filters, filters, *windows.kernel[-rank:]))
        self.bias = nn.Parameter(torch.empty(4 * filters)) if use_bias else None
        self.windows = windows
        self.recurrent_windows = recurrent_windows
        self.channels_first = channels_first
        self.axis = 1 if channels_first else -1
        self.activation = activation_function(activation) or nn.Identity()
        self.recurrent_activation = activation_function(recurrent_activation) or nn.Identity()

    def extra_repr(self) -> str:
        return f"filters={self.filters}, {self.windows}"

    def count_states(self) -> int:
        return 2

    def _convolve(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, windows: Windows,
    ) -> torch.Tensor:
        x_NCS = x if self.channels_first else x.movedim(-1, 1)
        if self.rank == 1:
            y_NGS = convolve(x_NCS.unsqueeze(2), weight.unsqueeze(2), bias, windows, 1).squeeze(2)
        else:
            y_NGS = convolve(x_NCS, weight, bias, windows, 1)
        return y_NGS if self.channels_first else y_NGS.movedim(1, -1)

    def _gates(self, x: torch.Tensor, masks: torch.Tensor | None) -> torch.Tensor:
        """The input's part of the gates, for all steps at once."""
        steps = x.shape[:2]
        if masks is None:
            return self._convolve(x.flatten(0, 1), self.weight, self.bias, self.windows).unflatten(0, steps)
        biases = (None,) * 4 if self.bias is None else self.bias.chunk(4)
        gates = [
            self._convolve((x * mask.unsqueeze(1)).flatten(0, 1), weight, bias, self.windows).unflatten(0, steps)
            for mask, weight, bias in zip(masks, self.weight.chunk(4), biases, strict=True)
        ]
        return torch.cat(gates, 2 if self.channels_first else -1)

    def _recur(self, h: torch.Tensor, masks: torch.Tensor | None) -> torch.Tensor:
        """The state's part of the gates."""
        if masks is None:
            return self._convolve(h, self.recurrent_weight, None, self.recurrent_windows)
        parts = [self._convolve(h * mask, weight, None, self.recurrent_windows)
                 for mask, weight in zip(masks, self.recurrent_weight.chunk(4), strict=True)]
        return torch.cat(parts, self.axis)

    def read(
        self, x: torch.Tensor, mask_NT: torch.Tensor | None, states: States | None, dropout: DropoutMasks,
        every_step: bool, last_states: bool,
    ) -> tuple[torch.Tensor, States]:
        """(outputs, last states); every_step: of all steps, else of the last, (N, 1, ...). A masked step repeats the
        output before it, zeros at first (rnn.py)."""
        gates = self._gates(x, dropout.inputs)
        zeros = torch.zeros_like(gates[:, 0].narrow(self.axis, 0, self.filters))
        h, c = (zeros, zeros) if states is None else states
        y, outputs = zeros, []
        for t, gate in enumerate(gates.unbind(1)):
            new_h, new_c = self._step(gate + self._recur(h, dropout.state), c)
            if mask_NT is None:
                h, c, y = new_h, new_c, new_h
            else:
                keep = mask_NT[:, t].reshape(-1, *(1,) * (h.dim() - 1))
                y, h, c = torch.where(keep, new_h, y), torch.where(keep, new_h, h), torch.where(keep, new_c, c)
            if every_step:
                outputs.append(y)
        return (torch.stack(outputs, 1) if every_step else y.unsqueeze(1)), (h, c)

    def _step(self, gates: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        of_i, of_f, of_c, of_o = gates.chunk(4, self.axis)
        new_c = self.recurrent_activation(of_f) * c + self.recurrent_activation(of_i) * self.activation(of_c)
        return self.recurrent_activation(of_o) * self.activation(new_c), new_c


def make_conv_reader(layer: spec.ConvLSTM, step: Shape) -> ConvReader:
    """The reader of a spec layer; step: the shape of one step, batch first."""
    first = layer.data_format == "channels_first"
    channels = step[1] if first else step[-1]
    assert channels is not None  # the spec refused it otherwise
    windows = windows_of(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)
    own = windows_of(layer.kernel_size, (1,) * len(layer.kernel_size), "same")
    return ConvReader(layer.rank, channels, layer.filters, windows, own, layer.activation, layer.recurrent_activation,
                      layer.use_bias, first)


def conv_weights(reader: ConvReader, path: str, prefix: str) -> dict[str, WeightMap]:
    """The maps of a reader's weights; path: leads to it, prefix: is put before the roles."""
    rank, maps = reader.rank, {}
    for role, tensor in (("kernel", "weight"), ("recurrent_kernel", "recurrent_weight")):
        maps[prefix + role] = permuted(f"{path}.{tensor}", rank + 1, rank, *range(rank))
    if reader.bias is not None:
        maps[f"{prefix}bias"] = same(f"{path}.bias")
    return maps
