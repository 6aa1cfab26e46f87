"""A half judged by itself, when it is warm and before it is timed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.backends.contract import Session
from harness.errors import CellFailed
from harness.measure.mode import mode_of
from harness.measure.parity import facts, unfair
from harness.plan.binding import Arrays
from harness.plan.plan import Plan
from harness.spec.execution import Execution


def judged(
    wanted: Execution, backend: str, conditions: Mapping[str, Any], session: Session, plan: Plan, data: Arrays,
) -> dict[str, Any]:
    """What the half says of its subject: the keys of `parity.facts`, and "mode". Plays the tape's first step.

    Raises CellFailed("unfair") if the conditions, the compilation or the mode are not as wanted.
    """
    said = {**facts(plan, session, wanted), "mode": mode_of(session, plan, data)}
    found = unfair(wanted, {backend: {"conditions": conditions, "compilation": session.compilation(), **said}})
    if found:
        raise CellFailed("unfair", "\n".join(map(str, found)))
    return said
