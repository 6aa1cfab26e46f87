"""What reads features step by step in one direction: nn.RNN, nn.LSTM and nn.GRU wherever they mean what Keras means.

Shape letters: B batch, T steps, I input features, H units, G gates side by side (gates * H), N gates apart.

Each reader below holds its weights as torch's own module does, so that one set of weights serves torch's
kernel and the loop over steps, which is taken where torch has no kernel: other activations, reset_after=False,
recurrent dropout.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.activations import Activation, activation_function
from harness.backends.pytorch.layers.dropout_masks import DropoutMasks
from harness.backends.pytorch.weights import Pieces, WeightMap
from harness.spec.layers import cells as spec

States = tuple[torch.Tensor, ...]


class Reader(nn.RNNBase):
    """Base: one cell over the steps.

    gate_order: the place of each of torch's gates among Keras's; a permutation that is its own inverse. state_count:
    how many states go from step to step. native: whether torch's own kernel computes what Keras does. bounded: whether
    the activations cannot overflow.
    """

    gate_order: tuple[int, ...] = (0,)
    state_count: int = 1
    bounded: bool = True

    native: bool
    two_biases: bool = False
    apply_activation: Activation
    weight_ih_l0: torch.Tensor
    weight_hh_l0: torch.Tensor
    bias_ih_l0: torch.Tensor
    bias_hh_l0: torch.Tensor

    def configure(self, activation: str | None, native: bool) -> None:
        """The rest of the constructor, after torch's own."""
        self.native = native
        self.apply_activation = activation_function(activation) or _identity
        if self.bias and not self.two_biases:
            # Keras has one bias. A second that trained would make it learn twice as fast, so this one is no
            # parameter: zero for ever.
            zeros = torch.zeros_like(self.bias_hh_l0.data)
            del self.bias_hh_l0
            self.register_buffer("bias_hh_l0", zeros)

    def count_states(self) -> int:
        return self.state_count

    def step(self, x_BG: torch.Tensor, states: States, masks_NBH: torch.Tensor | None) -> States:
        """The states after one step; x_BG: the projected input."""
        raise NotImplementedError

    def one_step(self, x_BI: torch.Tensor, states: States) -> States:
        """The states after one step, the first of them the output."""
        return self.step(F.linear(x_BI, self.weight_ih_l0, self.bias_ih_l0 if self.bias else None), states, None)

    def read(
        self, x_BTI: torch.Tensor, mask_BT: torch.Tensor | None, states: States | None, dropout: DropoutMasks,
        every_step: bool, last_states: bool,
    ) -> tuple[torch.Tensor, States]:
        """(outputs, last states); every_step, last_states: whether they are asked for (else the last output alone is
        true). A masked step leaves the states as they were and repeats the output before it, zeros at first."""
        # torch's kernel tells the hidden state of every step, the carry only of the last.
        whole = states is None and self.bounded and not (last_states and self.state_count > 1)
        if self.native and dropout.shared and (mask_BT is None or whole):
            return self._read_whole(dropout.apply(x_BTI), mask_BT, states)
        return self._read_steps(self._project(x_BTI, dropout), mask_BT, states, dropout, every_step)

    def _read_whole(
        self, x_BTI: torch.Tensor, mask_BT: torch.Tensor | None, states: States | None
    ) -> tuple[torch.Tensor, States]:
        if mask_BT is None:
            return self._kernel(x_BTI, states)
        # A masked step changes nothing, so the valid steps are moved to the front (in order), read there, and
        # each step's output is looked up at the last valid step up to it.
        order_BT = torch.argsort((~mask_BT).to(torch.int8), dim=1, stable=True)
        y_BTH, _ = self._kernel(x_BTI.gather(1, order_BT.unsqueeze(-1).expand_as(x_BTI)), states)
        count_BT1 = mask_BT.cumsum(1).unsqueeze(-1)
        y_BTH = y_BTH.gather(1, (count_BT1 - 1).clamp_min(0).expand_as(y_BTH))
        y_BTH = torch.where(count_BT1 > 0, y_BTH, torch.zeros_like(y_BTH))
        return y_BTH, (y_BTH[:, -1],)

    def _kernel(self, x_BTI: torch.Tensor, states: States | None) -> tuple[torch.Tensor, States]:
        first = None if states is None else tuple(state.unsqueeze(0).contiguous() for state in states)
        if first is not None and len(first) == 1:
            y_BTH, last = self.forward(x_BTI, first[0])
        else:
            y_BTH, last = self.forward(x_BTI, first)
        return y_BTH, tuple(state[0] for state in (last if isinstance(last, tuple) else (last,)))

    def _project(self, x_BTI: torch.Tensor, dropout: DropoutMasks) -> torch.Tensor:
        """x @ kernel + bias for all steps at once: (B, T, G)."""
        bias = self.bias_ih_l0 if self.bias else None
        masks = dropout.inputs
        if masks is None or len(masks) == 1:
            return F.linear(dropout.apply(x_BTI), self.weight_ih_l0, bias)
        count = len(masks)
        biases = [None] * count if bias is None else bias.chunk(count)
        parts = [
            F.linear(x_BTI * masks[place].unsqueeze(1), kernel, part)
            for place, kernel, part in zip(self.gate_order, self.weight_ih_l0.chunk(count), biases, strict=True)
        ]
        return torch.cat(parts, -1)

    def _read_steps(
        self, x_BTG: torch.Tensor, mask_BT: torch.Tensor | None, states: States | None, dropout: DropoutMasks,
        every_step: bool,
    ) -> tuple[torch.Tensor, States]:
        masks = dropout.state
        if masks is not None and len(masks) > 1:
            masks = masks[list(self.gate_order)]
        y_BH = x_BTG.new_zeros(x_BTG.shape[0], self.hidden_size)
        if states is None:
            states = (y_BH,) * self.state_count
        valid = [None] * x_BTG.shape[1] if mask_BT is None else mask_BT.unsqueeze(-1).unbind(1)
        outputs = []
        for x_BG, valid_B1 in zip(x_BTG.unbind(1), valid, strict=True):
            new = self.step(x_BG, states, masks)
            if valid_B1 is None:
                y_BH = new[0]
            else:
                y_BH = torch.where(valid_B1, new[0], y_BH)
                new = tuple(torch.where(valid_B1, n, old) for n, old in zip(new, states, strict=True))
            states = new
            if every_step:
                outputs.append(y_BH)
        return (torch.stack(outputs, 1) if every_step else y_BH.unsqueeze(1)), states

    def recur(self, h_BH: torch.Tensor, masks_NBH: torch.Tensor | None) -> torch.Tensor:
        """h @ recurrent_kernel + recurrent bias: (B, G); masks: one per gate (or one for all)."""
        bias = self.bias_hh_l0 if self.bias else None
        if masks_NBH is None:
            return F.linear(h_BH, self.weight_hh_l0, bias)
        kernels = self.weight_hh_l0.chunk(len(masks_NBH))
        parts = [F.linear(h_BH * mask, kernel) for mask, kernel in zip(masks_NBH, kernels, strict=True)]
        y_BG = torch.cat(parts, -1)
        return y_BG if bias is None else y_BG + bias


class SimpleRNN(Reader, nn.RNN):
    """nn.RNN; the loop for activations other than tanh and relu."""

    def __init__(self, inputs: int, units: int, activation: str | None, use_bias: bool) -> None:
        native = activation in ("tanh", "relu")
        nn.RNN.__init__(self, inputs, units, bias=use_bias, batch_first=True,
                        nonlinearity=activation if native else "tanh")
        self.bounded = activation == "tanh"
        self.configure(activation, native)

    def step(self, x_BG: torch.Tensor, states: States, masks_NBH: torch.Tensor | None) -> States:
        return (self.apply_activation(x_BG + self.recur(states[0], masks_NBH)),)


class LSTM(Reader, nn.LSTM):
    """nn.LSTM: torch's gates i, f, g, o are Keras's i, f, c, o."""

    gate_order = (0, 1, 2, 3)
    state_count = 2

    def __init__(
        self, inputs: int, units: int, activation: str | None, recurrent_activation: str | None, use_bias: bool,
    ) -> None:
        nn.LSTM.__init__(self, inputs, units, bias=use_bias, batch_first=True)
        self.recurrent_activation = activation_function(recurrent_activation) or _identity
        self.configure(activation, (activation, recurrent_activation) == ("tanh", "sigmoid"))

    def step(self, x_BG: torch.Tensor, states: States, masks_NBH: torch.Tensor | None) -> States:
        h_BH, c_BH = states
        i_BH, f_BH, g_BH, o_BH = (x_BG + self.recur(h_BH, masks_NBH)).chunk(4, -1)
        gate = self.recurrent_activation
        c_BH = gate(f_BH) * c_BH + gate(i_BH) * self.apply_activation(g_BH)
        return gate(o_BH) * self.apply_activation(c_BH), c_BH


class GRU(Reader, nn.GRU):
    """nn.GRU: torch's gates r, z, n are Keras's second, first and third."""

    gate_order = (1, 0, 2)

    def __init__(
        self, inputs: int, units: int, activation: str | None, recurrent_activation: str | None, use_bias: bool,
        reset_after: bool,
    ) -> None:
        nn.GRU.__init__(self, inputs, units, bias=use_bias, batch_first=True)
        self.recurrent_activation = activation_function(recurrent_activation) or _identity
        self.reset_after = self.two_biases = reset_after
        self.configure(activation, (activation, recurrent_activation, reset_after) == ("tanh", "sigmoid", True))

    def step(self, x_BG: torch.Tensor, states: States, masks_NBH: torch.Tensor | None) -> States:
        (h_BH,) = states
        gate = self.recurrent_activation
        x_r, x_z, x_n = x_BG.chunk(3, -1)
        if self.reset_after:
            h_r, h_z, h_n = self.recur(h_BH, masks_NBH).chunk(3, -1)
            r_BH, z_BH = gate(x_r + h_r), gate(x_z + h_z)
            n_BH = self.apply_activation(x_n + r_BH * h_n)
        else:
            kernel_r, kernel_z, kernel_n = self.weight_hh_l0.chunk(3)
            masked = (h_BH,) * 3 if masks_NBH is None else tuple(h_BH * mask for mask in masks_NBH)
            r_BH, z_BH = gate(x_r + F.linear(masked[0], kernel_r)), gate(x_z + F.linear(masked[1], kernel_z))
            n_BH = self.apply_activation(x_n + F.linear(r_BH * masked[2], kernel_n))
        return (z_BH * h_BH + (1 - z_BH) * n_BH,)


def _identity(x: torch.Tensor) -> torch.Tensor:
    return x


def make_reader(cell: spec.Gates, inputs: int) -> Reader:
    """The reader of a cell, or of a layer that is its own cell, on `inputs` features."""
    if isinstance(cell, spec.LSTMGates):
        return LSTM(inputs, cell.units, cell.activation, cell.recurrent_activation, cell.use_bias)
    if isinstance(cell, spec.GRUGates):
        return GRU(inputs, cell.units, cell.activation, cell.recurrent_activation, cell.use_bias, cell.reset_after)
    return SimpleRNN(inputs, cell.units, cell.activation, cell.use_bias)


def reader_weights(reader: Reader, path: str, prefix: str = "") -> dict[str, WeightMap]:
    """The maps of a reader's weights: `path` leads to it from the module, `prefix` is put before the roles."""
    order = reader.gate_order

    def to_torch(array: np.ndarray) -> Pieces:
        return (_reorder(array.T, order),)

    def to_keras(pieces: Pieces) -> np.ndarray:
        return np.asarray(_reorder(pieces[0], order).T)

    maps = {
        f"{prefix}kernel": WeightMap((f"{path}.weight_ih_l0",), to_keras, to_torch),
        f"{prefix}recurrent_kernel": WeightMap((f"{path}.weight_hh_l0",), to_keras, to_torch),
    }
    if reader.bias:
        two = reader.two_biases  # GRU with reset_after: one bias per kernel, rows of one array
        names = ("bias_ih_l0", "bias_hh_l0") if two else ("bias_ih_l0",)
        maps[f"{prefix}bias"] = WeightMap(
            tuple(f"{path}.{name}" for name in names),
            (lambda pieces: np.stack([_reorder(piece, order) for piece in pieces])) if two
            else (lambda pieces: _reorder(pieces[0], order)),
            (lambda array: tuple(_reorder(row, order) for row in array)) if two
            else (lambda array: (_reorder(array, order),)),
        )
    return maps


def _reorder(array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """The gates' blocks along the first axis in another order."""
    blocks = np.split(array, len(order))
    return np.concatenate([blocks[place] for place in order])
