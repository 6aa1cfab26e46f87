"""The networks as a PyTorch user writes them: they end in logits. Images come as (N, 28, 28), words as (N, 100)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.workloads import SIDE, STEPS, Workload


def network(workload: Workload) -> nn.Module:
    """An untrained module."""
    torch.manual_seed(0)
    return NETWORKS[workload.network](num_classes=workload.num_classes, **workload.sizes)


def mlp(num_classes: int, units: tuple[int, ...]) -> nn.Module:
    sizes = (SIDE * SIDE, *units)
    hidden = [layer for before, size in zip(sizes, units, strict=False)
              for layer in (nn.Linear(before, size), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(sizes[-1], num_classes))


def cnn(num_classes: int, filters: tuple[int, ...], units: int) -> nn.Module:
    counts = (1, *filters)
    stages = [layer for before, count in zip(counts, filters, strict=False)
              for layer in (nn.Conv2d(before, count, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))]
    side = SIDE // 2 ** len(filters)
    return nn.Sequential(nn.Unflatten(1, (1, SIDE)), *stages, nn.Flatten(), nn.Linear(counts[-1] * side * side, units),
                         nn.ReLU(), nn.Linear(units, num_classes))


class Convolution(nn.Module):
    """Convolution and batch normalization with Keras's numbers. With stride 2 Keras pads on the far side only."""

    def __init__(self, inputs: int, count: int, size: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.far = size == 3 and stride == 2
        self.conv = nn.Conv2d(inputs, count, size, stride, padding=size // 2 * (not self.far), bias=False)
        self.norm = nn.BatchNorm2d(count, eps=1e-3, momentum=0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(F.pad(x, (0, 1, 0, 1)) if self.far else x))


class Block(nn.Module):
    """Two convolutions around a shortcut (He et al. 2015)."""

    def __init__(self, inputs: int, count: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = Convolution(inputs, count, 3, stride), Convolution(count, count)
        self.shortcut = Convolution(inputs, count, 1, stride) if stride != 1 or inputs != count else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def resnet(num_classes: int, depth: int, filters: int) -> nn.Module:
    blocks, inputs = list[nn.Module](), filters
    for stage in range(3):
        for number in range((depth - 2) // 6):
            blocks.append(Block(inputs, filters * 2**stage, 2 if stage and not number else 1))
            inputs = filters * 2**stage
    return nn.Sequential(nn.Unflatten(1, (1, SIDE)), Convolution(1, filters), nn.ReLU(), *blocks,
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, num_classes))


class Lstm(nn.Module):
    def __init__(self, num_classes: int, vocabulary: int, embedding: int, units: tuple[int, ...]) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, embedding)
        self.recurrent = nn.LSTM(embedding, units[0], len(units), batch_first=True)
        self.predict = nn.Linear(units[-1], num_classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.predict(self.recurrent(self.words(ids))[0][:, -1])


class EncoderBlock(nn.Module):
    """Self-attention, query, key and value in one product; feed-forward; normalization behind each sum."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.heads = heads
        self.together, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm_1, self.norm_2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.up, self.down = nn.Linear(width, feedforward), nn.Linear(feedforward, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.together(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.norm_1(x + self.out(y))
        return self.norm_2(x + self.down(F.relu(self.up(x))))


class Transformer(nn.Module):
    def __init__(self, num_classes: int, vocabulary: int, width: int, heads: int, feedforward: int, depth: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Parameter(torch.randn(STEPS, width) * 0.02)
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads, feedforward) for _ in range(depth)))
        self.predict = nn.Linear(width, num_classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.predict(self.blocks(self.words(ids) + self.places).mean(1))


NETWORKS: dict[str, Any] = {"mlp": mlp, "cnn": cnn, "resnet": resnet, "lstm": Lstm, "transformer": Transformer}
