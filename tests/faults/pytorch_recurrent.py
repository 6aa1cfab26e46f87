"""Faults in PyTorch's recurrent layers. Shape letters: B batch, T steps, G gates side by side, H units."""

from __future__ import annotations

from typing import Any

from tests.faults.mutant import FORWARD, Expected, Mutant
from tests.faults.patching import method, on_module


def step_by_step(layer: str, step: Any) -> None:
    """The only reader of a layer goes step by step, and makes another step."""
    def change(module: Any) -> None:
        (reader,) = module.direction.readers
        reader.native = False
        method(reader, "step", step)

    on_module(layer, change)


def reset_before(self: Any, x_BG: Any, states: Any, masks: Any) -> Any:
    """Keras's reset_after=False, with the two biases of reset_after=True."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    (h_BH,) = states
    x_r, x_z, x_n = x_BG.chunk(3, -1)
    kernels, biases = self.weight_hh_l0.chunk(3), self.bias_hh_l0.chunk(3)
    r_BH = torch.sigmoid(x_r + F.linear(h_BH, kernels[0], biases[0]))
    z_BH = torch.sigmoid(x_z + F.linear(h_BH, kernels[1], biases[1]))
    n_BH = torch.tanh(x_n + F.linear(r_BH * h_BH, kernels[2], biases[2]))
    return (z_BH * h_BH + (1 - z_BH) * n_BH,)


def update_gate_turned(self: Any, x_BG: Any, states: Any, masks: Any) -> Any:
    import torch

    (h_BH,) = states
    x_r, x_z, x_n = x_BG.chunk(3, -1)
    h_r, h_z, h_n = self.recur(h_BH, None).chunk(3, -1)
    r_BH, z_BH = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return ((1 - z_BH) * h_BH + z_BH * torch.tanh(x_n + r_BH * h_n),)


def gate_order(layer: str) -> None:
    """The weights are loaded as if Keras's gates were i, f, o, c."""
    from harness.backends.pytorch.layers.recurrent import maps_of

    def change(module: Any) -> None:
        readers = list(module.direction.readers)
        readers[0].gate_order = (0, 1, 3, 2)
        module.keras_weights = maps_of(readers, "direction.readers", "", False)

    on_module(layer, change)


def doubled_bias(layer: str) -> None:
    """torch's second bias is the first once more, and learns with it."""
    def change(module: Any) -> None:
        (reader,) = module.direction.readers
        del reader.bias_hh_l0
        reader.bias_hh_l0 = reader.bias_ih_l0

    on_module(layer, change)


def forget_bias(layer: str) -> None:
    """1 is added to the forget gate at every step, as in TensorFlow 1's BasicLSTMCell."""
    def change(module: Any) -> None:
        (reader,) = module.direction.readers
        units = reader.hidden_size
        reader.bias_hh_l0[units:2 * units] += 1.0

    on_module(layer, change)


def mask_ignored(layer: str) -> None:
    def change(module: Any) -> None:
        whole = module.direction.read
        method(module.direction, "read", lambda self, x_BTI, mask_BT, states, dropout: whole(
            x_BTI, None, states, dropout))

    on_module(layer, change)


def backward_not_reversed(layer: str) -> None:
    """The second direction's outputs stay in the order in which it read."""
    def change(module: Any) -> None:
        whole = module.backward_layer.read

        def read(self: Any, *args: Any) -> Any:
            y_BTH, last = whole(*args)
            return y_BTH.flip(1), last

        method(module.backward_layer, "read", read)

    on_module(layer, change)


def directions_swapped(layer: str) -> None:
    def change(module: Any) -> None:
        whole = module._merge
        method(module, "_merge", lambda self, ahead, back: whole(back, ahead))

    on_module(layer, change)


MUTANTS = (
    Mutant("gru reset before the product", "gru", "pytorch", step_by_step, Expected(FORWARD, "gru"),
           ("gru", reset_before)),
    Mutant("gru update gate turned round", "gru", "pytorch", step_by_step, Expected(FORWARD, "gru"),
           ("gru", update_gate_turned)),
    Mutant("gru mask ignored", "gru", "pytorch", mask_ignored, Expected(FORWARD, "gru"), ("gru",)),
    Mutant("lstm gate order", "lstm", "pytorch", gate_order, Expected(FORWARD, "lstm"), ("lstm",)),
    Mutant("lstm doubled recurrent bias", "lstm", "pytorch", doubled_bias, Expected(FORWARD, "lstm"), ("lstm",)),
    Mutant("lstm forget bias added", "lstm", "pytorch", forget_bias, Expected(FORWARD, "lstm"), ("lstm",)),
    Mutant("bidirectional not reversed", "lstm", "pytorch", backward_not_reversed, Expected(FORWARD, "both"),
           ("both",)),
    Mutant("bidirectional directions swapped", "lstm", "pytorch", directions_swapped, Expected(FORWARD, "both"),
           ("both",)),
)
