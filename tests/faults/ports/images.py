"""Hand-written ports of the model `images`: correct ones and classic mistakes, one method each."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Port(nn.Module):
    """Correct, but that torch's BatchNorm keeps the unbiased variance."""

    eps, momentum, rate = 1e-3, 0.01, 0.25

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1)
        self.bn = self.normalization()
        self.conv2 = self.strided()
        self.conv3 = nn.Conv2d(4, 4, 3, padding=1)
        self.drop = nn.Dropout(self.rate)
        self.hidden = nn.Linear(64, 16)
        self.square = nn.Linear(16, 16)
        self.head = nn.Linear(16, 3)

    def normalization(self) -> nn.Module:
        return nn.BatchNorm2d(4, eps=self.eps, momentum=self.momentum)

    def strided(self) -> nn.Module:
        return nn.Conv2d(4, 4, 3, stride=2)

    def given(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def normalized(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.bn(x))

    def downsampled(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(functional.pad(x, (0, 1, 0, 1)))

    def activation(self, x: torch.Tensor) -> torch.Tensor:
        return functional.leaky_relu(x, 0.3)

    def residual(self, x: torch.Tensor, y: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        return x + y

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    def flatten(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)

    def dropped(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(x)

    def result(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.normalized(self.conv1(self.given(x)))
        before = self.downsampled(x)
        x = y = self.activation(before)
        x = self.residual(self.conv3(x), y, before)
        x = self.flatten(self.pool(x))
        x = self.dropped(torch.relu(self.hidden(x)))
        return self.result(self.head(torch.tanh(self.square(x))))


class BiasedBatchNorm(nn.BatchNorm2d):
    """Keeps the biased variance, as Keras does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        with torch.no_grad():
            self.running_mean.lerp_(x.mean((0, 2, 3)), self.momentum)
            self.running_var.lerp_(x.var((0, 2, 3), unbiased=False), self.momentum)
        return functional.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)


class Exact(Port):
    """Correct in everything."""

    def normalization(self) -> nn.Module:
        return BiasedBatchNorm(4, eps=self.eps, momentum=self.momentum)


class ChannelsFirstFlatten(Exact):
    def flatten(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


class DefaultEpsilon(Exact):
    eps = 1e-5


class DefaultMomentum(Exact):
    momentum = 0.1


class SymmetricPadding(Exact):
    def strided(self) -> nn.Module:
        return nn.Conv2d(4, 4, 3, stride=2, padding=1)

    def downsampled(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(x)


class PaddedBefore(Exact):
    """F.pad, but on the wrong side."""

    def downsampled(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(functional.pad(x, (1, 0, 1, 0)))


class DefaultSlope(Exact):
    def activation(self, x: torch.Tensor) -> torch.Tensor:
        return functional.leaky_relu(x)


class NoActivation(Exact):
    def normalized(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(x)


class ActivationFirst(Exact):
    """ReLU before the normalization."""

    def normalized(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(torch.relu(x))


class ResidualBeforeActivation(Exact):
    def residual(self, x: torch.Tensor, y: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        return x + before


class CountsPads(Exact):
    def pool(self, x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(x, 3, 1, 1)


class KeepsOneQuarter(Exact):
    rate = 0.75


class DropsAlways(Exact):
    def dropped(self, x: torch.Tensor) -> torch.Tensor:
        return functional.dropout(x, self.rate)


class Probabilities(Exact):
    def result(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x, -1)


class NormalizationInInference(Exact):
    def normalized(self, x: torch.Tensor) -> torch.Tensor:
        self.bn.eval()
        return super().normalized(x)


class ScaledInput(Exact):
    def given(self, x: torch.Tensor) -> torch.Tensor:
        return x / 255


class Detached(Exact):
    def residual(self, x: torch.Tensor, y: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        return x + y.detach()


class FrozenByHand(Exact):
    def __init__(self) -> None:
        super().__init__()
        self.conv3.requires_grad_(False)


class NoBias(Exact):
    """A parameter that the Keras model has is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, 16, bias=False)


def adam(parameters: Any) -> torch.optim.Optimizer:
    """torch's defaults."""
    return torch.optim.Adam(parameters, lr=1e-3)


def good_step(net: nn.Module, optimizer: Any, x: torch.Tensor, y: torch.Tensor) -> None:
    net.train()
    optimizer.zero_grad()
    functional.cross_entropy(net(x), y).backward()
    optimizer.step()


def step_without_train(net: nn.Module, optimizer: Any, x: torch.Tensor, y: torch.Tensor) -> None:
    optimizer.zero_grad()
    functional.cross_entropy(net(x), y).backward()
    optimizer.step()


def step_without_clearing(net: nn.Module, optimizer: Any, x: torch.Tensor, y: torch.Tensor) -> None:
    net.train()
    functional.cross_entropy(net(x), y).backward()
    optimizer.step()


def step_with_a_sum(net: nn.Module, optimizer: Any, x: torch.Tensor, y: torch.Tensor) -> None:
    net.train()
    optimizer.zero_grad()
    functional.cross_entropy(net(x), y, reduction="sum").backward()
    optimizer.step()
