"""Hand-written ports of `text`, `recurrent`, `old_gru` and `frozen`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def one_bias(module: Any) -> Any:
    """An nn.LSTM with Keras's single bias."""
    for name, parameter in module.named_parameters():
        if name.startswith("bias_hh"):
            nn.init.zeros_(parameter)
            parameter.requires_grad_(False)
    return module


class Text(nn.Module):
    """Correct."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = self.table()
        self.lstm = self.layer()
        self.head = nn.Linear(4, 1)

    def table(self) -> nn.Module:
        return nn.Embedding(7, 6)

    def layer(self) -> nn.Module:
        return one_bias(nn.LSTM(6, 4, batch_first=True))

    def last(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0][:, -1]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.last(self.embedding(ids)))


class TwoBiases(Text):
    def layer(self) -> nn.Module:
        return nn.LSTM(6, 4, batch_first=True)


class PaddingRow(Text):
    def table(self) -> nn.Module:
        return nn.Embedding(7, 6, padding_idx=0)


class FirstStep(Text):
    def last(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0][:, 0]


class OwnLSTM(nn.Module):
    """A cell of one's own, its gates in a given order."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.order = order
        self.weight = nn.Parameter(torch.randn(6, 16))
        self.recurrent = nn.Parameter(torch.randn(4, 16))
        self.bias = nn.Parameter(torch.randn(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = c = x.new_zeros(len(x), 4)
        for step in x.unbind(1):
            blocks = (step @ self.weight + h @ self.recurrent + self.bias).chunk(4, -1)
            i, f, g, o = (blocks[index] for index in self.order)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return h


class OwnGates(Text):
    """Correct, with a cell of its own."""

    order: tuple[int, ...] = (0, 1, 2, 3)

    def layer(self) -> nn.Module:
        return OwnLSTM(self.order)

    def last(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)


class OutputGateThird(OwnGates):
    order = (0, 1, 3, 2)


class Recurrent(nn.Module):
    """Correct: a GRU has Keras's two biases."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.GRU(3, 4, bidirectional=True)
        self.gru = nn.GRU(8, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, _ = self.both(x.transpose(0, 1))
        _, state = self.gru(x)
        return self.head(state[-1])


class OldGRU(nn.Module):
    """torch has one form of the GRU only."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = one_bias(nn.GRU(3, 4, batch_first=True))
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(x)[0][:, -1])


class Frozen(nn.Module):
    """Correct: what is frozen stays in inference mode."""

    def __init__(self) -> None:
        super().__init__()
        self.base, self.bn, self.head = nn.Linear(6, 5), nn.BatchNorm1d(5, eps=1e-3), nn.Linear(5, 1)
        self.base.requires_grad_(False)
        self.bn.requires_grad_(False)

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        self.bn.eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.bn(self.base(x)))


class FrozenButCounting(Frozen):
    """The parameters are frozen, the statistics are not."""

    def train(self, mode: bool = True) -> Any:
        return nn.Module.train(self, mode)


class Thawed(Frozen):
    """The base was to be frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.base.requires_grad_(True)


def sgd(parameters: Any) -> torch.optim.Optimizer:
    """As Keras's."""
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)


def nesterov(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True)
