"""A certificate in words: rows of text that the terminal, the page and Markdown print alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.certify.certificate import FAILED, RUNGS, Certificate, Curve, Difference, Finding, Phase, Rung

TITLES = {"tensorflow": "TensorFlow", "pytorch": "PyTorch"}
LADDER = ("rung", "compared", "status", "figures", "worst", "seconds")
ABSENT = "-"
# Of the subject; all of it stands in the certificate's JSON.
TOLD = ("model", "parameters", "data", "examples", "batch", "steps", "seed", "programs")
EXECUTION = ("precision", "tier", "compile", "device", "remat")
# The kinds of arrays that R1 compares, and how their columns are called.
PARTS = {"output": "output", "inference": "output in inference", "input gradient": "input gradient",
         "weight gradient": "weight gradient", "change": "state update"}


def size(value: float | None) -> str:
    """ "3.1e-16", "0.25"; "infinite" and "NaN" in words; a dash for None."""
    if value is None:
        return ABSENT
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinite"
    return "0" if value == 0 else f"{value:.2g}"


def seconds(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def worst(difference: Difference | None) -> str:
    """ "8.1e-14 (limit 1e-10, control 2e-15): weight gradient conv/kernel"."""
    if difference is None:
        return ABSENT
    control = "" if difference.control is None else f", control {size(difference.control)}"
    return f"{size(difference.difference)} (limit {size(difference.limit)}{control}): {difference.what}"


def ladder(phase: Phase, runs: str | None = None) -> list[tuple[str, ...]]:
    """The rows under LADDER. runs: what is known of R5 where it is not among the rungs."""
    rows = [rung_row(rung) for rung in phase.rungs]
    if runs is not None and all(rung.name != "R5" for rung in phase.rungs):
        status, _, why = runs.partition(": ")
        word = status.split(" over ")[0]
        rows.append(("R5", RUNGS["R5"], word, ABSENT, why or runs, ABSENT))
    return rows


def rung_row(rung: Rung) -> tuple[str, ...]:
    status = rung.status.upper() if rung.status == FAILED else rung.status
    told = rung.reason if rung.worst is None else worst(rung.worst) + (f"; {rung.reason}" if rung.reason else "")
    return (rung.name, RUNGS.get(rung.name, ABSENT), status, f"{rung.checked:,}" if rung.checked else ABSENT,
            told or ABSENT, seconds(rung.seconds))


def finding(found: Finding) -> list[tuple[str, str]]:
    """(word, text) of where two trainings part."""
    rows = [("place", f"{found.rung}, phase {found.phase}, {found.place}"),
            ("differs", f"{found.what}: {size(found.difference)} where rounding allows {size(found.limit)}")]
    if found.cause:
        rows.append(("likely cause", found.cause))
    if found.mend:
        rows.append(("mend", found.mend))
    return rows


def suspects(found: Finding, backends: tuple[str, str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(header, rows) of the arguments worth comparing, side by side."""
    rows: list[tuple[str, ...]] = []
    for text in found.suspects:
        left, bar, theirs = text.partition(" | ")
        name, colon, ours = left.partition(": ")
        rows.append((name, ours, theirs) if bar and colon else (text, ABSENT, ABSENT))
    return ("argument", *(TITLES.get(name, name) for name in backends)), rows


def horizons(phase: Phase) -> list[str]:
    """T* in each precision that was played, as the weights have it."""
    found: dict[str, Curve] = {}
    for curve in phase.curves:
        if curve.quantity == "weights":
            found.setdefault(curve.dtype, curve)
    return [horizon(curve) for curve in found.values()]


def horizon(curve: Curve) -> str:
    """What T* says of one trajectory."""
    played = f"{curve.steps[-1]} steps" if curve.steps else "no step"
    if curve.horizon is None:
        if not curve.seeds:
            return f"T* in {curve.dtype}: not measured."
        return f"T* in {curve.dtype}: beyond the {played} played."
    return (f"T* in {curve.dtype}: step {curve.horizon}. From there on rounding alone carries a training a hundredth "
            "as far as another seed does; only whole runs over paired seeds (R5) mean anything.")


def trajectory(curve: Curve) -> str:
    """The last distance of a trajectory beside its limit."""
    if not curve.between:
        return f"D(t) of {curve.quantity} in {curve.dtype}: nothing was played."
    return (f"D({curve.steps[-1]}) of {curve.quantity} in {curve.dtype}, {curve.program}: "
            f"{size(curve.between[-1])}, limit {size(curve.limit[-1])}.")


def subject(certificate: Certificate) -> list[tuple[str, str]]:
    """(word, text) of what the certificate covers."""
    first, second = (TITLES.get(name, name) for name in certificate.backends)
    rows = [("frameworks", f"{first} (reference) and {second}")]
    told = certificate.subject
    rows += [(name, _listing(told[name])) for name in TOLD if told.get(name) not in (None, "", (), [], {})]
    execution = told.get("execution")
    if isinstance(execution, Mapping):
        rows.append(("execution", ", ".join(f"{name} {execution[name]}" for name in EXECUTION if name in execution)))
    if told.get("digest"):
        rows.append(("digest", str(told["digest"])[:16]))
    if certificate.versions:
        rows.append(("versions", _listing(certificate.versions)))
    return rows


def _listing(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_listing(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_listing, value))
    return str(value)


def cost(certificate: Certificate) -> str | None:
    """ "Cost: 14 s, as much as 3,100 training steps of 4.5 ms."; None where it was not measured."""
    spent, worth = certificate.cost.get("seconds"), certificate.cost.get("steps_worth")
    if spent is None:
        return None
    step = certificate.cost.get("training_step_seconds")
    if worth is None or step is None:
        return f"Cost: {seconds(spent)} s."
    return f"Cost: {seconds(spent)} s, as much as {worth:,.0f} training steps of {size(step * 1000)} ms."


def layers(phase: Phase) -> tuple[tuple[str, ...], list[tuple[str, ...]]] | None:
    """(header, rows) of the largest error of each layer by kind of array, teacher-forced; None where no rung kept them.

    A rung keeps them under details["layers"]: layer -> {"type": ..., kind: relative difference, "beyond": [kind]}.
    """
    found = next((rung.details["layers"] for rung in phase.rungs if isinstance(rung.details.get("layers"), Mapping)),
                 None)
    if not found:
        return None
    parts = [part for part in PARTS if any(part in row for row in found.values())]
    rows = [(str(layer), str(row.get("type", ABSENT)), *(_part(row, part) for part in parts))
            for layer, row in found.items()]
    return ("layer", "type", *(PARTS[part] for part in parts)), rows


def _part(row: Mapping[str, Any], part: str) -> str:
    if row.get(part) is None:
        return ABSENT
    return size(float(row[part])) + (" BEYOND ITS LIMIT" if part in row.get("beyond", ()) else "")
