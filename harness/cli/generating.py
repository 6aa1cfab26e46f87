"""harness generate: what a language model goes on with, in one framework or in both."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.exits import DIFFERENT, OK
from harness.cli.output import Json, emit


def generate(
    model: Annotated[str, typer.Argument(help="A library name, a spec, FILE.py[:FUNCTION]; or hf:FOLDER.")],
    parameters: Annotated[list[str] | None, typer.Argument(help="The model's parameters: input_shape=[64].")] = None,
    prompt: Annotated[str, typer.Option(help="A text, or ids: 15496,995.")] = "",
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
    as_json: Json = False,
) -> int:
    """Let a language model go on with a prompt. Both frameworks draw the same numbers; exit 7 if they part."""
    from harness.backends import BACKENDS
    from harness.cli.arguments import pairs
    from harness.errors import SpecError, did_you_mean
    from harness.models import load_model
    from harness.runner.generating import generate as made

    if backend != "both" and backend not in BACKENDS:
        raise SpecError(f"unknown backend {backend!r}.", hint=did_you_mean(backend, [*BACKENDS, "both"]))
    spec: Any
    if model.startswith("hf:"):
        from harness.exchange.pretrained.models import pretrained_model

        spec, weights = pretrained_model(model, **pairs(parameters or [])), weights or model
        tokenizer = tokenizer or (model if _has_tokenizer(model) else None)
    else:
        spec = load_model(model, **pairs(parameters or []))
    if weights is None:
        raise SpecError("which weights? A model that was not trained has nothing to say.", hint="Give --weights.")
    numbers = prompt.replace(" ", "").split(",")
    ids: Any = [int(item) for item in numbers] if all(item.isdecimal() for item in numbers) else prompt
    found = [made(spec, weights, ids, backend=name, max_new_tokens=tokens, temperature=temperature, top_k=top_k,
                  top_p=top_p, seed=seed, stop=stop, tokenizer=tokenizer)
             for name in (BACKENDS if backend == "both" else (backend,))]
    texts = {item.backend: item.texts[0] if item.texts else str(item.ids[0]) for item in found}
    parted = _parted([item.ids[0] for item in found])
    data = {"texts": texts, "ids": {item.backend: item.ids[0] for item in found}, "first_difference": parted}
    lines = [f"{name}: {text}" for name, text in texts.items()]
    if len(found) == 2:
        lines.append("the same tokens in both" if parted is None else f"they part at token {parted}")
    emit(data, "\n".join(lines), as_json)
    return OK if parted is None else DIFFERENT


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
