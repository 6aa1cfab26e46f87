"""An explanation as plain data, as Markdown and as the lines of a terminal."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.analysis.explanation import FRAMEWORK, Attribution, Effect, Finals, excludes_zero
from harness.plan.defaults import DEFAULTS, Change, LeftOut
from harness.spec.dataset import DatasetSpec
from harness.spec.explicit import explicit
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

WHAT = {default.name: default.what for default in DEFAULTS} | {FRAMEWORK: "the framework itself"}
NOTES = {default.name: default.note for default in DEFAULTS}
HEADER = ("default", "Keras", "PyTorch", "from Keras's side", "from PyTorch's side", "mean of both", "of the gap")
MOST_NAMES = 3


@dataclass(frozen=True)
class Explanation:
    """What differs by default, and how much of the gap each difference explains.

    changes: the defaults that the model and the recipe contain. attribution: None where nothing was trained. left_out:
    differences that are not switched. written: choices, which are no defaults. failed: (variant, backend, seed, reason)
    of trainings that broke. environment: machine, device and versions. folder: where the records lie.
    """

    model: ModelSpec
    recipe: Recipe
    data: DatasetSpec
    backend: str
    changes: Mapping[str, Change]
    left_out: tuple[LeftOut, ...]
    written: Mapping[str, tuple[str, ...]]
    attribution: Attribution | None = None
    finals: Finals = field(default_factory=dict)
    failed: tuple[tuple[str, str, int, str], ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    command: str | None = None

    def to_data(self) -> dict[str, Any]:
        """Plain data: what explanation.json holds."""
        return to_data(self)

    def to_markdown(self) -> str:
        """The explanation as Markdown."""
        return to_markdown(self)

    def write(self, folder: Path | str) -> Path:
        """Writes explanation.json and explanation.md; returns the path of the latter."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "explanation.json", json.dumps(self.to_data(), indent=1, ensure_ascii=False) + "\n")
        return _write(folder / "explanation.md", self.to_markdown())

    def __str__(self) -> str:
        return self.to_markdown()


def to_data(found: Explanation) -> dict[str, Any]:
    """Every figure with its interval, the final metric of every training, and what was left out."""
    attribution = found.attribution
    return {
        "model": {"name": found.model.name, "digest": found.model.digest, "parameters": found.model.parameters},
        "recipe": explicit(found.recipe), "data": explicit(found.data), "backend": found.backend,
        "command": found.command, "environment": dict(found.environment),
        "defaults": [
            {"name": name, "what": WHAT[name], "keras": change.keras, "torch": change.torch,
             "where": list(change.where), "note": NOTES[name] or None}
            for name, change in found.changes.items()
        ],
        "left_out": [{"what": item.what, "why": item.why, "where": list(item.where)} for item in found.left_out],
        "written": {choice: list(names) for choice, names in found.written.items()},
        "attribution": None if attribution is None else attribution.to_data(),
        "finals": [{"variant": variant, "backend": backend, "seed": seed, "value": value}
                   for (variant, backend), values in found.finals.items() for seed, value in sorted(values.items())],
        "failed": [dict(zip(("variant", "backend", "seed", "reason"), item, strict=True)) for item in found.failed],
    }


def rows(found: Explanation) -> list[tuple[str, ...]]:
    """One line per part, the largest first; then the sum, the remainder and the whole gap."""
    attribution = found.attribution
    if attribution is None:
        return [(WHAT[name], change.keras, change.torch) for name, change in found.changes.items()]
    parts = sorted([*attribution.defaults, attribution.framework], key=_size, reverse=True)
    lines = [(WHAT[part.name], *_values(found, part.name), *_effect(part)) for part in parts]
    return [
        *lines, ("sum of the parts", "", "", *_effect(attribution.sum)),
        ("remainder (defaults act on each other)", "", "", *_effect(attribution.remainder)),
        ("all defaults together", "", "", shown(attribution.together), "", "", ""),
        ("the whole gap", "", "", shown(attribution.gap), "", "", ""),
    ]


def sentence(found: Explanation) -> str:
    """The answer in one or two sentences."""
    attribution = found.attribution
    if attribution is None:
        return f"{len(found.changes)} defaults differ; nothing was trained."
    keras, torch = attribution.levels["keras/tensorflow"], attribution.levels["torch/pytorch"]
    if attribution.gap is None or keras is None or torch is None:
        return "No seed has a training of both sides: there is no gap to explain."
    text = (f"{attribution.metric} is {keras.value:.4g} in TensorFlow with Keras's defaults and {torch.value:.4g} in "
            f"PyTorch with its own: a gap of {shown(attribution.gap)} over {attribution.gap.n} paired seeds.")
    return f"{text} {_causes(attribution)}"


def _causes(attribution: Attribution) -> str:
    if not excludes_zero(attribution.gap):
        return "It cannot be told from 0 with these seeds."
    clear = [part for part in (*attribution.defaults, attribution.framework) if part.clear and part.share is not None]
    if not clear:
        return "No part by itself can be told from 0 with these seeds."
    parts = [f"{WHAT[part.name]} {part.share:.0%}" for part in sorted(clear, key=_size, reverse=True)]
    return f"Parts that can be told from 0: {', '.join(parts)} of it."


def notes(found: Explanation) -> list[str]:
    """What the reader has to know of the figures."""
    lines = [f"{WHAT[name][0].upper()}{WHAT[name][1:]}: {NOTES[name]}." for name in found.changes if NOTES[name]]
    lines += [f"Left out, {item.what} ({names(item.where)}): {item.why}." for item in found.left_out]
    lines += [f"Kept as written, {choice}: {names(where)}." for choice, where in found.written.items()]
    lines += [f"Failed: {variant}, {backend}, seed {seed}: {line(why)}" for variant, backend, seed, why in found.failed]
    return lines


def to_markdown(found: Explanation) -> str:
    """The whole explanation."""
    attribution = found.attribution
    lines = [f"# Why does {found.model.name} learn something else in PyTorch?", "", sentence(found), ""]
    if attribution is not None:
        lines += ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
        lines += ["| " + " | ".join(_cell(text) for text in row) + " |" for row in rows(found)]
        lines += ["", *READING.format(backend=found.backend, seeds=len(attribution.seeds),
                                      trainings=sum(len(values) for values in found.finals.values())).splitlines()]
        lines += [_where(found.environment), ""]
    else:
        lines += ["| default | Keras | PyTorch |", "|---|---|---|"]
        lines += ["| " + " | ".join(_cell(text) for text in row) + " |" for row in rows(found)] + [""]
    lines += ["## Where each default stands", ""]
    lines += [f"- {WHAT[name]}: {names(change.where, most=8)}" for name, change in found.changes.items()]
    said = notes(found)
    if said:
        lines += ["", "## Notes", "", *(f"- {item}" for item in said)]
    if found.command:
        lines += ["", "## Again", "", "```", found.command, "```"]
    return "\n".join(lines) + "\n"


READING = """\
A figure is a mean difference over paired seeds with Student's 95% interval, each interval by itself. "From Keras's
side": all defaults are Keras's, this one becomes PyTorch's. "From PyTorch's side": all are PyTorch's, this one was
Keras's before. The framework itself is the other backend with the same defaults; both compute the same, so it shows
what rounding alone does to a training of this length. {trainings} trainings, {seeds} seeds; variants trained in
{backend}."""


def shown(figure: Any) -> str:
    """ "+0.012 [+0.004, +0.020]"."""
    if figure is None:
        return "-"
    if figure.low is None or figure.high is None:
        return f"{figure.value:+.4f}"
    return f"{figure.value:+.4f} [{figure.low:+.4f}, {figure.high:+.4f}]"


def _where(environment: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in (environment.get("versions") or {}).items())
    return f"Machine: {environment.get('machine') or '-'}, {environment.get('device') or '-'}; {versions or '-'}."


def line(text: str) -> str:
    """What a framework said, on one line."""
    words = " ".join(text.split())
    return words if len(words) <= 200 else f"{words[:197]}..."


def names(where: Sequence[str], most: int = MOST_NAMES) -> str:
    """The first few, and how many more."""
    more = f" and {len(where) - most} more" if len(where) > most else ""
    return ", ".join(where[:most]) + more


def _values(found: Explanation, name: str) -> tuple[str, str]:
    change = found.changes.get(name)
    return ("tensorflow", "pytorch") if change is None else (change.keras, change.torch)


def _effect(part: Effect) -> tuple[str, str, str, str]:
    share = "-" if part.share is None else f"{part.share:+.0%}"
    return shown(part.from_keras), shown(part.from_torch), shown(part.mean), share


def _size(part: Effect) -> float:
    return -1.0 if part.mean is None else abs(part.mean.value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _write(path: Path, text: str) -> Path:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path
