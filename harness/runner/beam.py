"""Beam search: the likeliest texts, of which the best few are kept at every step.

As with sampling all is computed here, in float64, from the models' logits: two frameworks find the same texts unless
their logits differ by enough to move one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import SpecError

# From what is written (ids of each text, none empty) to the logits of the next token [texts, vocabulary].
NextLogits = Callable[[list[list[int]]], np.ndarray]
# Nats by which two texts must differ to count as unequally likely: above float32's rounding, far below what matters.
RESOLUTION = 1e-4


@dataclass(frozen=True)
class Beam:
    """width: the texts kept at every step; 1 is greedy. length_penalty: a text's log-probability is divided by its
    length to this power before texts are ranked at the end (0: not at all, which favours short ones)."""

    width: int = 4
    length_penalty: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.width, bool) or not isinstance(self.width, int) or self.width < 1:
            raise SpecError(f"a beam's width is a whole number of at least 1, got {self.width!r}.")
        if not 0 <= self.length_penalty < float("inf"):
            raise SpecError(f"length_penalty is 0 or more, got {self.length_penalty!r}.")

    def ranked(self, log_probability: float, length: int) -> float:
        """What finished texts are compared by, rounded."""
        return float(np.round(log_probability / max(length, 1) ** self.length_penalty / RESOLUTION))


@dataclass(frozen=True)
class Hypothesis:
    """One text. tokens: new ones, with the one that ends it if it `ended`. log_probability: of all of them, natural."""

    tokens: tuple[int, ...]
    log_probability: float
    ended: bool


def beam_search(
    next_logits: NextLogits, starts: Sequence[Sequence[int]], beam: Beam, most: int, stop: int | None = None,
    forbidden: Collection[int] = (),
) -> list[list[Hypothesis]]:
    """For each start up to beam.width texts that go on from it, the best first.

    next_logits: takes beam.width rows for each start, one start behind the other. most: new tokens at most. stop: ends
    a text; None lets all go on to the last. forbidden: tokens that are never written. Of equally likely texts
    (RESOLUTION) the one whose beginning ranked higher goes first, then the one with the smaller id; at the end, the
    one with the smaller ids. Raises SpecError for logits that are none.
    """
    texts = [_Text(list(start), beam, stop) for start in starts]
    banned = sorted(set(forbidden))
    for _ in range(most):
        if all(text.done for text in texts):
            break
        found = log_probabilities(next_logits([row for text in texts for row in text.rows()]))
        found[:, banned] = -np.inf
        for text, rows in zip(texts, found.reshape(len(texts), beam.width, -1), strict=True):
            text.step(rows, most)
    return [text.best() for text in texts]


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """float64 [texts, vocabulary]: the logarithms of the softmax. Raises SpecError for NaN."""
    values = np.asarray(logits, np.float64)
    if np.isnan(values).any():
        raise SpecError("the model's logits hold numbers that are none (NaN).")
    values = values - values.max(axis=-1, keepdims=True)
    return np.asarray(values - np.log(np.exp(values).sum(axis=-1, keepdims=True)))


class _Text:
    """The search from one start. live: the texts that may go on, the best first; finished: those that ended."""

    def __init__(self, start: list[int], beam: Beam, stop: int | None) -> None:
        self.start, self.beam, self.stop = start, beam, stop
        self.live = [Hypothesis((), 0.0, False)]
        self.finished: list[Hypothesis] = []
        self.done = False

    def rows(self) -> list[list[int]]:
        """One row for each place of the beam; empty places repeat the first, so that batches keep their size."""
        known = [[*self.start, *item.tokens] for item in self.live] or [self.start]
        return known + [known[0]] * (self.beam.width - len(known))

    def step(self, found: np.ndarray, most: int) -> None:
        """found: float64 [width, vocabulary], the log-probabilities of the rows' next tokens."""
        if self.done:
            return
        sums = np.array([item.log_probability for item in self.live])[:, None] + found[:len(self.live)]
        # Twice as many as are kept: should all the best ones end, as many others are there to go on.
        order = np.argsort(-np.round(sums / RESOLUTION), axis=None, kind="stable")[:2 * self.beam.width]
        went_on: list[Hypothesis] = []
        for rank, place in enumerate(order.tolist()):
            row, token = divmod(place, found.shape[1])
            if not np.isfinite(sums[row, token]):
                break
            made = Hypothesis((*self.live[row].tokens, token), float(sums[row, token]), token == self.stop)
            if made.ended and rank < self.beam.width:
                self.finished.append(made)
            elif not made.ended and len(went_on) < self.beam.width:
                went_on.append(made)
        self.live = went_on
        self.finished = self._sorted(self.finished)
        self.done = not went_on or self._settled(most)

    def _settled(self, most: int) -> bool:
        """Whether nothing that goes on can still rank among the finished. Log-probabilities only fall."""
        if len(self.finished) < self.beam.width:
            return False
        last = self.finished[-1]
        longest = most if self.beam.length_penalty else 1
        return self.beam.ranked(self.live[0].log_probability, longest) <= \
            self.beam.ranked(last.log_probability, len(last.tokens))

    def best(self) -> list[Hypothesis]:
        return self._sorted([*self.finished, *([] if self.done else self.live)])

    def _sorted(self, items: list[Hypothesis]) -> list[Hypothesis]:
        def key(item: Hypothesis) -> tuple[float, tuple[int, ...]]:
            return -self.beam.ranked(item.log_probability, len(item.tokens)), item.tokens

        return sorted(items, key=key)[:self.beam.width]
