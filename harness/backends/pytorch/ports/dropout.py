"""Dropout of a user's module: seen, noted with its rate, and left out, so that what remains can be compared."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

DROPPING = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout",
            "feature_dropout")


class Drops:
    """Notes what would drop: (name, rate) of every dropout that is active, in the order of the calls."""

    def __init__(self) -> None:
        self._noted: list[tuple[str, float]] = []
        self._watching = False

    def taken(self) -> list[tuple[str, float]]:
        """What was noted since the last time."""
        noted, self._noted = self._noted, []
        return noted

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """While a pass is looked at."""
        self._watching = True
        try:
            yield
        finally:
            self._watching = False

    def note(self, name: str, rate: float, active: bool) -> None:
        """A dropout was reached."""
        if self._watching and active and rate > 0:
            self._noted.append((name, float(rate)))

    def silence(self, net: nn.Module) -> None:
        """Leaves out every dropout of this process and of the module, for good."""
        for name in DROPPING:
            if hasattr(functional, name):
                setattr(functional, name, self._instead(getattr(functional, name), name))
        torch.dropout = self._torch_dropout  # type: ignore[assignment]
        own = functional.scaled_dot_product_attention
        functional.scaled_dot_product_attention = self._attention(own)
        for module in net.modules():
            if isinstance(module, (nn.LSTM, nn.GRU, nn.RNN, nn.MultiheadAttention)) and module.dropout > 0:
                module.register_forward_pre_hook(self._noting(type(module).__name__, float(module.dropout)))
                module.dropout = 0.0

    def _instead(self, own: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(own)
        def drop(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
            self.note(name, p, training)
            return input

        return drop

    def _torch_dropout(self, input: Any, p: float, train: bool) -> Any:
        self.note("dropout", p, train)
        return input

    def _attention(self, own: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(own)
        def attention(query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
                      *rest: Any, **named: Any) -> Any:
            self.note("scaled_dot_product_attention", dropout_p, dropout_p > 0)
            return own(query, key, value, attn_mask, 0.0, *rest, **named)

        return attention

    def _noting(self, name: str, rate: float) -> Callable[..., None]:
        def hook(module: nn.Module, _inputs: Any) -> None:
            self.note(name, rate, module.training)

        return hook
