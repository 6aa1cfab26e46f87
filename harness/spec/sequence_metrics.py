"""Metrics over sequences of ids, which Keras does not have, as data: BLEU and error rates of words and characters.

Labels are ids [n, length]; predictions are one value per id [n, steps, ids], of which the largest counts, or ids
themselves [n, steps]. They are computed on the host, by sacrebleu and RapidFuzz (`pip install harness[text]`).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.spec.metric_base import Metric

Id = Annotated[int, Field(ge=0)]


class SequenceMetric(Metric):
    """Base. ignore_class: the id of the padding, which counts on neither side. end: the id behind which nothing counts.
    decode: "argmax" takes the steps as they are; "ctc" joins equal neighbours and leaves out the blank (0)."""

    ignore_class: int | None = 0
    end: Id | None = None
    decode: Literal["argmax", "ctc"] = "argmax"


class BLEU(SequenceMetric):
    """BLEU of the whole set, from 0 to 1 (Papineni et al. 2002; sacrebleu with the ids for words).

    smooth_method: sacrebleu's, for the n-grams of which there are none.
    """

    max_ngram_order: Annotated[int, Field(ge=1, le=8)] = 4
    smooth_method: Literal["exp", "floor", "add-k", "none"] = "exp"

    @classmethod
    def default_name(cls) -> str:
        return "bleu"


class WordErrorRate(SequenceMetric):
    """Insertions, deletions and substitutions over the number of labels, of the whole set; ids are words."""

    direction: ClassVar[Literal["up", "down"]] = "down"

    @classmethod
    def default_name(cls) -> str:
        return "wer"


class CharacterErrorRate(SequenceMetric):
    """The same where the ids are characters."""

    direction: ClassVar[Literal["up", "down"]] = "down"

    @classmethod
    def default_name(cls) -> str:
        return "cer"
