"""How much of a gap in the final metric each default explains, from final metrics alone, paired by seed.

The gap is M(PyTorch's defaults, pytorch) - M(Keras's defaults, tensorflow). A part is the effect of one default,
twice: from Keras's side it alone becomes PyTorch's; from PyTorch's side it alone was still Keras's. The two agree if
defaults do not act on each other; their mean is the part's share. What the parts do not sum up to is the remainder.
The framework is a part of its own: the same defaults in the other backend.

Every value is one per seed and every interval Student's t on paired differences, each at 95% by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.analysis.statistics import CONFIDENCE, Figure, student_interval

KERAS, TORCH, FRAMEWORK = "keras", "torch", "framework"
# (variant, backend): "keras", "torch", "keras + NAME", "torch - NAME".
Key = tuple[str, str]
Finals = Mapping[Key, Mapping[int, float]]
Values = dict[int, float]


def plus(name: str) -> str:
    """The variant with Keras's defaults but for this one."""
    return f"{KERAS} + {name}"


def minus(name: str) -> str:
    """The variant with PyTorch's defaults but for this one."""
    return f"{TORCH} - {name}"


@dataclass(frozen=True)
class Effect:
    """A part of the gap, from either side and as their mean; None where no seed has all that it takes. share: of the
    gap, None where the gap cannot be told from 0."""

    name: str
    from_keras: Figure | None
    from_torch: Figure | None
    mean: Figure | None
    share: float | None

    @property
    def clear(self) -> bool:
        """Whether the mean's interval leaves 0 out."""
        return excludes_zero(self.mean)


@dataclass(frozen=True)
class Attribution:
    """The gap and its parts. levels: mean metric per (variant, backend) of the four corners. together: all defaults
    at once, in `backend`. sum: of the parts, the framework among them. remainder: the gap less the sum."""

    metric: str
    backend: str
    seeds: tuple[int, ...]
    levels: Mapping[str, Figure | None]
    gap: Figure | None
    together: Figure | None
    framework: Effect
    defaults: tuple[Effect, ...]
    sum: Effect
    remainder: Effect

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def attribute(finals: Finals, names: Sequence[str], backend: str, metric: str) -> Attribution:
    """Takes the gap apart.

    finals: the final metric by (variant, backend) and seed; a training that failed has no entry. names: the defaults.
    backend: in which the variants were trained.
    """
    def at(variant: str, where: str = backend) -> Values:
        return dict(finals.get((variant, where), {}))

    whole = _less(at(TORCH, "pytorch"), at(KERAS, "tensorflow"))
    gap = _figure(whole, metric)
    framework = (_less(at(KERAS, "pytorch"), at(KERAS, "tensorflow")),
                 _less(at(TORCH, "pytorch"), at(TORCH, "tensorflow")))
    sides = {name: (_less(at(plus(name)), at(KERAS)), _less(at(TORCH), at(minus(name)))) for name in names}
    sums = tuple(_total([framework[side], *(pair[side] for pair in sides.values())]) for side in (0, 1))
    rest = tuple(_less(whole, total) for total in sums)
    effects = [_effect(name, pair, gap, metric) for name, pair in sides.items()]
    corners = [(variant, where) for variant in (KERAS, TORCH) for where in ("tensorflow", "pytorch")]
    return Attribution(
        metric=metric, backend=backend, seeds=tuple(sorted({seed for values in finals.values() for seed in values})),
        levels={f"{variant}/{where}": _figure(at(variant, where), metric, "mean") for variant, where in corners},
        gap=gap, together=_figure(_less(at(TORCH), at(KERAS)), metric),
        framework=_effect(FRAMEWORK, framework, gap, metric),
        defaults=tuple(sorted(effects, key=_size, reverse=True)),
        sum=_effect("sum of the parts", (sums[0], sums[1]), gap, metric),
        remainder=_effect("remainder", (rest[0], rest[1]), gap, metric),
    )


def excludes_zero(figure: Figure | None) -> bool:
    """Whether the interval leaves 0 out. One seed has no interval, and says nothing."""
    return figure is not None and figure.low is not None and figure.high is not None and (
        figure.low > 0 or figure.high < 0)


def _effect(name: str, sides: tuple[Values, Values], gap: Figure | None, metric: str) -> Effect:
    keras, torch = sides
    both = {seed: (keras[seed] + torch[seed]) / 2 for seed in keras if seed in torch}
    mean = _figure(both, metric, "mean of both sides")
    share = None
    if mean is not None and gap is not None and excludes_zero(gap):
        share = mean.value / gap.value
    return Effect(name, _figure(keras, metric), _figure(torch, metric), mean, share)


def _size(effect: Effect) -> float:
    return -1.0 if effect.mean is None else abs(effect.mean.value)


def _less(first: Values, second: Values) -> Values:
    return {seed: first[seed] - second[seed] for seed in first if seed in second}


def _total(parts: Sequence[Values]) -> Values:
    """The sum over the parts, of the seeds that all of them have."""
    seeds = set.intersection(*(set(part) for part in parts))
    return {seed: sum(part[seed] for part in parts) for seed in sorted(seeds)}


def _figure(values: Values, unit: str, what: str = "paired difference") -> Figure | None:
    if not values:
        return None
    array = np.array([values[seed] for seed in sorted(values)], dtype=np.float64)
    mean, low, high = student_interval(array)
    return Figure(mean, low, high, len(array), unit, f"{what}, Student t, {CONFIDENCE:.0%} interval")
