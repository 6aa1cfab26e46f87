"""Which token comes next: greedy, by temperature, among the k likeliest, among those that hold a share p.

All is computed here, in float64, with numbers of the counter-based generator (plan/randomness.py): two frameworks
choose the same token unless their logits differ by enough to move it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.errors import SpecError
from harness.plan.randomness import generator, uniform


@dataclass(frozen=True)
class Sampling:
    """temperature: divides the logits; 0 takes the likeliest token (the one of the smallest id among equals). top_k:
    only so many of the likeliest count. top_p: only the likeliest that together hold at least this share (Holtzman et
    al. 2019, https://arxiv.org/abs/1904.09751), after top_k. seed: of the random numbers."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise SpecError(f"temperature is 0 or more, got {self.temperature!r}.", hint="0 takes the likeliest token.")
        if self.top_k is not None and self.top_k < 1:
            raise SpecError(f"top_k is 1 or more, got {self.top_k!r}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise SpecError(f"top_p is a share above 0 and up to 1, got {self.top_p!r}.")

    def numbers(self, step: int, texts: int) -> np.ndarray:
        """float64 [texts] in [0, 1): those of the `step`-th token, the same for every backend."""
        key = generator(self.seed, "sampling").integers(-(2**31), 2**31, dtype=np.int32)
        return uniform(np.array([key, step], np.int64).astype(np.int32), texts)

    def choose(self, logits: np.ndarray, step: int) -> np.ndarray:
        """int64 [texts]: the tokens for logits [texts, vocabulary]. Raises SpecError for logits that are none."""
        logits = np.asarray(logits, np.float64)
        if np.isnan(logits).any():
            raise SpecError("the model's logits hold numbers that are none (NaN).")
        if self.temperature == 0:
            return np.argmax(logits, axis=-1)
        weights = np.exp((logits - logits.max(axis=-1, keepdims=True)) / self.temperature)
        kept = np.where(self._kept(weights), weights, 0.0)
        # In the order of the ids: of two tokens that are nearly as likely, neither jumps over the other.
        ends = np.cumsum(kept, axis=-1)
        drawn = self.numbers(step, len(logits))[:, None] * ends[:, -1:]
        return np.argmax(ends > drawn, axis=-1)

    def _kept(self, weights: np.ndarray) -> np.ndarray:
        """Which tokens count, bool [texts, vocabulary]."""
        kept = np.ones(weights.shape, bool)
        if self.top_k is None and self.top_p is None:
            return kept
        order = np.argsort(-weights, axis=-1, kind="stable")
        ranked = np.take_along_axis(weights, order, axis=-1)
        counted = np.ones(weights.shape, bool)
        if self.top_k is not None:
            counted[:, self.top_k:] = False
        if self.top_p is not None:
            shares = np.where(counted, ranked, 0.0)
            before = (np.cumsum(shares, axis=-1) - shares) / shares.sum(axis=-1, keepdims=True)
            counted &= before < self.top_p
        np.put_along_axis(kept, order, counted, axis=-1)
        return kept
