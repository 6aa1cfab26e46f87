"""What a model says of the next token: of a text (language model), or of a target to a source (encoder-decoder)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from harness.errors import DataError, SpecError
from harness.exchange.pretrained.tokenizer import vocabulary_size
from harness.runner.beam import NextLogits
from harness.spec.model import ModelSpec

MASK = "attention_mask"
# Inputs by name and the rows of a batch -> outputs: a session's `predict`.
Predict = Callable[[Mapping[str, np.ndarray], int], tuple[np.ndarray, ...]]


def is_encoder_decoder(spec: ModelSpec) -> bool:
    """Whether the model reads the ids of a source and of the target so far, and says each next symbol of the target."""
    if len(spec.inputs) != 2 or len(spec.outputs) != 1 or MASK in (item.name for item in spec.inputs):
        return False
    source, target = spec.inputs
    shape = spec.tensors[spec.outputs[0]]
    ids = all(len(item.shape) == 2 and item.dtype.startswith(("int", "uint")) for item in (source, target))
    return ids and len(shape) == 3 and shape[1] == target.shape[1] and shape[2] is not None


def check_writes(spec: ModelSpec) -> int:
    """The size of the vocabulary in which the model writes. Raises SpecError if it is neither kind."""
    if is_encoder_decoder(spec):
        size = spec.tensors[spec.outputs[0]][2]
        assert size is not None
        return size
    return check_language_model(spec)


def check_language_model(spec: ModelSpec, steps: int | None = None) -> int:
    """The size of the vocabulary. steps: where the model leaves them open. Raises SpecError for a model that does not
    say the next token of every step."""
    ids = spec.inputs[0]
    others = [item.name for item in spec.inputs[1:] if item.name != MASK]
    shape = spec.tensors[spec.outputs[0]]
    if others or len(spec.outputs) != 1 or len(ids.shape) != 2 or len(shape) != 3 or shape[1] != ids.shape[1]:
        raise SpecError(
            f"the model {spec.name!r} is no language model: it takes {[item.name for item in spec.inputs]} and gives "
            f"{[spec.tensors[name] for name in spec.outputs]}, expected ids (batch, steps), perhaps {MASK}, and logits "
            "(batch, steps, vocabulary).")
    if (ids.shape[1] or steps) is None or shape[2] is None:
        raise SpecError(f"the model {spec.name!r} leaves its number of steps open.", hint="Give input_shape=(steps,).")
    rows = vocabulary_size(spec)
    if rows not in (None, shape[2]):
        raise SpecError(f"the model {spec.name!r} takes {rows} ids and gives {shape[2]} numbers for each step: these "
                        "are no logits of the next token.", hint="Of gpt2, give head=language_model.")
    return shape[2]


def of_language_model(spec: ModelSpec, predict: Predict, rows: int, steps: int | None = None) -> NextLogits:
    """For texts of any length, `rows` of them at every call; of one longer than the model's steps its last are read.

    Raises SpecError if the model looks at later tokens: when first called.
    """
    steps = spec.inputs[0].shape[1] or steps
    assert steps is not None
    probabilities = ends_in_softmax(spec)

    def logits(known: list[list[int]], padding: int = 0) -> np.ndarray:
        window = [item[-steps:] for item in known]
        ids, lengths = _padded(window, rows, steps, padding)
        mask = (np.arange(steps) < lengths[:, None]).astype(np.int32)
        fed = {item.name: (mask if item.name == MASK else ids).astype(item.dtype) for item in spec.inputs}
        return _last(predict(fed, rows)[0], lengths, probabilities)

    return _checked(logits, spec)


def of_encoder_decoder(
    spec: ModelSpec, predict: Predict, sources: Sequence[Sequence[int]], steps: int | None = None,
) -> NextLogits:
    """For as many targets as there are sources, each with its start in front. steps: the target's, where the model
    leaves them open. Raises SpecError for a source or a target longer than the model's steps."""
    source, target = spec.inputs
    longest = max(map(len, sources))
    places, room = source.shape[1] or longest, target.shape[1] or steps
    assert room is not None
    if longest > places:
        raise SpecError(f"the source has {longest} tokens, the model {spec.name!r} reads {places}.")
    read, _ = _padded(sources, len(sources), places, 0)
    probabilities = ends_in_softmax(spec)

    def logits(known: list[list[int]], padding: int = 0) -> np.ndarray:
        if max(map(len, known)) > room:
            raise SpecError(f"the target has {max(map(len, known))} tokens, the model {spec.name!r} writes {room}.")
        ids, lengths = _padded(known, len(sources), room, padding)
        fed = {source.name: read.astype(source.dtype), target.name: ids.astype(target.dtype)}
        return _last(predict(fed, len(sources))[0], lengths, probabilities)

    return _checked(logits, spec)


def _checked(logits: Callable[..., np.ndarray], spec: ModelSpec) -> NextLogits:
    """The same function; the first call also checks that the model looks at no later token."""
    unchecked = [True]

    def next_logits(known: list[list[int]]) -> np.ndarray:
        found = logits(known)
        if unchecked:
            unchecked.clear()
            other, size = logits(known, 1), float(np.abs(found[np.isfinite(found)]).max(initial=1.0))
            if not np.allclose(found, other, rtol=1e-4, atol=1e-4 * size):
                raise SpecError(
                    f"the model {spec.name!r} looks at later tokens, which are not known while a text is made.",
                    hint="A language model's attention has use_causal_mask=True.")
        return found

    return next_logits


def _padded(
    known: Sequence[Sequence[int]], rows: int, steps: int, padding: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(ids int32 [rows, steps], their lengths [rows])."""
    if len(known) != rows:
        raise DataError(f"expected {rows} texts, got {len(known)}.")
    ids = np.full((rows, steps), padding, np.int32)
    for row, item in enumerate(known):
        ids[row, :len(item)] = item
    return ids, np.array([len(item) for item in known])


def _last(found: np.ndarray, lengths: np.ndarray, probabilities: bool) -> np.ndarray:
    """What stands at each text's last token, as logits [texts, vocabulary]."""
    last = np.asarray(found)[np.arange(len(lengths)), lengths - 1]
    with np.errstate(divide="ignore"):
        return np.log(last) if probabilities else last


def ends_in_softmax(spec: ModelSpec) -> bool:
    node = next(node for node in spec.nodes if node.name == spec.outputs[0])
    layer = spec.layers[node.layer]
    return getattr(layer, "activation", None) == "softmax" or type(layer).__name__ == "Softmax"


def source_vocabulary(spec: ModelSpec) -> int:
    """How many ids the first input takes; without an Embedding that reads it, as many as the model writes."""
    return vocabulary_size(spec) or check_writes(spec)
