"""Faults in PyTorch's layers. Shape letters: N, B batch, H height, W width, C channels, T, S steps, D features."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.faults.mutant import BACKWARD, BUFFER, FORWARD, Expected, Mutant
from tests.faults.patching import method, on_module, set_on_module


def unbiased_running_variance(layer: str) -> None:
    import torch.nn.functional as F  # noqa: N812

    def _normalize(self: Any, x_NCX: Any) -> Any:
        training = self.training and not self.frozen
        return F.batch_norm(x_NCX, self.running_mean, self.running_var, self.weight, self.bias, training,
                            1 - self.momentum, self.eps)

    on_module(layer, lambda module: method(module, "_normalize", _normalize))


def batch_statistics_at_inference(layer: str) -> None:
    import torch.nn.functional as F  # noqa: N812

    def change(module: Any) -> None:
        whole = module._normalize

        def _normalize(self: Any, x_NCX: Any) -> Any:
            if self.training:
                return whole(x_NCX)
            return F.batch_norm(x_NCX, None, None, self.weight, self.bias, True, 0.0, self.eps)

        method(module, "_normalize", _normalize)

    on_module(layer, change)


def variance_of_a_sample(layer: str) -> None:
    def kernel(self: Any, x: Any) -> Any:
        centered = x - x.mean(-1, keepdim=True)
        return centered * (x.var(-1, correction=1, keepdim=True) + self.eps).rsqrt() * self.weight + self.bias

    on_module(layer, lambda module: method(module, "kernel", kernel))


def mirrored_padding(layer: str) -> None:
    def change(module: Any) -> None:
        rule = module.windows.before_and_after
        module.windows.before_and_after = lambda sizes: [(after, before) for before, after in rule(sizes)]

    on_module(layer, change)


def pads_count(layer: str) -> None:
    import torch.nn.functional as F  # noqa: N812

    def _pool(self: Any, x_NCHW: Any) -> Any:
        _, pad = self.windows.split(tuple(x_NCHW.shape[2:]))
        return F.avg_pool2d(F.pad(x_NCHW, pad), self.windows.kernel, self.windows.strides)

    on_module(layer, lambda module: method(module, "_pool", _pool))


def pads_are_zero(layer: str) -> None:
    import torch.nn.functional as F  # noqa: N812

    def _pool(self: Any, x_NCHW: Any) -> Any:
        _, pad = self.windows.split(tuple(x_NCHW.shape[2:]))
        return F.max_pool2d(F.pad(x_NCHW, pad), self.windows.kernel, self.windows.strides)

    on_module(layer, lambda module: method(module, "_pool", _pool))


def tanh_gelu(layer: str) -> None:
    import torch.nn.functional as F  # noqa: N812

    set_on_module(layer, activation=lambda x: F.gelu(x, approximate="tanh"))


def channels_first_flatten(layer: str) -> None:
    on_module(layer, lambda module: method(
        module, "forward", lambda self, x_NHWC: x_NHWC.permute(0, 3, 1, 2).flatten(1)))


def transposed_kernel(layer: str) -> None:
    from harness.backends.pytorch.weights import same

    on_module(layer, lambda module: setattr(module, "keras_weights", {"kernel": same("weight"), "bias": same("bias")}))


def shared_slope(layer: str) -> None:
    import torch

    def forward(self: Any, x: Any) -> Any:
        return torch.relu(x) - self.alpha.mean() * torch.relu(-x)

    on_module(layer, lambda module: method(module, "forward", forward))


def unscaled_dropout(layer: str) -> None:
    import torch

    from harness.backends.pytorch.randomness import keep_mask

    def dropout(self: Any, x: Any, rate: float) -> Any:
        return torch.where(keep_mask(self.key, tuple(x.shape), rate), x, torch.zeros_like(x))

    on_module(layer, lambda module: method(module, "dropout", dropout))


def dropout_at_inference(layer: str) -> None:
    on_module(layer, lambda module: method(module, "forward", lambda self, x: self.dropout(x, self.rate)))


def other_key(layer: str) -> None:
    """The layer's own seed is another one: its bits are drawn under a changed key."""
    import torch

    from harness.backends.pytorch import randomness

    def dropout(self: Any, x: Any, rate: float) -> Any:
        keep = randomness.keep_mask(self.key ^ 12345, tuple(x.shape), rate)
        return torch.where(keep, x * (1.0 / (1.0 - rate)), torch.zeros_like(x))

    on_module(layer, lambda module: method(module, "dropout", dropout))


def zero_row(layer: str) -> None:
    """Row 0 reads as zeros, as after padding_idx=0 in a fresh nn.Embedding."""
    def change(module: Any) -> None:
        whole = module.forward

        def forward(self: Any, ids_BT: Any, masks: Any = None) -> Any:
            return whole(ids_BT) * (ids_BT != 0).unsqueeze(-1)

        method(module, "forward", forward)

    on_module(layer, change)


def stopped_gradient(layer: str) -> None:
    on_module(layer, lambda module: method(
        module, "forward", lambda self, *inputs, masks=None: inputs[0] + inputs[1].detach()))


def unmasked_mean(layer: str) -> None:
    on_module(layer, lambda module: method(
        module, "forward", lambda self, x_NTC, masks=None: x_NTC.mean(1, self.keepdims)))


def reversed_mask(layer: str) -> None:
    """True where a step is padding, as nn.MultiheadAttention's key_padding_mask has it."""
    def change(module: Any) -> None:
        whole = module._with_masks
        method(module, "_with_masks", lambda self, seen_BTS, masks: whole(
            seen_BTS, tuple(None if mask is None else ~mask for mask in masks)))

    on_module(layer, change)


def causal_off_by_one(layer: str) -> None:
    import torch

    def change(module: Any) -> None:
        whole = module._visible

        def _visible(self: Any, query_BTD: Any, value_BSD: Any, seen_BTS: Any, causal: bool) -> Any:
            earlier_TS = torch.ones(1, query_BTD.shape[1], value_BSD.shape[1], dtype=torch.bool).tril(1)
            seen_BTS = earlier_TS if seen_BTS is None else seen_BTS & earlier_TS
            return whole(query_BTD, value_BSD, seen_BTS, False)

        method(module, "_visible", _visible)

    on_module(layer, change)


def heads_by_reshape(layer: str) -> None:
    """The heads are cut by a reshape that mixes steps and features."""
    on_module(layer, lambda module: method(
        module, "_split", lambda self, x_BTD, heads: x_BTD.reshape(len(x_BTD), heads, x_BTD.shape[1], -1)))


MUTANTS = (
    Mutant("batch norm momentum turned round", "cnn", "pytorch", lambda: set_on_module("norm", momentum=0.05),
           Expected(BUFFER, "norm")),
    Mutant("batch norm momentum rounded to float32", "cnn", "pytorch",
           lambda: set_on_module("norm", momentum=float(np.float32(0.95))), Expected(BUFFER, "norm")),
    Mutant("batch norm epsilon 1e-5", "cnn", "pytorch", lambda: set_on_module("norm", eps=1e-5),
           Expected(FORWARD, "norm")),
    Mutant("batch norm unbiased running variance", "cnn", "pytorch", unbiased_running_variance,
           Expected(BUFFER, "norm", "norm/moving_variance"), ("norm",)),
    Mutant("batch norm batch statistics at inference", "cnn", "pytorch", batch_statistics_at_inference,
           Expected(("inference",), "norm"), ("norm",)),
    Mutant("batch norm in training mode while frozen", "finetune", "pytorch",
           lambda: set_on_module("stem_norm", frozen=False), Expected((*FORWARD, *BUFFER), "stem_norm")),
    Mutant("layer norm epsilon 1e-5", "transformer", "pytorch", lambda: set_on_module("norm_1", eps=1e-5),
           Expected(FORWARD, "norm_1")),
    Mutant("layer norm unbiased variance", "transformer", "pytorch", variance_of_a_sample,
           Expected(FORWARD, "norm_2"), ("norm_2",)),
    Mutant("group norm groups", "cnn", "pytorch", lambda: set_on_module("groups", groups=2),
           Expected(FORWARD, "groups")),
    Mutant("same padding mirrored at stride 2", "cnn", "pytorch", mirrored_padding, Expected(FORWARD, "conv"),
           ("conv",)),
    Mutant("average pooling counts the pads", "cnn", "pytorch", pads_count, Expected(FORWARD, "average"),
           ("average",)),
    Mutant("max pooling pads with zeros", "cnn", "pytorch", pads_are_zero, Expected(FORWARD, "maximum"), ("maximum",)),
    Mutant("gelu by tanh", "mlp", "pytorch", tanh_gelu, Expected(FORWARD, "first"), ("first",)),
    Mutant("leaky relu slope 0.01", "mlp", "pytorch", lambda: set_on_module("leaky", negative_slope=0.01),
           Expected(FORWARD, "leaky")),
    Mutant("leaky relu slope not rounded to float32", "mlp", "pytorch",
           lambda: set_on_module("leaky", negative_slope=0.3), Expected(FORWARD, "leaky")),
    Mutant("prelu slope shared by all features", "mlp", "pytorch", shared_slope,
           Expected((*FORWARD, *BACKWARD), "prelu"), ("prelu",)),
    Mutant("softmax axis", "lstm", "pytorch", lambda: set_on_module("shares", axis=-1), Expected(FORWARD, "shares")),
    Mutant("flatten channels first", "cnn", "pytorch", channels_first_flatten, Expected(FORWARD, "flatten"),
           ("flatten",)),
    Mutant("square weight transposed", "mlp", "pytorch", transposed_kernel, Expected(FORWARD, "square"), ("square",)),
    Mutant("dropout not scaled", "dropout", "pytorch", unscaled_dropout, Expected(FORWARD, "drop_1"), ("drop_1",)),
    Mutant("dropout at evaluation", "dropout", "pytorch", dropout_at_inference, Expected(("inference",), "drop_2"),
           ("drop_2",)),
    Mutant("dropout keeps instead of drops", "dropout", "pytorch", lambda: set_on_module("drop_1", rate=0.7),
           Expected(("random", *FORWARD), "drop_1")),
    Mutant("wrong seed in one layer", "dropout", "pytorch", other_key, Expected(("random", *FORWARD), "drop_2"),
           ("drop_2",)),
    Mutant("noise of that variance", "dropout", "pytorch", lambda: set_on_module("noise", stddev=math.sqrt(0.2)),
           Expected(FORWARD, "noise")),
    Mutant("embedding padding row not trained", "lstm", "pytorch", lambda: set_on_module("embedding", padding_idx=0),
           Expected(BACKWARD, "embedding")),
    Mutant("embedding padding row zero", "lstm", "pytorch", zero_row, Expected(FORWARD, "embedding"), ("embedding",)),
    Mutant("embedding gradient by frequency", "lstm", "pytorch",
           lambda: set_on_module("embedding", scale_grad_by_freq=True), Expected(BACKWARD, "embedding")),
    Mutant("stopped gradient in a residual", "finetune", "pytorch", stopped_gradient, Expected(BACKWARD, "add"),
           ("add",)),
    Mutant("pooling mask ignored", "transformer", "pytorch", unmasked_mean, Expected(FORWARD, "mean"), ("mean",)),
    Mutant("attention scale of the width", "transformer", "pytorch",
           lambda: set_on_module("attention", scale=8**-0.5), Expected(FORWARD, "attention")),
    Mutant("attention mask sign", "transformer", "pytorch", reversed_mask, Expected(FORWARD, "attention"),
           ("attention",)),
    Mutant("causal mask off by one", "transformer", "pytorch", causal_off_by_one, Expected(FORWARD, "attention"),
           ("attention",)),
    Mutant("heads cut by a reshape", "transformer", "pytorch", heads_by_reshape, Expected(FORWARD, "attention"),
           ("attention",)),
)
