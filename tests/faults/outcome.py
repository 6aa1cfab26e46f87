"""What one fault came to: what the certificate said of it, and what naive criteria would have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from harness.certify.causes.evidence import TITLES
from harness.certify.certificate import Certificate
from tests.faults.mutant import Mutant
from tests.faults.whole_run import LOSSES, OUTPUT

LOSS_MARGIN, OUTPUT_MARGIN = 0.01, 1e-3
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """caught: the rung that failed, None where none did. place, what, cause: of its finding. localised: whether it is
    where the fault was planted. effect: the largest difference of the backend's whole run from the same without the
    fault, relative to each array. final_loss, outputs: the naive figures between the frameworks."""

    name: str
    host: str
    backend: str
    expected: str
    caught: str | None
    place: str | None
    what: str | None
    difference: float | None
    cause: str | None
    localised: bool
    reason: str | None
    seconds: float
    effect: float | None = None
    final_loss: float | None = None
    outputs: float | None = None

    @property
    def blames(self) -> str | None:
        """The one framework that the cause speaks of, None where it names none or both."""
        named = [backend for backend, title in TITLES.items() if title in (self.cause or "")]
        return named[0] if len(named) == 1 else None

    @property
    def caught_by_loss(self) -> bool | None:
        return None if self.final_loss is None else not self.final_loss <= LOSS_MARGIN

    @property
    def caught_by_outputs(self) -> bool | None:
        return None if self.outputs is None else not self.outputs <= OUTPUT_MARGIN

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "blames": self.blames, "caught_by_loss": self.caught_by_loss,
                "caught_by_outputs": self.caught_by_outputs}


def from_data(data: Mapping[str, Any]) -> Outcome:
    """The inverse of `to_data`."""
    return Outcome(**{item.name: data[item.name] for item in fields(Outcome)})


def outcome_of(mutant: Mutant, certificate: Certificate, seconds: float, **naive: float) -> Outcome:
    """naive: effect, final_loss and outputs, where a whole run was made."""
    found = certificate.finding
    return Outcome(
        mutant.name, mutant.host, mutant.backend, str(mutant.expected), None if found is None else found.rung,
        None if found is None else found.place, None if found is None else found.what,
        None if found is None else found.difference, None if found is None else found.cause,
        found is not None and mutant.expected.met_by(found), certificate.reason, seconds, **naive)


def effect(changed: Arrays, clean: Arrays) -> float:
    """The largest difference of any array of two whole runs of one backend, relative to its largest value."""
    return max(float(np.abs(changed[name] - clean[name]).max() / (np.abs(clean[name]).max() or 1.0)) for name in clean)


def final_loss(run: Arrays, other: Arrays) -> float:
    """The relative difference of the last step's losses."""
    return float(abs(run[LOSSES][-1] / other[LOSSES][-1] - 1.0))


def outputs(run: Arrays, other: Arrays) -> float:
    """The largest difference of any prediction."""
    names = [name for name in other if name.startswith(OUTPUT)]
    return max(float(np.abs(run[name] - other[name]).max()) for name in names)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts and shares."""
    number = len(outcomes)
    naive = [item for item in outcomes if item.final_loss is not None]
    rungs = sorted({item.caught for item in outcomes if item.caught})
    return {
        "faults": number, "caught": sum(item.caught is not None for item in outcomes),
        "localised": sum(item.localised for item in outcomes),
        "cause named": sum(item.cause is not None for item in outcomes),
        "cause blames a framework": sum(item.blames is not None for item in outcomes),
        "cause blames the right one": sum(item.blames == item.backend for item in outcomes),
        "by rung": {rung: sum(item.caught == rung for item in outcomes) for rung in rungs},
        "whole runs": len(naive), "caught by final loss": sum(bool(item.caught_by_loss) for item in naive),
        "caught by outputs": sum(bool(item.caught_by_outputs) for item in naive),
        "caught by either": sum(bool(item.caught_by_loss or item.caught_by_outputs) for item in naive),
    }


def table(outcomes: Sequence[Outcome]) -> str:
    """The page: the counts, what was missed, and all faults."""
    counts = summary(outcomes)
    number = max(counts["faults"], 1)

    def share(count: int, of: int = number) -> str:
        return f"{count} of {of} ({100 * count / max(of, 1):.1f}%)"

    lines = [
        "# Planted faults", "",
        f"{number} faults, each planted into one framework's program at run time; hosts and faults: tests/faults.", "",
        "The naive criteria look at whole runs of 48 steps in float64 with the same first weights, batches and random "
        "numbers in both frameworks. Without the plan there is nothing of that, and they would see less.", "",
        "Localised: the finding names the part and layer of the fault or, where a hyperparameter is at fault, this "
        "hyperparameter; the list of suspects does not count. Whether a cause in words is right is not counted: "
        "see the column.", "",
        "| criterion | caught |", "|---|---|",
        f"| the certificate, R0 to R3 | {share(counts['caught'])} |",
        f"| ... and localised to the layer or hyperparameter | {share(counts['localised'])} |",
        f"| ... and its cause named in words | {share(counts['cause named'])} |",
        f"| ... and the cause blames the framework at fault | "
        f"{share(counts['cause blames the right one'], counts['cause blames a framework'])} |",
        f"| final loss differs by more than {LOSS_MARGIN:.0%} | "
        f"{share(counts['caught by final loss'], counts['whole runs'])} |",
        f"| an output differs by more than {OUTPUT_MARGIN:g} | "
        f"{share(counts['caught by outputs'], counts['whole runs'])} |",
        f"| either of these two | {share(counts['caught by either'], counts['whole runs'])} |", "",
        "Caught first at: " + ", ".join(f"{rung} {count}" for rung, count in counts["by rung"].items()) + ".", "",
    ]
    for title, missed in (("Not caught", [item for item in outcomes if item.caught is None]),
                          ("Caught, but not localised", [item for item in outcomes
                                                         if item.caught is not None and not item.localised])):
        lines += [f"## {title}", "", *([f"- {item.name}: expected {item.expected}; found "
                                        f"{item.place or item.reason} ({item.what}; {item.cause})" for item in missed]
                                       or ["None."]), ""]
    lines += ["## All", "",
              "| fault | planted in | host | rung | found | localised | cause named | effect | final loss | outputs |",
              "|---|---|---|---|---|---|---|---|---|---|"]
    return "\n".join([*lines, *map(_row, outcomes), ""])


def _row(item: Outcome) -> str:
    cells = (item.name, item.backend, item.host, item.caught or "-", item.place or "-",
             "yes" if item.localised else "no", item.cause or "-", _figure(item.effect),
             _naive(item.final_loss, item.caught_by_loss), _naive(item.outputs, item.caught_by_outputs))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _naive(value: float | None, caught: bool | None) -> str:
    return _figure(value) + (" caught" if caught else "")
