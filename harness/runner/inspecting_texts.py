"""Texts for a look at a model: how a language model goes on, what an encoder-decoder answers, what CTC hears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.data.vocabularies import Vocabulary
from harness.runner import next_token
from harness.runner.beam import Beam, beam_search
from harness.runner.sampling import Sampling
from harness.runner.spelling import spelled
from harness.spec.losses import CTC

if TYPE_CHECKING:
    from harness.runner.inspecting import Look

PROMPTS, PROMPT_TOKENS, NEW_TOKENS, TEMPERATURE = 2, 16, 60, 0.8
PAIRS, BEAM = 8, 4
# Characters of a text that are kept.
LONGEST = 2000


def texts_of(look: Look) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """{"texts": ...} or {"pairs": ...}; nothing for a model that writes none, or in no known vocabulary."""
    output = look.plan.outputs[0]
    vocabulary = look.dataset.vocabularies.get(look.target(output))
    targets = look.arrays.y[output.name]
    if len(look.plan.outputs) != 1 or vocabulary is None or targets.ndim != 2 or targets.dtype.kind not in "iu":
        return {}, {}
    if isinstance(output.loss, CTC):
        return {"pairs": _heard(look, vocabulary)}, {}
    if next_token.is_encoder_decoder(look.plan.spec):
        return {"pairs": _answers(look, vocabulary)}, {}
    if _goes_on(look):
        return {"texts": _continued(look, vocabulary)}, {}
    return {}, {}


def _goes_on(look: Look) -> bool:
    """Whether the targets are the inputs, one step on: a language model's."""
    ids, targets = next(iter(look.arrays.x.values())), next(iter(look.arrays.y.values()))
    return ids.shape == targets.shape and bool((ids[:PROMPTS, 1:] == targets[:PROMPTS, :-1]).all())


def _continued(look: Look, vocabulary: Vocabulary) -> list[dict[str, str]]:
    """The first tokens of the split's first blocks, and how the model goes on, drawn with the seed's numbers."""
    spec = look.plan.spec
    ids = look.arrays.x[spec.inputs[0].name]
    next_token.check_language_model(spec, ids.shape[1])
    known = [[int(item) for item in row[:min(PROMPT_TOKENS, max(1, ids.shape[1] // 2))]] for row in ids[:PROMPTS]]
    next_logits = next_token.of_language_model(spec, look.session.predict, len(known), ids.shape[1])
    sampling, first = Sampling(TEMPERATURE, seed=look.seed), len(known[0])
    for step in range(NEW_TOKENS):
        for row, token in zip(known, sampling.choose(next_logits(known), step), strict=True):
            row.append(int(token))
    return [{"prompt": spelled(vocabulary, row[:first])[:LONGEST], "text": spelled(vocabulary, row[first:])[:LONGEST]}
            for row in known]


def _answers(look: Look, vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """The split's first sources, their targets, and what beam search finds."""
    spec = look.plan.spec
    source, target = (look.arrays.x[item.name][:PAIRS] for item in spec.inputs)
    reading = look.dataset.vocabularies.get(spec.inputs[0].name)
    if reading is None:
        return []
    padding = 0 if reading.padding is None else reading.padding
    beam, rows = Beam(BEAM), [[int(item) for item in row if item != padding] for row in source]
    next_logits = next_token.of_encoder_decoder(
        spec, look.session.predict, [row for row in rows for _ in range(BEAM)], target.shape[1])
    unwritten = {place for place in (vocabulary.padding, vocabulary.start) if place is not None}
    starts = [[int(row[0])] for row in target]
    found = beam_search(next_logits, starts, beam, target.shape[1], vocabulary.end, unwritten)
    right = next(iter(look.arrays.y.values()))
    return [{"source": spelled(reading, row)[:LONGEST], "target": _read(vocabulary, right[number]),
             "written": _read(vocabulary, texts[0].tokens), "log_probability": texts[0].log_probability}
            for number, (row, texts) in enumerate(zip(rows, found, strict=True))]


def _heard(look: Look, vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """The split's first examples: their labels, and the likeliest class of each step, repeats and blanks left out."""
    x = {name: array[:PAIRS] for name, array in look.arrays.x.items()}
    best = np.asarray(look.session.predict(x, PAIRS)[0]).argmax(axis=-1)
    heard = [[int(item) for place, item in enumerate(row) if item and (place == 0 or item != row[place - 1])]
             for row in best.tolist()]
    right = next(iter(look.arrays.y.values()))
    return [{"source": f"example {number}", "target": _read(vocabulary, [item for item in right[number] if item]),
             "written": _read(vocabulary, row), "log_probability": None} for number, row in enumerate(heard)]


def _read(vocabulary: Vocabulary, ids: Any) -> str:
    return spelled(vocabulary, [int(item) for item in ids])[:LONGEST]
