"""harness generate: what a model writes, in one framework or in both."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.exits import DIFFERENT, OK
from harness.cli.output import Json, emit


def generate(
    model: Annotated[str, typer.Argument(help="A library name, a spec, FILE.py[:FUNCTION]; hf:FOLDER; or the folder of "
                                         "a run, RESULTS/cells/ID, whose weights and words are taken.")],
    parameters: Annotated[list[str] | None, typer.Argument(help="The model's parameters: input_shape=[64].")] = None,
    prompt: Annotated[str, typer.Option(help="A text, or ids: 15496,995; of an encoder-decoder the source.")] = "",
    weights: Annotated[str | None, typer.Option(help="hf:FOLDER, a .safetensors, .keras or .h5 file; of hf:FOLDER its "
                                                "own where absent.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="A tokenizer.json or its folder; of hf:FOLDER its own.")] = None,
    backend: Annotated[str, typer.Option(help="tensorflow, pytorch or both.")] = "both",
    tokens: Annotated[int, typer.Option(help="How many new ones at most.")] = 40,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Only so many of the likeliest.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Only the likeliest that hold this share.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random numbers, the same in both.")] = 0,
    stop: Annotated[int | None, typer.Option(help="The id behind which the text ends.")] = None,
    beam: Annotated[int | None, typer.Option(help="Beam search with so many texts, in place of drawing.")] = None,
    length_penalty: Annotated[float, typer.Option(help="Of beam search: above 0 favours longer texts.")] = 0.0,
    start: Annotated[int | None, typer.Option(help="The id that begins a target of an encoder-decoder.")] = None,
    as_json: Json = False,
) -> int:
    """Let a language model go on with a prompt, or an encoder-decoder answer it. Both frameworks draw the same numbers,
    or search alike; exit 7 if they part."""
    from harness.backends import BACKENDS
    from harness.errors import SpecError, did_you_mean
    from harness.runner.generating import generate as made

    if backend != "both" and backend not in BACKENDS:
        raise SpecError(f"unknown backend {backend!r}.", hint=did_you_mean(backend, [*BACKENDS, "both"]))
    if temperature != 1.0 and beam is not None:
        raise SpecError("--temperature is of drawing, --beam searches.", hint="Give one of them.")
    asked = _asked(model, parameters or [], weights, {"tokenizer": tokenizer, "start": start, "stop": stop})
    numbers = prompt.replace(" ", "").split(",")
    ids: Any = [int(item) for item in numbers] if all(item.isdecimal() for item in numbers) else prompt
    found = [made(prompt=ids, backend=name, max_new_tokens=tokens, temperature=temperature, top_k=top_k, top_p=top_p,
                  seed=seed, beam=beam, length_penalty=length_penalty, **asked)
             for name in (BACKENDS if backend == "both" else (backend,))]
    texts = {item.backend: item.texts[0] if item.texts else str(item.ids[0]) for item in found}
    parted = _parted([item.ids[0] for item in found])
    beams = {item.backend: [{"ids": ids, "log_probability": score} for ids, score in item.beams[0]]
             for item in found if item.beams}
    data = {"texts": texts, "ids": {item.backend: item.ids[0] for item in found}, "first_difference": parted,
            **({"beams": beams} if beams else {})}
    lines = [f"{name}: {text}" + (f"  (log-probability {beams[name][0]['log_probability']:.4f})" if beams else "")
             for name, text in texts.items()]
    if len(found) == 2:
        lines.append("the same tokens in both" if parted is None else f"they part at token {parted}")
    emit(data, "\n".join(lines), as_json)
    return OK if parted is None else DIFFERENT


def _asked(model: str, parameters: list[str], weights: str | None, said: dict[str, Any]) -> dict[str, Any]:
    """model, weights, tokenizer, start and stop for harness.generate: what was said, else what the model brings."""
    from harness.cli.arguments import pairs
    from harness.errors import SpecError
    from harness.models import load_model
    from harness.records.folder import RUN_FILE

    brought: dict[str, Any] = {}
    if (Path(model) / RUN_FILE).is_file():
        from harness.runner.spelling import recorded

        run = recorded(Path(model))
        brought = {"model": run.spec, "weights": run.weights, "tokenizer": run.speller}
        if run.speller is not None:
            brought |= {"start": run.speller.target.start, "stop": run.speller.target.end}
    elif model.startswith("hf:"):
        from harness.exchange.pretrained.models import pretrained_model

        brought = {"model": pretrained_model(model, **pairs(parameters)), "weights": model,
                   "tokenizer": model if _has_tokenizer(model) else None}
    else:
        brought = {"model": load_model(model, **pairs(parameters))}
    said = {name: value for name, value in {**said, "weights": weights}.items() if value is not None}
    if "weights" not in {**brought, **said}:
        raise SpecError("which weights? A model that was not trained has nothing to say.", hint="Give --weights.")
    return {**brought, **said}


def _has_tokenizer(source: str) -> bool:
    from harness.exchange.pretrained.files import locate

    path = locate(source)
    return ((path if path.is_dir() else Path(path).parent) / "tokenizer.json").is_file()


def _parted(texts: list[list[int]]) -> int | None:
    """The place (from 0, prompt included) of the first token in which they differ, None if they are the same."""
    if len(texts) < 2 or texts[0] == texts[1]:
        return None
    for place, (one, other) in enumerate(zip(*texts, strict=False)):
        if one != other:
            return place
    return min(map(len, texts))
