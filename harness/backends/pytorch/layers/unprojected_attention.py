"""Attention without projections in PyTorch: keras.layers.Attention and AdditiveAttention.

Shape letters: B batch, T query steps, S key and value steps, D features, V value size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.masks import Masks
from harness.backends.pytorch.randomness import Keyed
from harness.backends.pytorch.weights import same
from harness.spec.layers import attention as spec
from harness.spec.layers.base import Shape


class Attention(Keyed):
    """keras.layers.Attention or AdditiveAttention: no projections; scores "dot", "concat" or "additive".

    Hidden scores are lowered by 1e9, not replaced: a query that sees nothing weighs the values by its scores.
    """

    keras_weights = {"scale": same("scale"), "concat_score_weight": same("concat_score_weight")}

    def __init__(self, score: str, features: int, use_scale: bool = False, rate: float = 0.0) -> None:
        super().__init__()
        self.score, self.rate = score, rate
        size = (features,) if score == "additive" else ()
        self.scale = nn.Parameter(torch.empty(size)) if use_scale else None
        self.concat_score_weight = nn.Parameter(torch.empty(())) if score == "concat" else None

    def extra_repr(self) -> str:
        return f"{self.score}, dropout={self.rate}"

    def forward(
        self, query_BTD: torch.Tensor, value_BSV: torch.Tensor, key_BSD: torch.Tensor | None = None, *,
        masks: Masks | None = None, use_causal_mask: bool = False, return_attention_scores: bool = False,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        key_BSD = value_BSV if key_BSD is None else key_BSD
        drops = self.training and self.rate > 0
        mask_BS = None if masks is None else masks[1]
        weights_BTS = None
        if self.score == "dot" and mask_BS is None and not drops and not return_attention_scores:
            scaled_BTD = query_BTD if self.scale is None else query_BTD * self.scale
            y_BTV = F.scaled_dot_product_attention(scaled_BTD, key_BSD, value_BSV, is_causal=use_causal_mask, scale=1.0)
        else:
            weights_BTS = self._weights(query_BTD, key_BSD, mask_BS, use_causal_mask, drops)
            y_BTV = weights_BTS @ value_BSV
        if masks is not None and masks[0] is not None:
            y_BTV = torch.where(masks[0].unsqueeze(-1), y_BTV, torch.zeros_like(y_BTV))
        return (y_BTV, weights_BTS) if return_attention_scores and weights_BTS is not None else y_BTV

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
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
        return self.dropout(weights_BTS, self.rate) if drops else weights_BTS


def build_attention(layer: spec.Attention | spec.AdditiveAttention, *shapes: Shape) -> nn.Module:
    features = shapes[0][-1]
    assert features is not None  # the spec refused it otherwise
    score = layer.score_mode if isinstance(layer, spec.Attention) else "additive"
    return Attention(score, features, layer.use_scale, layer.dropout)
