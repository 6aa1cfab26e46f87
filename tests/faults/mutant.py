"""What a planted fault is: which program of which host it changes, and what a certificate has to say of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.certify.certificate import Finding

# Where a fault can show itself first. A wrong formula of a layer is seen by its outputs in both modes.
FORWARD = ("forward", "inference")
BACKWARD = ("backward",)
UPDATE = ("plan", "update")
BUFFER = ("buffer",)
LOSS = ("loss",)
# How findings may call these two.
SAMPLE_WEIGHTS = "sample.?weight|examples are weighted"
LOSS_WEIGHTS = "loss.?weight|weights of the losses"


@dataclass(frozen=True)
class Expected:
    """Where the fault is.

    parts: what `Finding.part` may be. layer, weight: patterns that those of the finding must match, None where the
    fault belongs to none. says: a pattern that the finding's own words (what differs, the cause) must hold: the name of
    the hyperparameter, of the array. The suspects do not count: they list every argument of a layer or optimizer.
    """

    parts: tuple[str, ...]
    layer: str | None = None
    weight: str | None = None
    says: str | None = None

    def met_by(self, finding: Finding) -> bool:
        """Whether the finding points at the fault."""
        return (finding.part in self.parts and _matches(self.layer, finding.layer)
                and _matches(self.weight, finding.weight)
                and (self.says is None or re.search(self.says, words_of(finding), re.IGNORECASE) is not None))

    def __str__(self) -> str:
        places = [item for item in (self.layer, self.weight, self.says) if item]
        return ", ".join(["/".join(self.parts), *places])


@dataclass(frozen=True)
class Mutant:
    """A fault. name: "layer norm epsilon". host: of hosts.HOSTS. backend: whose program is changed. plant: changes the
    modules and classes of this process; it is called in the child before anything is built. arguments: for it."""

    name: str
    host: str
    backend: str
    plant: Callable[..., None]
    expected: Expected
    arguments: tuple[Any, ...] = ()

    def __call__(self) -> None:
        self.plant(*self.arguments)


def words_of(finding: Finding) -> str:
    return " | ".join(item for item in (finding.what, finding.cause) if item)


def _matches(pattern: str | None, name: str | None) -> bool:
    if pattern is None:
        return True
    return name is not None and re.fullmatch(pattern, name) is not None
