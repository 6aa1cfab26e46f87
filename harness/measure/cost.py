"""What a training costs: the price of an hour on this machine, which only its user knows."""

from __future__ import annotations

import math
from typing import Any

from harness.errors import SpecError

SECONDS_PER_HOUR = 3600.0
NO_PRICE = "no price was given: cost_per_hour is the price of an hour on this machine"


def checked_price(value: Any, where: str = "cost_per_hour") -> float | None:
    """The price of an hour, None for none. Raises SpecError for what is no price (a free machine has none either)."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise SpecError(f"a price is a number above 0, got {value!r}.", where=where,
                        hint="Leave it out where there is no price.")
    return float(value)


def cost_of(seconds: float, examples: float, cost_per_hour: float | None) -> dict[str, Any]:
    """{"cost": of one example, in the unit of the price, "cost_per_hour"}; None with a reason where it is not known."""
    price = checked_price(cost_per_hour)
    if price is None:
        return {"cost": None, "cost_reason": NO_PRICE}
    if seconds <= 0 or examples <= 0:
        return {"cost": None, "cost_reason": "nothing was timed"}
    return {"cost": price / SECONDS_PER_HOUR * seconds / examples, "cost_per_hour": price}
