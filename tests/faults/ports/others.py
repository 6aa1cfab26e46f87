"""Correct ports of further kinds of models."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Separable(nn.Module):
    """A separable convolution is two modules."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(3, 6, 3, padding=1, groups=3, bias=False)
        self.pointwise = nn.Conv2d(6, 5, 1)
        self.depth = nn.Conv2d(5, 5, 3, groups=5)
        self.slope, self.norm = nn.PReLU(5), nn.GroupNorm(1, 5, eps=1e-3)
        self.up, self.head = nn.ConvTranspose2d(5, 2, 2, stride=2), nn.Linear(2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.slope(self.depth(self.pointwise(self.depthwise(x)))))
        return self.head(self.up(x).amax((2, 3)))


class Stacked(nn.Module):
    """Turns its input by itself; two layers in one nn.GRU, its dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3, padding=1)
        self.rnn = nn.GRU(4, 5, num_layers=2, batch_first=True, dropout=0.1)
        self.kind, self.chance = nn.Linear(5, 2), nn.Linear(5, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        x = self.rnn(x)[0][:, -1]
        return self.kind(x), torch.sigmoid(self.chance(x))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.left, self.head = nn.Embedding(6, 3), nn.Linear(4, 3), nn.Linear(6, 1)

    def forward(self, numbers: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([functional.elu(self.left(numbers)), self.table(ids).mean(1)], 1))


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.twice, self.head = nn.Sequential(nn.Linear(4, 4), nn.Tanh()), nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.twice(self.twice(x)))


class Cells(nn.Module):
    """A loop over nn.LSTMCell, its second bias held at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTMCell(3, 4), nn.Linear(4, 1)
        nn.init.zeros_(self.cell.bias_hh)
        self.cell.bias_hh.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = c = x.new_zeros(len(x), 4)
        for step in x.unbind(1):
            h, c = self.cell(step, (h, c))
        return self.head(h)


class Branches(nn.Module):
    """Declared and called in the other order than in Keras, under names that say nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.sides, self.head = nn.ModuleList([nn.Linear(3, 4), nn.Linear(3, 4)]), nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        right = torch.tanh(self.sides[0](x))
        return self.head(torch.cat([torch.relu(self.sides[1](x)), right], -1))


class Bare(nn.Module):
    """Parameters of its own in place of a module."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(3))
        self.head = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(x @ self.weight + self.bias))
