"""Hand-written PyTorch modules of three networks, as one writes them: what the twins are held against.

The networks are keras.applications.ResNet50 and MobileNetV2 (inputs N, C, H, W) and the library's
transformer_encoder. Parameters are declared in the order of the twin's: `copy_parameters` moves them across.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut; the stride is in the first, as in Keras."""

    def __init__(self, inputs: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride), batch_norm(4 * width)) \
            if project else nn.Identity()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, stride), batch_norm(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), batch_norm(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1), batch_norm(4 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y.add_(self.shortcut(x)), inplace=True)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1.001e-5, momentum=0.01)


class ResNet50(nn.Module):
    """He et al. 2015, with keras.applications's biases and epsilon. Probabilities (N, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 64, 7, 2, padding=3), batch_norm(64)
        blocks, inputs = [], 64
        for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for index in range(count):
                blocks.append(Bottleneck(inputs, width, stride if index == 0 else 1, index == 0))
                inputs = 4 * width
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(2048, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn(self.stem(x)), inplace=True)
        # Keras pads with zeros, which after a ReLU is what torch's padding does.
        x = self.blocks(F.max_pool2d(x, 3, 2, padding=1))
        return self.classifier(x.mean((2, 3))).softmax(-1)


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection; TensorFlow's padding where the stride is 2."""

    def __init__(self, inputs: int, filters: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False), mobile_norm(width), nn.ReLU6(inplace=True),
        ) if expansion > 1 else nn.Identity()
        self.stride = stride
        self.depthwise = nn.Conv2d(width, width, 3, stride, padding=1 if stride == 1 else 0, groups=width, bias=False)
        self.bn1 = mobile_norm(width)
        self.project, self.bn2 = nn.Conv2d(width, filters, 1, bias=False), mobile_norm(filters)
        self.residual = inputs == filters and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.expand(x)
        if self.stride == 2:
            y = F.pad(y, (0, 1, 0, 1))
        y = F.relu6(self.bn1(self.depthwise(y)), inplace=True)
        y = self.bn2(self.project(y))
        return x + y if self.residual else y


def mobile_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.001)


class MobileNetV2(nn.Module):
    """Sandler et al. 2018, alpha 1. Probabilities (N, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn1 = nn.Conv2d(3, 32, 3, 2, bias=False), mobile_norm(32)
        blocks, inputs = [], 32
        for filters, count, stride, expansion in (
            (16, 1, 1, 1), (24, 2, 2, 6), (32, 3, 2, 6), (64, 4, 2, 6), (96, 3, 1, 6), (160, 3, 2, 6), (320, 1, 1, 6),
        ):
            for index in range(count):
                blocks.append(InvertedResidual(inputs, filters, stride if index == 0 else 1, expansion))
                inputs = filters
        self.blocks = nn.Sequential(*blocks)
        self.head, self.bn2 = nn.Conv2d(320, 1280, 1, bias=False), mobile_norm(1280)
        self.classifier = nn.Linear(1280, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu6(self.bn1(self.stem(F.pad(x, (0, 1, 0, 1)))), inplace=True)
        x = F.relu6(self.bn2(self.head(self.blocks(x))), inplace=True)
        return self.classifier(x.mean((2, 3))).softmax(-1)


class EncoderBlock(nn.Module):
    """Self-attention and feed-forward, normalization behind each sum."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.up, self.down = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.out(y))
        return self.norm2(x + self.down(F.relu(self.up(x))))


class TransformerEncoder(nn.Module):
    """models/transformer_encoder.py without dropout. Probabilities (N, 2)."""

    def __init__(self, steps: int, vocabulary: int, width: int, heads: int, feedforward: int, depth: int) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(steps, width)
        self.register_buffer("places", torch.arange(steps), persistent=False)
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads, feedforward) for _ in range(depth)))
        self.classifier = nn.Linear(width, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.words(ids) + self.positions(self.places)
        return self.classifier(self.blocks(x).mean(1)).softmax(-1)
