"""harness.generate: texts that a model writes, in either framework, with the same random numbers or by beam search."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.backends import load_backend
from harness.backends.contract import Backend, State, Weights
from harness.errors import DataError, SpecError
from harness.models import load_model
from harness.plan.binding import Arrays
from harness.plan.compiler import compile_phase
from harness.runner import next_token
from harness.runner.beam import Beam, NextLogits, beam_search
from harness.runner.next_token import check_language_model, check_writes, is_encoder_decoder, source_vocabulary
from harness.runner.pretrained import named_weights
from harness.runner.sampling import Sampling
from harness.runner.workers import Job, Worker
from harness.spec.execution import Execution
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

__all__ = ["Generated", "check_language_model", "generate", "generate_job", "save_weights"]

Prompt = str | Sequence[int] | Sequence[str] | Sequence[Sequence[int]]


@dataclass(frozen=True)
class Generated:
    """ids: of every text, its prompt in front; of an encoder-decoder what it wrote, the start symbol left out. texts:
    the same in words, None without a tokenizer. logits: float32 [texts][new tokens, vocabulary] from which each token
    was chosen, None where they were not asked for. beams: with beam search, of every text the new tokens and their
    log-probability, the best first."""

    backend: str
    ids: list[list[int]]
    texts: list[str] | None
    logits: list[np.ndarray] | None = None
    beams: list[list[tuple[list[int], float]]] | None = None


def generate(
    model: ModelSpec | str, weights: Mapping[str, np.ndarray] | str, prompt: Prompt, *, backend: str = "pytorch",
    max_new_tokens: int = 50, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
    seed: int = 0, stop: int | None = None, tokenizer: Any = None, precision: str = "float32",
    keep_logits: bool = False, worker: Worker | None = None, beam: int | None = None, length_penalty: float = 0.0,
    start: int | None = None,
) -> Generated:
    """Lets a language model go on with a prompt, or an encoder-decoder answer one, token by token, in a process of the
    framework's own.

    model: whose one output has the logits (or, behind a softmax, the probabilities) of each step's next token; it must
    look at no later step. Its first input takes the ids of the text; of an encoder-decoder those of the source, which
    is the prompt, and its second one those of the target so far, which begins with `start`. weights: canonical ones,
    or what a recipe's `weights` takes ("hf:FOLDER"). prompt: a text or several (with tokenizer), ids, or a list of ids
    for each text. temperature 0 is greedy; top_k, top_p, seed: see Sampling. beam: beam search with so many texts, in
    place of sampling; length_penalty: see Beam. stop: the id behind which a text ends. tokenizer: of `tokenizers`, a
    tokenizer.json or its folder. Where a language model's text outgrows the model's steps, its last ones are read.
    Raises SpecError, DataError for ids that the model does not have and for an empty prompt.
    """
    spec = load_model(model)
    sampling = Sampling(temperature, top_k, top_p, seed)
    if max_new_tokens < 1:
        raise SpecError(f"max_new_tokens is 1 or more, got {max_new_tokens!r}.")
    vocabulary, pairs = check_writes(spec), is_encoder_decoder(spec)
    search = None if beam is None else asdict(_beam(beam, length_penalty, keep_logits))
    words = _tokenizer(tokenizer, spec)
    prompts = _ids(prompt, words, source_vocabulary(spec) if pairs else vocabulary)
    sources, prompts = (prompts, [[_start(start, vocabulary)] for _ in prompts]) if pairs else (None, prompts)
    if pairs:
        max_new_tokens = min(max_new_tokens, spec.inputs[1].shape[1] or max_new_tokens)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-generate-")))
        arrays = named_weights(weights, spec) if isinstance(weights, str) else weights
        save_weights(folder / "weights.safetensors", spec, arrays)
        (folder / "asked.json").write_text(json.dumps({
            "model": spec.to_data(), "prompts": prompts, "sampling": asdict(sampling), "new": max_new_tokens,
            "stop": stop, "backend": backend, "precision": precision, "keep_logits": keep_logits, "beam": search,
            "sources": sources}))
        owner = worker or Worker(backend)
        found = owner.run(Job("harness.runner.generating:generate_job", {"folder": str(folder)})).unwrap()
        ids = [item[1:] for item in found["texts"]] if pairs else found["texts"]
        logits = None
        if keep_logits:
            with np.load(folder / "logits.npz") as archive:
                logits = [archive[f"text_{number}"] for number in range(len(ids))]
    texts = None if words is None else [words.decode(item) for item in ids]
    beams = found["beams"] and [[(tokens, score) for tokens, score in item] for item in found["beams"]]
    return Generated(backend, ids, texts, logits, beams)


def _beam(width: int, length_penalty: float, keep_logits: bool) -> Beam:
    if keep_logits:
        raise SpecError("a beam's texts change their beginnings: the logits of each token are kept with sampling only.")
    return Beam(width, length_penalty)


def _start(given: int | None, vocabulary: int) -> int:
    if given is None:
        raise SpecError("which id begins a target? An encoder-decoder writes from a start symbol on.",
                        hint="Give start= (--start 2: what the data's step `sequence_pairs` takes).")
    if not 0 <= given < vocabulary:
        raise DataError(f"the id {given} is not in the vocabulary of {vocabulary}.", where="start")
    return given


def save_weights(path: Path, spec: ModelSpec, weights: Mapping[str, np.ndarray]) -> None:
    """Raises SpecError if they are another model's."""
    from harness.records.checkpoint import check_weights, save_checkpoint

    check_weights(weights, {weight.name: weight.shape for weight in spec.weights})
    save_checkpoint(path, weights)


def _tokenizer(given: Any, spec: ModelSpec) -> Any:
    if given is None:
        return None
    from harness.exchange.pretrained.tokenizer import check_vocabulary, load_tokenizer

    found = load_tokenizer(given) if isinstance(given, (str, Path)) else given
    check_vocabulary(found, spec, where="tokenizer")
    return found


def _ids(prompt: Prompt, tokenizer: Any, vocabulary: int) -> list[list[int]]:
    """A list of ids for each text. Raises DataError."""
    one = isinstance(prompt, str) or not len(prompt) or isinstance(prompt[0], (int, np.integer))
    several: list[Any] = [prompt] if one else list(prompt)
    found: list[list[int]] = []
    for number, item in enumerate(several):
        where = f"prompt {number}"
        if isinstance(item, str):
            if tokenizer is None:
                raise SpecError("a prompt of words needs a tokenizer.", where=where, hint="Give tokenizer=, or ids.")
            item = tokenizer.encode(item, add_special_tokens=False).ids
        if not all(isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in item):
            raise DataError(f"expected a text or whole numbers, got {item!r}.", where=where)
        ids = [int(one) for one in item]
        if not ids:
            raise DataError("the prompt is empty: there is nothing to go on with.", where=where,
                            hint="Begin with the token that stands before a text.")
        wrong = [one for one in ids if not 0 <= one < vocabulary]
        if wrong:
            raise DataError(f"the id {wrong[0]} is not in the vocabulary of {vocabulary}.", where=where)
        found.append(ids)
    return found


def generate_job(arguments: Mapping[str, Any], emit: Any) -> dict[str, Any]:
    """The workers' entry point: {"texts": the ids of every text, "beams": with beam search every text's hypotheses};
    with keep_logits their logits in FOLDER/logits.npz."""
    folder = Path(arguments["folder"])
    asked = json.loads((folder / "asked.json").read_text())
    if asked["beam"] is not None:
        return _searched(asked, folder)
    sampling = Sampling(**asked["sampling"])
    texts = [list(item) for item in asked["prompts"]]
    kept: list[list[np.ndarray]] = [[] for _ in texts]
    open_ = list(range(len(texts)))
    with _model(asked, folder) as next_logits:
        for step in range(asked["new"]):
            # All texts are computed, ended ones too: a batch of one size is compiled once.
            found = next_logits(texts)
            chosen = sampling.choose(found, step)
            for number in open_:
                texts[number].append(int(chosen[number]))
                if asked["keep_logits"]:
                    kept[number].append(found[number])
            open_ = [number for number in open_ if texts[number][-1] != asked["stop"]]
            if not open_:
                break
    if asked["keep_logits"]:
        np.savez(folder / "logits.npz", **{f"text_{number}": np.stack(item)  # type: ignore[arg-type]
                                           for number, item in enumerate(kept)})
    return {"texts": texts, "beams": None}


def _searched(asked: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What `generate_job` gives, by beam search."""
    beam = Beam(**asked["beam"])
    with _model(asked, folder, beam.width) as next_logits:
        found = beam_search(next_logits, asked["prompts"], beam, asked["new"], asked["stop"])
    return {"texts": [[*prompt, *items[0].tokens] for prompt, items in zip(asked["prompts"], found, strict=True)],
            "beams": [[(list(item.tokens), item.log_probability) for item in items] for items in found]}


@contextlib.contextmanager
def _model(asked: Mapping[str, Any], folder: Path, copies: int = 1) -> Iterator[NextLogits]:
    """A function from texts (ids), `copies` for each prompt, to the logits of their next tokens [texts, vocabulary]."""
    from harness.records.checkpoint import load_checkpoint

    spec = ModelSpec.from_data(asked["model"])
    weights = load_checkpoint(folder / "weights.safetensors").weights
    backend, execution = load_backend(asked["backend"]), Execution.parse({"precision": asked["precision"]})
    backend.configure(execution)
    with predicting(spec, weights, backend, execution) as predict:
        if asked["sources"] is None:
            yield next_token.of_language_model(spec, predict, copies * len(asked["prompts"]))
        else:
            sources = [source for source in asked["sources"] for _ in range(copies)]
            yield next_token.of_encoder_decoder(spec, predict, sources, asked["new"])


@contextlib.contextmanager
def predicting(
    spec: ModelSpec, weights: Weights, backend: Backend, execution: Execution,
) -> Iterator[next_token.Predict]:
    """`predict` of a session that is opened for nothing else, in a process that is configured."""
    # A session wants a plan; what is only predicted reads neither loss nor targets.
    trainable = spec.with_trainable(dict.fromkeys(spec.layers, True))
    (phase,) = Recipe.parse({"loss": "mse"}).resolved_phases()
    plan = compile_phase(trainable, phase, index=0, examples=1, seed=0, dtype=execution.dtype)
    output = plan.outputs[0]
    zeros = np.zeros([size or 1 for size in spec.tensors[output.node]], execution.dtype)
    x = {item.name: np.ones([1, *(size or 1 for size in item.shape[1:])], item.dtype) for item in spec.inputs}
    session = backend.open(plan, State(dict(weights)), Arrays(x, {output.name: zeros}), execution)
    try:
        yield session.predict
    finally:
        session.close()
