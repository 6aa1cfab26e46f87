"""Hand-written ports of `block`, a transformer's block."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Correct, with torch's own attention."""

    eps, approximate = 1e-3, "none"

    def __init__(self) -> None:
        super().__init__()
        self.attention = self.attending()
        self.norm1, self.norm2 = nn.LayerNorm(8, eps=self.eps), nn.LayerNorm(8, eps=1e-3)
        self.up, self.down, self.logits = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 3)

    def attending(self) -> nn.Module:
        return nn.MultiheadAttention(8, 2, batch_first=True)

    def attended(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.attention(x, x, x, need_weights=False)[0]

    def result(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm1(self.attended(x))
        x = self.norm2(x + self.down(functional.gelu(self.up(x), approximate=self.approximate)))
        return self.result(self.logits(x.mean(1)))


class OwnAttention(nn.Module):
    """Attention in four Linear layers, declared in another order than Keras's."""

    scale: float = 4**-0.5

    def __init__(self) -> None:
        super().__init__()
        self.out_proj, self.k_proj, self.v_proj, self.q_proj = (nn.Linear(8, 8) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (layer(x).unflatten(-1, (2, 4)).transpose(1, 2)
                   for layer in (self.q_proj, self.k_proj, self.v_proj))
        scores = (q @ k.transpose(-1, -2) * self.scale).softmax(-1)
        return self.out_proj((scores @ v).transpose(1, 2).flatten(2))


class OwnBlock(Block):
    """Correct, with an attention of its own."""

    def attending(self) -> nn.Module:
        return OwnAttention()

    def attended(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.attention(x)


class ResidualInside(OwnAttention):
    """A module that holds an attention's weights and more than the attention."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


class ResidualInsideBlock(OwnBlock):
    """Correct."""

    def attending(self) -> nn.Module:
        return ResidualInside()

    def attended(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x)


class FusedAttention(nn.Module):
    """Query, key and value from one Linear."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (item.unflatten(-1, (2, 4)).transpose(1, 2) for item in self.qkv(x).chunk(3, -1))
        return self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class FusedBlock(OwnBlock):
    """Correct."""

    def attending(self) -> nn.Module:
        return FusedAttention()


class Unscaled(OwnAttention):
    scale = 1.0


class UnscaledBlock(OwnBlock):
    def attending(self) -> nn.Module:
        return Unscaled()


class DefaultEpsilon(Block):
    eps = 1e-5


class TanhGelu(Block):
    approximate = "tanh"


class SoftmaxAtTheEnd(Block):
    def result(self, x: torch.Tensor) -> torch.Tensor:
        return x.softmax(-1)


class SequenceFirst(Block):
    """nn.MultiheadAttention without batch_first attends over the batch."""

    def attending(self) -> nn.Module:
        return nn.MultiheadAttention(8, 2)
