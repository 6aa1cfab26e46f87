"""Attention in PyTorch: nn.Linear projections around F.scaled_dot_product_attention; unprojected_attention.py holds the
attentions without them.

Shape letters: B batch, T query steps, S key and value steps, D features, N heads, K key size, V value size.

The projections stay apart (nn.MultiheadAttention packs them), because Keras has one variable for each and
some optimizers look at variables as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.activations import r32
from harness.backends.pytorch.layers.unprojected_attention import build_attention
from harness.backends.pytorch.masks import Masks
from harness.backends.pytorch.randomness import Keyed
from harness.backends.pytorch.weights import WeightMap, reshaped
from harness.spec.layers import attention as spec
from harness.spec.layers.base import Shape


class MultiHeadAttention(Keyed):
    """keras.layers.MultiHeadAttention on (query, value, key).

    inputs: the features of query, value and key. Fewer `key_heads` than `heads`: neighbouring queries share keys and
    values. A query that may see no key: the mean of all values if `rate` is 0, nothing otherwise or with axes (as in
    Keras). axes: of inputs with several dimensions between batch and features, those over which there is attention.
    erases_masks: Keras's layer takes the masks off the tensors it is called on.
    """

    erases_masks = True

    def __init__(
        self, inputs: tuple[int, int, int], heads: int, key_size: int, value_size: int, output_sizes: tuple[int, ...],
        key_heads: int | None = None, bias: bool = True, rate: float = 0.0, gate: bool = False,
        window: int | None = None, axes: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        query, value, key = inputs
        self.heads, self.key_heads, self.output_sizes = heads, key_heads or heads, output_sizes
        self.rate, self.window, self.axes = rate, window, axes
        # Keras rounds 1 / sqrt(key_size) to float32 even in float64.
        self.scale = r32(1.0 / math.sqrt(float(key_size)))
        self.query = nn.Linear(query, self.heads * key_size, bias)
        self.key_projection = nn.Linear(key, self.key_heads * key_size, bias)
        self.gate = nn.Linear(query, heads * value_size, bias) if gate else None
        self.value = nn.Linear(value, self.key_heads * value_size, bias)
        self.attention_output = nn.Linear(heads * value_size, math.prod(output_sizes), bias)

    def extra_repr(self) -> str:
        return f"heads={self.heads}, scale={self.scale:.6g}, dropout={self.rate}, sliding_window={self.window}"

    def forward(
        self, query: torch.Tensor, value: torch.Tensor, key: torch.Tensor | None = None, *,
        masks: Masks | None = None, attention_mask: torch.Tensor | None = None, use_causal_mask: bool = False,
        return_attention_scores: bool = False,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        key = value if key is None else key
        seen_BTS = None if attention_mask is None else attention_mask.bool()
        if masks is not None:
            seen_BTS = self._with_masks(seen_BTS, masks)
        if self.axes is not None:
            return self._over_axes(query, value, key, self.axes, seen_BTS)
        return self._attend(query, value, key, seen_BTS, use_causal_mask, return_attention_scores)

    def _over_axes(
        self, query: torch.Tensor, value: torch.Tensor, key: torch.Tensor, axes: tuple[int, ...],
        seen: torch.Tensor | None,
    ) -> torch.Tensor:
        """The axes' dimensions become the steps, all others examples, and all go back to their places.

        seen: (examples..., T or 1, S or 1). Like Keras, whatever the axes: the last dimension's masks fit by meaning,
        another's if the sizes happen to be the same (harness/spec/layers/attention.py: check_masks).
        """
        apart = [axis for axis in range(query.dim() - 1) if axis not in axes]
        order = (*apart, *axes, query.dim() - 1)
        examples, steps = [query.shape[axis] for axis in apart], [query.shape[axis] for axis in axes]
        query_BTD, value_BSD, key_BSD = (
            x.permute(order).flatten(0, len(apart) - 1).flatten(1, -2) for x in (query, value, key))
        if seen is not None:
            seen = seen.expand(*examples, -1, -1).flatten(0, -3)
        y_BT = self._attend(query_BTD, value_BSD, key_BSD, seen)
        y = y_BT.reshape(*examples, *steps, *self.output_sizes)
        places = sorted(range(len(order) - 1), key=order.__getitem__)
        return y.permute(*places, *range(len(places), y.dim()))

    def _attend(
        self, query_BTD: torch.Tensor, value_BSD: torch.Tensor, key_BSD: torch.Tensor,
        seen_BTS: torch.Tensor | None = None, causal: bool = False, return_attention_scores: bool = False,
    ) -> Any:
        q_BNTK = self._split(self.query(query_BTD), self.heads)
        k_BNSK = self._split(self.key_projection(key_BSD), self.key_heads)
        v_BNSV = self._split(self.value(value_BSD), self.key_heads)
        mask_BNTS = self._visible(query_BTD, value_BSD, seen_BTS, causal)
        if return_attention_scores or (self.training and self.rate > 0):
            scores_BNTS = self._scores(q_BNTK, k_BNSK, mask_BNTS)
            kept_BNTS = self.dropout(scores_BNTS, self.rate) if self.training and self.rate > 0 else scores_BNTS
            y_BNTV = kept_BNTS @ v_BNSV
        else:
            y_BNTV = self._without_dropout(q_BNTK, k_BNSK, v_BNSV, mask_BNTS)
        y_BTD = y_BNTV.transpose(1, 2).flatten(2)
        if self.gate is not None:
            y_BTD = y_BTD * torch.sigmoid(self.gate(query_BTD))
        output = self.attention_output(y_BTD)
        output = output.reshape(*output.shape[:2], *self.output_sizes)
        # Keras returns them as they were before the dropout.
        return (output, scores_BNTS) if return_attention_scores else output

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return masks[0]

    def _split(self, x_BTD: torch.Tensor, heads: int) -> torch.Tensor:
        x_BNTK = x_BTD.reshape(*x_BTD.shape[:2], heads, -1).transpose(1, 2)
        # Neighbouring queries share keys and values.
        return x_BNTK if heads == self.heads else x_BNTK.repeat_interleave(self.heads // heads, 1)

    def _with_masks(self, seen_BTS: torch.Tensor | None, masks: Masks) -> torch.Tensor | None:
        """A masked query sees nothing, masked values and keys are not seen."""
        for index, mask in enumerate(masks):
            if mask is not None:
                mask_BTS = mask.unsqueeze(-1 if index == 0 else -2)
                seen_BTS = mask_BTS if seen_BTS is None else seen_BTS & mask_BTS
        return seen_BTS

    def _visible(
        self, query_BTD: torch.Tensor, value_BSD: torch.Tensor, seen_BTS: torch.Tensor | None, causal: bool,
    ) -> torch.Tensor | None:
        """True where a query may see a key, (B or 1, 1, T or 1, S); None if all may see all."""
        steps, keys, device = query_BTD.shape[1], value_BSD.shape[1], query_BTD.device
        if causal:
            earlier_TS = torch.ones(1, steps, keys, dtype=torch.bool, device=device).tril()
            seen_BTS = earlier_TS if seen_BTS is None else seen_BTS & earlier_TS
        if self.window is not None:
            distance_TS = torch.arange(steps, device=device)[:, None] - torch.arange(keys, device=device)
            near_TS = (distance_TS.abs() < self.window).unsqueeze(0)
            seen_BTS = near_TS if seen_BTS is None else seen_BTS & near_TS
        return seen_BTS.unsqueeze(-3) if seen_BTS is not None and seen_BTS.dim() == 3 else seen_BTS

    def _without_dropout(
        self, q_BNTK: torch.Tensor, k_BNSK: torch.Tensor, v_BNSV: torch.Tensor, mask_BNTS: torch.Tensor | None
    ) -> torch.Tensor:
        if mask_BNTS is None:
            return F.scaled_dot_product_attention(q_BNTK, k_BNSK, v_BNSV, scale=self.scale)
        # A query that sees nothing is computed as if it saw everything, and then replaced.
        seen_BNT1 = mask_BNTS.any(-1, keepdim=True)
        mask_BNTS = (mask_BNTS | ~seen_BNT1).expand(-1, -1, q_BNTK.shape[2], k_BNSK.shape[2])
        y_BNTV = F.scaled_dot_product_attention(q_BNTK, k_BNSK, v_BNSV, attn_mask=mask_BNTS, scale=self.scale)
        nothing = self.rate > 0 or self.axes is not None
        blind_BN1V = torch.zeros_like(v_BNSV[:, :, :1]) if nothing else v_BNSV.mean(2, keepdim=True)
        return torch.where(seen_BNT1, y_BNTV, blind_BN1V)

    def _scores(
        self, q_BNTK: torch.Tensor, k_BNSK: torch.Tensor, mask_BNTS: torch.Tensor | None
    ) -> torch.Tensor:
        """What each query weighs the values by: 0 where it may see no key."""
        scores_BNTS = (q_BNTK * self.scale) @ k_BNSK.transpose(-1, -2)
        if mask_BNTS is not None:
            # keras/src/layers/activations/softmax.py: _large_negative_number, and 0 where masked.
            large = -3e4 if scores_BNTS.dtype == torch.float16 else -1e9
            scores_BNTS = scores_BNTS.masked_fill(~mask_BNTS, large)
        weights_BNTS = torch.softmax(scores_BNTS, -1)
        if mask_BNTS is not None:
            weights_BNTS = weights_BNTS.masked_fill(~mask_BNTS, 0.0)
        return weights_BNTS


class GroupQueryAttention(MultiHeadAttention):
    """keras.layers.GroupQueryAttention: fewer heads of keys and values than of queries. Masks stay on its inputs."""

    erases_masks = False


def build_multi_head_attention(layer: spec.MultiHeadAttention, *shapes: Shape) -> nn.Module:
    module = MultiHeadAttention(
        features_of(shapes), layer.num_heads, layer.key_dim, layer.value_size, sizes_of(layer.output_sizes(shapes[0])),
        bias=layer.use_bias, rate=layer.dropout, gate=layer.use_gate, window=layer.sliding_window,
        axes=layer.axes(shapes[0]) if len(shapes[0]) > 3 else None,
    )
    module.keras_weights = projection_maps(module, layer.key_dim, layer.value_size)  # type: ignore[assignment]
    return module


def build_group_query_attention(layer: spec.GroupQueryAttention, *shapes: Shape) -> nn.Module:
    inputs = features_of(shapes)
    module = GroupQueryAttention(
        inputs, layer.num_query_heads, layer.head_dim, layer.head_dim, inputs[:1], layer.num_key_value_heads,
        bias=layer.use_bias, rate=layer.dropout, gate=layer.use_gate, window=layer.sliding_window,
    )
    module.keras_weights = projection_maps(module, layer.head_dim, layer.head_dim)  # type: ignore[assignment]
    return module


def sizes_of(shape: Shape) -> tuple[int, ...]:
    """Sizes that the spec made sure are known."""
    sizes = tuple(size for size in shape if size is not None)
    assert len(sizes) == len(shape)
    return sizes


def features_of(shapes: tuple[Shape, ...]) -> tuple[int, int, int]:
    """The features of query, value and key, which is the value where it is not given."""
    query, value, key = sizes_of((shapes[0][-1], shapes[1][-1], shapes[-1][-1]))
    return query, value, key


def projection_maps(module: MultiHeadAttention, key_size: int, value_size: int) -> dict[str, WeightMap]:
    """The maps of the kernels and biases of the projections, between Keras's (..., heads, size) and nn.Linear's."""
    queries, keys = (module.heads, key_size), (module.key_heads, key_size)
    values, outputs = (module.key_heads, value_size), (module.heads, value_size)
    table: tuple[tuple[str, str, nn.Linear | None, tuple[int, ...], tuple[int, ...]], ...] = (
        ("query", "query", module.query, (), queries), ("key", "key_projection", module.key_projection, (), keys),
        ("gate", "gate", module.gate, (), outputs), ("value", "value", module.value, (), values),
        ("attention_output", "attention_output", module.attention_output, outputs, module.output_sizes),
    )
    maps: dict[str, WeightMap] = {}
    for role, path, linear, inputs, sizes in table:
        if linear is None:
            continue
        first = inputs or (linear.in_features,)
        axes = (*range(len(first), len(first) + len(sizes)), *range(len(first)))
        maps[f"{role}/kernel"] = reshaped(f"{path}.weight", tuple(linear.weight.shape), (*first, *sizes), *axes)
        if linear.bias is not None:
            maps[f"{role}/bias"] = reshaped(f"{path}.bias", tuple(linear.bias.shape), sizes, *range(len(sizes)))
    return maps


BUILDERS = {
    spec.MultiHeadAttention: build_multi_head_attention,
    spec.GroupQueryAttention: build_group_query_attention,
    spec.Attention: build_attention,
    spec.AdditiveAttention: build_attention,
}
