"""harness.generate: texts that a language model goes on with, in either framework, with the same random numbers."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError, SpecError
from harness.exchange.pretrained.tokenizer import vocabulary_size
from harness.models import load_model
from harness.runner.pretrained import named_weights
from harness.runner.sampling import Sampling
from harness.runner.workers import Job, Worker
from harness.spec.execution import Execution
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

Prompt = str | Sequence[int] | Sequence[str] | Sequence[Sequence[int]]
MASK = "attention_mask"


@dataclass(frozen=True)
class Generated:
    """ids: of every text, its prompt in front. texts: the same in words, None without a tokenizer. logits: float32
    [texts][new tokens, vocabulary] from which each token was chosen, None where they were not asked for."""

    backend: str
    ids: list[list[int]]
    texts: list[str] | None
    logits: list[np.ndarray] | None = None


def generate(
    model: ModelSpec | str, weights: Mapping[str, np.ndarray] | str, prompt: Prompt, *, backend: str = "pytorch",
    max_new_tokens: int = 50, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
    seed: int = 0, stop: int | None = None, tokenizer: Any = None, precision: str = "float32",
    keep_logits: bool = False, worker: Worker | None = None,
) -> Generated:
    """Lets a language model go on with a prompt, token by token, in a process of the framework's own.

    model: whose one output has the logits (or, behind a softmax, the probabilities) of each step's next token, and
    whose first input takes ids; it must look at no later step. weights: canonical ones, or what a recipe's `weights`
    takes ("hf:FOLDER"). prompt: a text or several (with tokenizer), ids, or a list of ids for each text. temperature 0
    is greedy; top_k, top_p, seed: see Sampling. stop: the id behind which a text ends. tokenizer: of `tokenizers`, a
    tokenizer.json or its folder. Where a text outgrows the model's steps, its last ones are read. Raises SpecError,
    DataError for ids that the model does not have and for an empty prompt.
    """
    spec = load_model(model)
    sampling = Sampling(temperature, top_k, top_p, seed)
    if max_new_tokens < 1:
        raise SpecError(f"max_new_tokens is 1 or more, got {max_new_tokens!r}.")
    vocabulary = check_language_model(spec)
    words = _tokenizer(tokenizer, spec)
    prompts = _ids(prompt, words, vocabulary)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-generate-")))
        arrays = named_weights(weights, spec) if isinstance(weights, str) else weights
        save_weights(folder / "weights.safetensors", spec, arrays)
        (folder / "asked.json").write_text(json.dumps({
            "model": spec.to_data(), "prompts": prompts, "sampling": asdict(sampling), "new": max_new_tokens,
            "stop": stop, "backend": backend, "precision": precision, "keep_logits": keep_logits}))
        owner = worker or Worker(backend)
        ids = owner.run(Job("harness.runner.generating:generate_job", {"folder": str(folder)})).unwrap()
        logits = None
        if keep_logits:
            with np.load(folder / "logits.npz") as archive:
                logits = [archive[f"text_{number}"] for number in range(len(ids))]
    texts = None if words is None else [words.decode(item) for item in ids]
    return Generated(backend, ids, texts, logits)


def save_weights(path: Path, spec: ModelSpec, weights: Mapping[str, np.ndarray]) -> None:
    """Raises SpecError if they are another model's."""
    from harness.records.checkpoint import check_weights, save_checkpoint

    check_weights(weights, {weight.name: weight.shape for weight in spec.weights})
    save_checkpoint(path, weights)


def check_language_model(spec: ModelSpec) -> int:
    """The size of the vocabulary. Raises SpecError for a model that does not say the next token of every step."""
    ids = spec.inputs[0]
    others = [item.name for item in spec.inputs[1:] if item.name != MASK]
    shape = spec.tensors[spec.outputs[0]]
    if others or len(spec.outputs) != 1 or len(ids.shape) != 2 or len(shape) != 3 or shape[1] != ids.shape[1]:
        raise SpecError(
            f"the model {spec.name!r} is no language model: it takes {[item.name for item in spec.inputs]} and gives "
            f"{[spec.tensors[name] for name in spec.outputs]}, expected ids (batch, steps), perhaps {MASK}, and logits "
            "(batch, steps, vocabulary).")
    if ids.shape[1] is None or shape[2] is None:
        raise SpecError(f"the model {spec.name!r} leaves its number of steps open.", hint="Give input_shape=(steps,).")
    rows = vocabulary_size(spec)
    if rows not in (None, shape[2]):
        raise SpecError(f"the model {spec.name!r} takes {rows} ids and gives {shape[2]} numbers for each step: these "
                        "are no logits of the next token.", hint="Of gpt2, give head=language_model.")
    return shape[2]


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


def generate_job(arguments: Mapping[str, Any], emit: Any) -> list[list[int]]:
    """The workers' entry point: the ids of every text; with keep_logits their logits in FOLDER/logits.npz."""
    folder = Path(arguments["folder"])
    asked = json.loads((folder / "asked.json").read_text())
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
    return texts


@contextlib.contextmanager
def _model(asked: Mapping[str, Any], folder: Path) -> Iterator[Any]:
    """A function from texts (ids) to the logits of their next tokens [texts, vocabulary]."""
    from harness.backends import load_backend
    from harness.backends.contract import State
    from harness.plan.binding import Arrays
    from harness.plan.compiler import compile_phase
    from harness.records.checkpoint import load_checkpoint

    spec, backend = ModelSpec.from_data(asked["model"]), load_backend(asked["backend"])
    execution = Execution.parse({"precision": asked["precision"]})
    backend.configure(execution)
    # A session wants a plan; what is only predicted reads neither loss nor targets.
    trainable = spec.with_trainable(dict.fromkeys(spec.layers, True))
    (phase,) = Recipe.parse({"loss": "mse"}).resolved_phases()
    plan = compile_phase(trainable, phase, index=0, examples=1, seed=0, dtype=execution.dtype)
    steps, texts = spec.inputs[0].shape[1], len(asked["prompts"])
    assert steps is not None
    output = plan.outputs[0]
    zeros = np.zeros([size or 1 for size in spec.tensors[output.node]], execution.dtype)
    x = {item.name: np.ones((1, steps), item.dtype) for item in spec.inputs}
    state = State(load_checkpoint(folder / "weights.safetensors").weights)
    session = backend.open(plan, state, Arrays(x, {output.name: zeros}), execution)
    probabilities = _ends_in_softmax(spec)

    def next_logits(known: list[list[int]], padding: int = 0) -> np.ndarray:
        window = [item[-steps:] for item in known]
        ids = np.full((texts, steps), padding, np.int32)
        for row, item in zip(ids, window, strict=True):
            row[:len(item)] = item
        lengths = np.array([len(item) for item in window])
        mask = (np.arange(steps) < lengths[:, None]).astype(np.int32)
        fed = {item.name: (mask if item.name == MASK else ids).astype(item.dtype) for item in spec.inputs}
        (found,) = session.predict(fed, texts)
        last = np.asarray(found)[np.arange(texts), lengths - 1]
        with np.errstate(divide="ignore"):
            return np.log(last) if probabilities else last

    try:
        check_causal(next_logits, asked["prompts"], spec)
        yield next_logits
    finally:
        session.close()


def check_causal(next_logits: Any, prompts: list[list[int]], spec: ModelSpec) -> None:
    """Raises SpecError if other ids behind the prompts change what comes next."""
    one, other = next_logits(prompts), next_logits(prompts, 1)
    if not np.allclose(one, other, rtol=1e-4, atol=1e-4 * float(np.abs(one[np.isfinite(one)]).max(initial=1.0))):
        raise SpecError(f"the model {spec.name!r} looks at later tokens, which are not known while a text is made.",
                        hint="A language model's attention has use_causal_mask=True.")


def _ends_in_softmax(spec: ModelSpec) -> bool:
    node = next(node for node in spec.nodes if node.name == spec.outputs[0])
    layer = spec.layers[node.layer]
    return getattr(layer, "activation", None) == "softmax" or type(layer).__name__ == "Softmax"
