"""Pretrained tensors as canonical weights of a model: every tensor and every weight accounted for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import SpecError, did_you_mean
from harness.exchange.pretrained import bert, distilbert, gpt2, resnet, vit
from harness.exchange.pretrained.files import Tensors, open_tensors
from harness.exchange.pretrained.mapping import Architecture
from harness.spec.model import ModelSpec, NamedWeight

ARCHITECTURES: dict[str, Architecture] = {
    module.ARCHITECTURE.name: module.ARCHITECTURE for module in (bert, distilbert, gpt2, vit, resnet)
}
MOST_LISTED = 12


@dataclass(frozen=True)
class Pretrained:
    """What was read. weights: canonical name -> array in Keras's layout. sources: weight -> (tensor, layout).
    ignored: tensor -> why it is no weight of the model. new: weights that are left to be drawn."""

    architecture: str
    weights: dict[str, np.ndarray]
    sources: dict[str, tuple[str, str]]
    ignored: dict[str, str]
    new: tuple[str, ...]


def load_pretrained(
    source: str, spec: ModelSpec, *, new: Collection[str] = (), base: Path | None = None,
    architecture: str | None = None,
) -> Pretrained:
    """The weights behind "hf:...", for a model of the library.

    new: layers (patterns) whose weights the file need not have; they are left out. architecture: a key of
    ARCHITECTURES, for files without config.json. base: where relative paths start. Raises SpecError listing every
    tensor that is missing, unknown or wrongly shaped.
    """
    tensors = open_tensors(source, base)
    table = architecture_of(tensors.config, source) if architecture is None else _named(architecture)
    prefix = table.prefix(tensors.shapes)
    if prefix is None:
        expected = " or ".join(f"{item}{table.anchor}" for item in table.prefixes)
        raise SpecError(f"this is no {table.name} file: it has no tensor {expected}.", where=source)
    for pattern in new:
        if not any(fnmatchcase(name, pattern) for name in spec.layers):
            raise SpecError(f"new: no layer fits {pattern!r}.", hint=did_you_mean(pattern, spec.layers), where=source)
    account = _Account(tensors, table, prefix)
    for weight in spec.weights:
        if any(fnmatchcase(weight.layer, pattern) for pattern in new):
            account.new.append(weight.name)
        else:
            account.take(weight)
    account.leave()
    account.check(spec)
    return Pretrained(table.name, account.read(), account.sources, account.ignored, tuple(account.new))


def architecture_of(config: Mapping[str, Any], source: str) -> Architecture:
    """The table for a config.json. Raises SpecError for a family that there is no table for."""
    name = config.get("model_type")
    if name is None and str(config.get("architecture", "")).startswith("resnet"):
        name = "resnet"  # timm's
    if name is None:
        raise SpecError("no config.json says what these weights are of.", where=source,
                        hint=f"Give architecture: one of {', '.join(ARCHITECTURES)}.")
    return _named(str(name)) if name in ARCHITECTURES else _unknown(str(name), source)


def _named(name: str) -> Architecture:
    return ARCHITECTURES[name] if name in ARCHITECTURES else _unknown(name, None)


def _unknown(name: str, source: str | None) -> Architecture:
    raise SpecError(f"there is no table for the architecture {name!r}.", where=source,
                    hint=f"{did_you_mean(name, ARCHITECTURES)} Weights are not moved by guessing.")


class _Account:
    """Which tensor goes where, and what is wrong, before anything is read."""

    def __init__(self, tensors: Tensors, table: Architecture, prefix: str) -> None:
        self.tensors, self.table, self.prefix = tensors, table, prefix
        self.sources: dict[str, tuple[str, str]] = {}
        self.ignored: dict[str, str] = {}
        self.new: list[str] = []
        self.unknown: list[str] = []
        self.missing: list[NamedWeight] = []
        self.wrong: list[str] = []
        self.extra: list[str] = []
        self._taken: list[tuple[NamedWeight, Any, str]] = []

    def take(self, weight: NamedWeight) -> None:
        found = self.table.find(weight.name, self.prefix)
        if found is None:
            self.unknown.append(weight.name)
            return
        rule, names = found
        name = next((name for name in names if name in self.tensors.shapes), None)
        if name is None:
            self.missing.append(weight)
            return
        shape, expected = self.tensors.shapes[name], rule.layout.tensor(weight.shape)
        if shape != expected:
            self.wrong.append(f"{name} is {_sizes(shape)}, {weight.name} needs {_sizes(expected)}")
        self.sources[weight.name] = (name, rule.layout.name)
        self._taken.append((weight, rule.layout, name))

    def leave(self) -> None:
        """What the model has no use for: declared so, or too much."""
        used = {name for name, _ in self.sources.values()}
        for name in sorted(set(self.tensors.shapes) - used):
            item = self.table.ignores(name, self.prefix)
            if item is None:
                self.extra.append(f"{name} {_sizes(self.tensors.shapes[name])}")
                continue
            self.ignored[name] = item.reason
            other = None if item.equals is None else item.equals.replace("{prefix}", self.prefix)
            if other in self.tensors.shapes and not np.array_equal(self.tensors.get(name), self.tensors.get(other)):
                self.wrong.append(f"{name} should be {other} once more and holds other numbers")

    def check(self, spec: ModelSpec) -> None:
        """Raises SpecError with one list for each kind of misfit."""
        missing = [f"{weight.name} {_sizes(weight.shape)}" for weight in self.missing]
        kinds = (("missing in the file", missing), (f"not in the table of {self.table.name}", self.unknown),
                 ("not in the model", self.extra), ("wrong", self.wrong))
        problems = [f"{kind}: {_listing(items)}" for kind, items in kinds if items]
        if not problems:
            return
        layers = list(dict.fromkeys([weight.layer for weight in self.missing]
                                    + [name.partition("/")[0] for name in self.unknown]))
        hint = "Is the model as large as config.json says?"
        if layers and len(layers) <= MOST_LISTED and not (self.extra or self.wrong):
            hint = f"A layer that is to be drawn anew is named: new: [{', '.join(layers)}]."
        raise SpecError(f"the weights do not fit the model {spec.name!r}; {'; '.join(problems)}.",
                        where=self.tensors.where, hint=hint)

    def read(self) -> dict[str, np.ndarray]:
        """The weights, each a contiguous array of its own. One tensor is read at a time."""
        weights: dict[str, np.ndarray] = {}
        held: tuple[str, np.ndarray] | None = None
        for weight, layout, name in self._taken:
            if held is None or held[0] != name:
                held = (name, self.tensors.get(name))
            array = np.ascontiguousarray(layout.convert(held[1], weight.shape))
            if array.shape != weight.shape:
                raise AssertionError(f"{layout.name} made {array.shape} of {name}, not {weight.shape}")
            if not np.isfinite(array).all():
                raise SpecError(f"the tensor {name!r} holds numbers that are not finite.", where=self.tensors.where)
            weights[weight.name] = array
        return weights


def _sizes(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def _listing(items: list[str]) -> str:
    more = f" and {len(items) - MOST_LISTED} more" if len(items) > MOST_LISTED else ""
    return ", ".join(items[:MOST_LISTED]) + more
