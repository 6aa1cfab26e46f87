"""names.yaml: where a user says which tensor of the port holds which Keras weight.

    conv1: features.0                                  # a layer: a module
    attention/query: attn.q                            # a part of a layer that the port keeps in a module of its own
    head: {torch: fc, transform: flatten 4 4 8}        # its kernel behind a channels-first Flatten
    lstm/kernel: {torch: cell.weight, transform: transpose}
    mha/query/kernel: {torch: "attn.in_proj_weight[0:8]", transform: heads_in}
    ignore: [position]                                 # tensors of the port that keep their own values
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import SpecError, did_you_mean

# What parts of an attention are called in hand-written modules.
PARTS = {
    "query": re.compile(r"(w|to|in)?_?(q|query|queries)_?(proj|projection|lin|linear|layer)?"),
    "key": re.compile(r"(w|to|in)?_?(k|key|keys)_?(proj|projection|lin|linear|layer)?"),
    "value": re.compile(r"(w|to|in)?_?(v|value|values)_?(proj|projection|lin|linear|layer)?"),
    "output": re.compile(r"(w|to|c)?_?(o|out|output|proj|projection)_?(proj|projection|lin|linear|layer)?"),
    "query, key, value": re.compile(r"(w|to|c|in)?_?(qkv|attn|in)_?(proj|projection|lin|linear)?"),
    "depthwise": re.compile(r"(depthwise|dw|depth)_?(conv)?"),
    "pointwise": re.compile(r"(pointwise|pw|point)_?(conv)?"),
}


@dataclass(frozen=True)
class Given:
    """torch: a module's path, or the tensors of one weight. transform: of the weight, or of a layer's kernel."""

    torch: tuple[str, ...]
    transform: str | None = None


@dataclass(frozen=True)
class Names:
    """What a names.yaml says. entries: layer, "layer/part" or weight -> where it is. ignore: tensors of the port."""

    entries: Mapping[str, Given] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    where: str = "mapping"

    @staticmethod
    def parse(value: Any, where: str = "mapping") -> Names:
        """Reads None, Names, a mapping, or the path of a .yaml or .json file. Raises SpecError."""
        if isinstance(value, Names):
            return value
        if value is None:
            return Names()
        if isinstance(value, (str, Path)):
            from harness.spec.files import read_document

            where, value = str(value), read_document(Path(value)).data
        if not isinstance(value, Mapping):
            raise SpecError(f"a mapping of names is {{Keras weight or layer: torch name}}, got {type(value).__name__}.",
                            where=where)
        ignore = value.get("ignore") or ()
        ignore = (ignore,) if isinstance(ignore, str) else tuple(map(str, ignore))
        entries = {str(key): _given(item, f"{where}: {key}") for key, item in value.items() if key != "ignore"}
        return Names(entries, ignore, where)

    def check(self, weights: Iterable[str], tensors: Iterable[str], modules: Iterable[str]) -> None:
        """Raises SpecError, listing every name that neither side has."""
        weights, modules = list(weights), set(modules)
        layers = {"/".join(parts[:size]) for name in weights if (parts := name.split("/"))
                  for size in range(1, len(parts) + 1)}
        known = set(tensors) | modules
        wrong = [f"{key!r} is no layer or weight of the Keras model. {did_you_mean(key, layers)}".rstrip()
                 for key in self.entries if key not in layers and key.rpartition("/")[0] not in layers]
        for key, item in self.entries.items():
            wrong += [f"{key}: the port has no {name!r}. {did_you_mean(name, known)}".rstrip()
                      for name in item.torch if name.partition("[")[0] not in known]
        wrong += [f"ignore: the port has no {name!r}. {did_you_mean(name, known)}".rstrip()
                  for name in self.ignore if name not in known]
        if wrong:
            raise SpecError(" ".join(wrong), where=self.where)


def _given(item: Any, where: str) -> Given:
    if isinstance(item, str):
        return Given((item,))
    if isinstance(item, (list, tuple)):
        return Given(tuple(map(str, item)))
    if isinstance(item, Mapping) and "torch" in item and set(item) <= {"torch", "transform"}:
        own = item["torch"]
        names = tuple(map(str, own)) if isinstance(own, (list, tuple)) else (str(own),)
        return Given(names, None if item.get("transform") is None else str(item["transform"]))
    raise SpecError(f"cannot read {item!r}.", where=where, hint="Write a torch name, or {torch: NAME, transform: HOW}.")


def same_name(layer: str, part: str, path: str) -> bool:
    """Whether a module's path names the layer (or, of a layer's part, the part)."""
    last = path.rpartition(".")[2].lower()
    if part in PARTS:
        return PARTS[part].fullmatch(last) is not None
    return plain(layer) in (plain(path), plain(last))


def plain(name: str) -> str:
    """Letters and digits in lower case: "Conv2D_1" and "conv2d1" are one name."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
