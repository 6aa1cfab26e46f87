"""What the table of an architecture is: which tensor of its files is which weight, and which tensors are left out.

In the name of a weight {n} stands for a number; in that of a tensor {n} is the same number, {n-1} one less (the
library counts blocks from 1, PyTorch's lists from 0), and {prefix} what the file puts in front of the encoder's names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from harness.exchange.pretrained.layouts import SAME, Layout


@dataclass(frozen=True)
class Rule:
    """weight: canonical name, "block_{n}_attention/query/kernel". tensor: its name in the file, or several names of
    which the file has one (older programs wrote gamma for weight)."""

    weight: str
    tensor: str | tuple[str, ...]
    layout: Layout = SAME

    def tensors(self, weight: str, prefix: str) -> tuple[str, ...] | None:
        """The names that the tensor may have for this weight, None if the rule is not about it."""
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\d+)", re.escape(self.weight))
        found = re.fullmatch(pattern, weight)
        if found is None:
            return None
        numbers = {name: int(value) for name, value in found.groupdict().items()}
        names = (self.tensor,) if isinstance(self.tensor, str) else self.tensor
        return tuple(_filled(name, numbers, prefix) for name in names)


def _filled(name: str, numbers: Mapping[str, int], prefix: str) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] == "prefix":
            return prefix
        return str(numbers[found[1]] - (1 if found[2] else 0))

    return re.sub(r"\{(\w+)(-1)?\}", value, name)


@dataclass(frozen=True)
class Ignored:
    """Tensors that are no weights of the model: pattern (fnmatch) and reason. equals: the tensor that these must be
    the same as, for tables that are stored twice."""

    tensor: str
    reason: str
    equals: str | None = None

    def fits(self, name: str, prefix: str) -> bool:
        return fnmatchcase(name, self.tensor.replace("{prefix}", prefix))


@dataclass(frozen=True)
class Architecture:
    """One family of files.

    name: what config.json calls it. model: the function of the library. anchor: a tensor that every such file has,
    behind one of the prefixes. parameters(config): the model's parameters for a config.json; raises SpecError for what
    the library's model does not have. heads: the class in config.json -> what it sets.
    """

    name: str
    model: str
    anchor: str
    prefixes: tuple[str, ...]
    rules: tuple[Rule, ...]
    ignored: tuple[Ignored, ...]
    parameters: Callable[[Mapping[str, Any]], dict[str, Any]]
    heads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def prefix(self, names: Any) -> str | None:
        """What stands in front of the encoder's names in this file; None if it is no file of this family."""
        return next((prefix for prefix in self.prefixes if prefix + self.anchor in names), None)

    def find(self, weight: str, prefix: str) -> tuple[Rule, tuple[str, ...]] | None:
        """The rule for a weight and the names that its tensor may have."""
        for rule in self.rules:
            names = rule.tensors(weight, prefix)
            if names is not None:
                return rule, names
        return None

    def ignores(self, name: str, prefix: str) -> Ignored | None:
        return next((item for item in self.ignored if item.fits(name, prefix)), None)


def linear(weight: str, tensor: str, layout: Layout) -> tuple[Rule, Rule]:
    """A kernel and a bias of the same names in front."""
    return Rule(f"{weight}/kernel", f"{tensor}.weight", layout), Rule(f"{weight}/bias", f"{tensor}.bias")


def norm(weight: str, tensor: str) -> tuple[Rule, Rule]:
    """gamma and beta of a LayerNorm, as PyTorch calls them now and as files converted from TensorFlow still do."""
    return (Rule(f"{weight}/gamma", (f"{tensor}.weight", f"{tensor}.gamma")),
            Rule(f"{weight}/beta", (f"{tensor}.bias", f"{tensor}.beta")))
