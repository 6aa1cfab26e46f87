"""What a model must beat to have learned anything: figures that need no framework."""

from __future__ import annotations

import numpy as np

from harness.data.dataset import Arrays, Dataset
from harness.errors import DataError

_WEIGHTS = tuple(2.0**power for power in range(-4, 11))


def bigram_perplexity(dataset: Dataset, split: str = "test") -> float:
    """exp of the mean -log p(token | the one before) over the split's targets, by counts of the train split.

    p(b | a) = (n(a, b) + w * p(b)) / (n(a) + w) with p(b) = (n(b) + 1) / (n + vocabulary): a Dirichlet prior on each
    row (MacKay and Bauman Peto 1995); w is the power of 2 that suits the validation split best, or where there is none
    the split itself, to the baseline's advantage. dataset: x and y of ids [n, block], as language_model leaves them.
    Raises DataError for anything else.
    """
    parts = dataset.splits
    if split not in parts or not all(_is_running(part) for part in parts.values()):
        raise DataError("expected one input and one target of ids.", where="bigram_perplexity",
                        hint="Prepare the text with {language_model: {block: 128}}.")
    size = 1 + max(int(max(_pairs(part)[0].max(), _pairs(part)[1].max())) for part in parts.values())
    if dataset.vocabularies.get("y") is not None:
        size = max(size, len(dataset.vocabularies["y"]))
    before, after = _pairs(parts["train"])
    single = np.bincount(after, minlength=size)
    prior = (single + 1) / (single.sum() + size)
    rows = np.bincount(before, minlength=size)
    codes, counts = np.unique(before * size + after, return_counts=True)

    def perplexity(part: Arrays, weight: float) -> float:
        a, b = _pairs(part)
        wanted = a * size + b
        place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
        seen = np.where(codes[place] == wanted, counts[place], 0)
        return float(np.exp(-np.log((seen + weight * prior[b]) / (rows[a] + weight)).mean()))

    tuned = parts.get("validation", parts[split])
    best = min(_WEIGHTS, key=lambda weight: perplexity(tuned, weight))
    return perplexity(parts[split], best)


def _is_running(part: Arrays) -> bool:
    """Whether there is one input of ids and one target of the same shape."""
    arrays = [*part.x.values(), *part.y.values()]
    return (len(part.x) == 1 and set(part.y) == {"y"} and arrays[0].shape == arrays[1].shape
            and all(array.dtype.kind in "iu" for array in arrays))


def _pairs(part: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """(token, next token) of every position, int64 [n * block]."""
    (x,) = part.x.values()
    return x.ravel().astype(np.int64), part.y["y"].ravel().astype(np.int64)
