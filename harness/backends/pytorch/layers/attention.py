"""Attention in PyTorch: nn.Linear projections around F.scaled_dot_product_attention, and attention without them.

Shape letters: B batch, T query steps, S key and value steps, D features, N heads, K key size, V value size.

The projections stay apart (nn.MultiheadAttention packs them), because Keras has one variable for each and
some optimizers look at variables as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.activations import r32
from harness.backends.pytorch.layers.merging import Masks
from harness.backends.pytorch.randomness import Keyed, keep_mask
from harness.backends.pytorch.weights import WeightMap, reshaped, same
from harness.spec.layers import attention as spec
from harness.spec.layers.base import Shape


class MultiHeadAttention(Keyed):
    """keras.layers.MultiHeadAttention on (query, value, key); returns (output, the query's mask).

    A query that may see no key: the mean of all values if `rate` is 0, nothing otherwise (as in Keras).
    erases_masks: Keras's layer takes the masks off the tensors it is called on (backends/pytorch/masks.py).
    """

    erases_masks = True

    def __init__(self, layer: spec.MultiHeadAttention, query: Shape, value: Shape, key: Shape) -> None:
        super().__init__()
        keys, values = (layer.num_heads, layer.key_dim), (layer.num_heads, layer.value_size)
        self._set_up(layer, layer.num_heads, layer.key_dim, layer.output_sizes(query))
        self._project(layer, (query, value, key), (keys, keys, values, values))

    def _set_up(
        self, layer: spec.MultiHeadAttention | spec.GroupQueryAttention, heads: int, key_size: int,
        output_sizes: tuple[int, ...],
    ) -> None:
        self.heads, self.rate, self.window = heads, layer.dropout, layer.sliding_window
        self.output_sizes = output_sizes
        # Keras passes 1 / sqrt(key_dim) through tf.cast, which rounds it to float32 even in float64 training.
        self.scale = r32(1.0 / math.sqrt(float(key_size)))
        self.keras_weights: dict[str, WeightMap] = {}

    def _project(
        self, layer: spec.MultiHeadAttention | spec.GroupQueryAttention, inputs: tuple[Shape, Shape, Shape],
        sizes: tuple[tuple[int, int], ...],
    ) -> None:
        """inputs: the shapes of query, value, key; sizes: (heads, size) of queries, keys, values and outputs."""
        (query, value, key), (queries, keys, values, outputs) = inputs, sizes
        self.query = self._linear("query", query[-1:], queries, layer.use_bias)
        self.key_projection = self._linear("key", key[-1:], keys, layer.use_bias, "key_projection")
        self.gate = self._linear("gate", query[-1:], outputs, layer.use_bias) if layer.use_gate else None
        self.value = self._linear("value", value[-1:], values, layer.use_bias)
        self.attention_output = self._linear("attention_output", outputs, self.output_sizes, layer.use_bias)
        self.key_heads = keys[0]

    def _linear(
        self, role: str, inputs: Shape, outputs: tuple[int, ...], bias: bool, name: str | None = None
    ) -> nn.Linear:
        sizes = tuple(size for size in inputs if size is not None)
        assert len(sizes) == len(inputs)  # the spec refused it otherwise
        linear = nn.Linear(math.prod(sizes), math.prod(outputs), bias)
        keras_shape, rank = (*sizes, *outputs), len(sizes)
        axes = (*range(rank, len(keras_shape)), *range(rank))
        path = name or role
        self.keras_weights[f"{role}/kernel"] = reshaped(
            f"{path}.weight", tuple(linear.weight.shape), keras_shape, *axes)
        if bias:
            self.keras_weights[f"{role}/bias"] = reshaped(
                f"{path}.bias", tuple(linear.bias.shape), outputs, *range(len(outputs)))
        return linear

    def extra_repr(self) -> str:
        return f"heads={self.heads}, scale={self.scale:.6g}, dropout={self.rate}, sliding_window={self.window}"

    def forward(
        self, query: torch.Tensor, value: torch.Tensor, key: torch.Tensor | None = None, *, masks: Masks,
        attention_mask: torch.Tensor | None = None, use_causal_mask: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        query_BTD, value_BSD = query, value
        key_BSD = value if key is None else key
        q_BNTK = self._split(self.query(query_BTD), self.heads)
        k_BNSK = self._split(self.key_projection(key_BSD), self.key_heads)
        v_BNSV = self._split(self.value(value_BSD), self.key_heads)
        mask_BNTS = self._join_masks(query_BTD, value_BSD, masks, attention_mask, use_causal_mask)
        if self.training and self.rate > 0:
            y_BNTV = self._with_dropout(q_BNTK, k_BNSK, v_BNSV, mask_BNTS)
        else:
            y_BNTV = self._without_dropout(q_BNTK, k_BNSK, v_BNSV, mask_BNTS)
        y_BTD = y_BNTV.transpose(1, 2).flatten(2)
        if self.gate is not None:
            y_BTD = y_BTD * torch.sigmoid(self.gate(query_BTD))
        output = self.attention_output(y_BTD)
        return output.reshape(*output.shape[:2], *self.output_sizes), masks[0]

    def output_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return masks[0]

    def _split(self, x_BTD: torch.Tensor, heads: int) -> torch.Tensor:
        x_BNTK = x_BTD.reshape(*x_BTD.shape[:2], heads, -1).transpose(1, 2)
        # Neighbouring queries share keys and values.
        return x_BNTK if heads == self.heads else x_BNTK.repeat_interleave(self.heads // heads, 1)

    def _join_masks(
        self, query_BTD: torch.Tensor, value_BSD: torch.Tensor, masks: Masks, attention_mask: torch.Tensor | None,
        causal: bool,
    ) -> torch.Tensor | None:
        """True where a query may see a key, (B or 1, 1, T or 1, S); None if all may see all."""
        steps, keys, device = query_BTD.shape[1], value_BSD.shape[1], query_BTD.device
        found: list[torch.Tensor] = []
        if masks[0] is not None:
            found.append(masks[0].unsqueeze(-1))
        found += [mask.unsqueeze(-2) for mask in masks[1:] if mask is not None]
        if causal:
            found.append(torch.ones(1, steps, keys, dtype=torch.bool, device=device).tril())
        if self.window is not None:
            distance = torch.arange(steps, device=device)[:, None] - torch.arange(keys, device=device)
            found.append((distance.abs() < self.window).unsqueeze(0))
        if attention_mask is not None:
            found.append(attention_mask.bool())
        if not found:
            return None
        joined = found[0]
        for mask in found[1:]:
            joined = joined & mask
        return joined.unsqueeze(-3) if joined.dim() == 3 else joined

    def _without_dropout(
        self, q_BNTK: torch.Tensor, k_BNSK: torch.Tensor, v_BNSV: torch.Tensor, mask_BNTS: torch.Tensor | None
    ) -> torch.Tensor:
        if mask_BNTS is None:
            return F.scaled_dot_product_attention(q_BNTK, k_BNSK, v_BNSV, scale=self.scale)
        # A query that sees nothing is computed as if it saw everything, and then replaced.
        seen_BNT1 = mask_BNTS.any(-1, keepdim=True)
        mask_BNTS = (mask_BNTS | ~seen_BNT1).expand(-1, -1, q_BNTK.shape[2], k_BNSK.shape[2])
        y_BNTV = F.scaled_dot_product_attention(q_BNTK, k_BNSK, v_BNSV, attn_mask=mask_BNTS, scale=self.scale)
        blind_BN1V = torch.zeros_like(v_BNSV[:, :, :1]) if self.rate > 0 else v_BNSV.mean(2, keepdim=True)
        return torch.where(seen_BNT1, y_BNTV, blind_BN1V)

    def _with_dropout(
        self, q_BNTK: torch.Tensor, k_BNSK: torch.Tensor, v_BNSV: torch.Tensor, mask_BNTS: torch.Tensor | None
    ) -> torch.Tensor:
        scores_BNTS = (q_BNTK * self.scale) @ k_BNSK.transpose(-1, -2)
        if mask_BNTS is not None:
            # keras/src/layers/activations/softmax.py: _large_negative_number, and 0 where masked.
            large = -3e4 if scores_BNTS.dtype == torch.float16 else -1e9
            scores_BNTS = scores_BNTS.masked_fill(~mask_BNTS, large)
        weights_BNTS = torch.softmax(scores_BNTS, -1)
        if mask_BNTS is not None:
            weights_BNTS = weights_BNTS.masked_fill(~mask_BNTS, 0.0)
        if self.key is None:
            return F.dropout(weights_BNTS, self.rate, True) @ v_BNSV
        keep_BNTS = keep_mask(self.key, tuple(weights_BNTS.shape), self.rate)
        kept_BNTS = torch.where(keep_BNTS, weights_BNTS * (1.0 / (1.0 - self.rate)), torch.zeros_like(weights_BNTS))
        return kept_BNTS @ v_BNSV


class GroupQueryAttention(MultiHeadAttention):
    """keras.layers.GroupQueryAttention: fewer heads of keys and values than of queries. Masks stay on its inputs."""

    erases_masks = False

    def __init__(self, layer: spec.GroupQueryAttention, query: Shape, value: Shape, key: Shape) -> None:
        Keyed.__init__(self)
        assert query[-1] is not None  # the spec refused it otherwise
        queries, keys = (layer.num_query_heads, layer.head_dim), (layer.num_key_value_heads, layer.head_dim)
        self._set_up(layer, layer.num_query_heads, layer.head_dim, (query[-1],))
        self._project(layer, (query, value, key), (queries, keys, keys, queries))


class Attention(Keyed):
    """keras.layers.Attention or AdditiveAttention: no projections; scores "dot", "concat" or "additive".

    Hidden scores are lowered by 1e9, not replaced: a query that sees nothing weighs the values by its scores.
    """

    def __init__(self, score: str, use_scale: bool, rate: float, features: int) -> None:
        super().__init__()
        self.score, self.rate = score, rate
        size = (features,) if score == "additive" else ()
        self.scale = nn.Parameter(torch.empty(size)) if use_scale else None
        self.concat_score_weight = nn.Parameter(torch.empty(())) if score == "concat" else None
        self.keras_weights = {"scale": same("scale"), "concat_score_weight": same("concat_score_weight")}

    def extra_repr(self) -> str:
        return f"{self.score}, dropout={self.rate}"

    def forward(
        self, query_BTD: torch.Tensor, value_BSV: torch.Tensor, key_BSD: torch.Tensor | None = None, *, masks: Masks,
        use_causal_mask: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        key_BSD = value_BSV if key_BSD is None else key_BSD
        drops = self.training and self.rate > 0
        if self.score == "dot" and masks[1] is None and not drops:
            scaled_BTD = query_BTD if self.scale is None else query_BTD * self.scale
            y_BTV = F.scaled_dot_product_attention(scaled_BTD, key_BSD, value_BSV, is_causal=use_causal_mask, scale=1.0)
        else:
            y_BTV = self._weights(query_BTD, key_BSD, masks[1], use_causal_mask, drops) @ value_BSV
        if masks[0] is not None:
            y_BTV = torch.where(masks[0].unsqueeze(-1), y_BTV, torch.zeros_like(y_BTV))
        return y_BTV, masks[0]

    def output_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return masks[0]

    def _scores(self, query_BTD: torch.Tensor, key_BSD: torch.Tensor) -> torch.Tensor:
        if self.score == "dot":
            scores_BTS = query_BTD @ key_BSD.transpose(1, 2)
            return scores_BTS if self.scale is None else scores_BTS * self.scale
        sums_BTSD = query_BTD.unsqueeze(2) + key_BSD.unsqueeze(1)
        if self.concat_score_weight is not None:
            sums_BTSD = sums_BTSD if self.scale is None else self.scale * sums_BTSD
            return self.concat_score_weight * torch.tanh(sums_BTSD).sum(-1)
        return torch.tanh(sums_BTSD).sum(-1) if self.scale is None else torch.tanh(sums_BTSD) @ self.scale

    def _weights(
        self, query_BTD: torch.Tensor, key_BSD: torch.Tensor, mask_BS: torch.Tensor | None, causal: bool, drops: bool,
    ) -> torch.Tensor:
        scores_BTS = self._scores(query_BTD, key_BSD)
        seen = None if mask_BS is None else mask_BS.unsqueeze(1)
        if causal:
            earlier = torch.ones(scores_BTS.shape[1:], dtype=torch.bool, device=scores_BTS.device).tril()
            seen = earlier if seen is None else seen & earlier
        if seen is not None:
            large = 65504.0 if scores_BTS.dtype == torch.float16 else 1e9
            scores_BTS = torch.where(seen, scores_BTS, scores_BTS - large)
        weights_BTS = torch.softmax(scores_BTS, -1)
        if not drops:
            return weights_BTS
        if self.key is None:
            return F.dropout(weights_BTS, self.rate, True)
        keep_BTS = keep_mask(self.key, tuple(weights_BTS.shape), self.rate)
        return torch.where(keep_BTS, weights_BTS * (1.0 / (1.0 - self.rate)), torch.zeros_like(weights_BTS))


def build_multi_head_attention(layer: spec.MultiHeadAttention, *shapes: Shape) -> nn.Module:
    return MultiHeadAttention(layer, shapes[0], shapes[1], shapes[-1])


def build_group_query_attention(layer: spec.GroupQueryAttention, *shapes: Shape) -> nn.Module:
    return GroupQueryAttention(layer, shapes[0], shapes[1], shapes[-1])


def build_attention(layer: spec.Attention | spec.AdditiveAttention, *shapes: Shape) -> nn.Module:
    features = shapes[0][-1]
    assert features is not None  # the spec refused it otherwise
    score = layer.score_mode if isinstance(layer, spec.Attention) else "additive"
    return Attention(score, layer.use_scale, layer.dropout, features)


BUILDERS = {
    spec.MultiHeadAttention: build_multi_head_attention,
    spec.GroupQueryAttention: build_group_query_attention,
    spec.Attention: build_attention,
    spec.AdditiveAttention: build_attention,
}
