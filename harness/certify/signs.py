"""Bug or noise? Three signs of a difference between two trainings, each in a sentence."""

from __future__ import annotations

import numpy as np

from harness.certify.certificate import Curve
from harness.plan.plan import Tape

# Of errors at the first step: float32's over float64's is about 5e8 for rounding (the ratio of their units in the last
# place), about 1 for a difference in meaning.
ROUNDING_RATIO, MEANING_RATIO = 1e6, 1e3
# More than float32's rounding makes of one step: something computes in less.
LESS_THAN_FLOAT32 = 1e-4
# A jump: D grows by this factor in one step, the controls by less than its root.
JUMP = 10.0
ROUNDING, MEANING, OPEN = "rounding", "a difference in meaning", "no sign of either"


def signs(
    curve: Curve, errors: tuple[float, float] | None = None, tape: Tape | None = None,
) -> tuple[str, str, str]:
    """The three sentences: of the precision, of the growth, of a jump.

    curve: of the weights in lock-step, float64. errors: the largest relative difference of the first step (R2) in
    float64 and in float32; None where it was not measured. tape: says what happens at the step of a jump.
    """
    return precision_sign(errors), growth_sign(curve), jump_sign(curve, tape)


def precision_sign(errors: tuple[float, float] | None) -> str:
    """float32's error over float64's at the first step."""
    if errors is None or not np.isfinite(errors).all():
        return f"float32 against float64 at step 1: not measured ({OPEN})"
    in_64, in_32 = errors
    if in_64 == 0:
        return f"float32 against float64 at step 1: {in_32:.1g}, and no difference at all in float64 ({ROUNDING})"
    if in_32 == 0:
        return f"float32 against float64 at step 1: no difference at all in float32, {in_64:.1g} in float64 ({OPEN})"
    ratio = in_32 / in_64
    if ratio >= ROUNDING_RATIO and in_32 > LESS_THAN_FLOAT32:
        return (f"float32 against float64 at step 1: {in_32:.1g} / {in_64:.1g} = {ratio:.1g}; float32 rounds less than "
                f"that, something computes in less ({MEANING})")
    verdict = ROUNDING if ratio >= ROUNDING_RATIO else MEANING if ratio <= MEANING_RATIO else OPEN
    return (f"float32 against float64 at step 1: {in_32:.1g} / {in_64:.1g} = {ratio:.1g}; about 5e8 is rounding, "
            f"about 1 a difference in meaning ({verdict})")


def growth_sign(curve: Curve) -> str:
    """Whether the distance is there from the first step, or came as the controls' does."""
    beyond = first_beyond(curve)
    if beyond is not None:
        index = curve.steps.index(beyond)
        what = f"{curve.between[index]:.1g} where rounding allows {curve.limit[index]:.1g}"
        if beyond <= 1:
            return f"growth: there at step {beyond} already, {what} ({MEANING})"
        return f"growth: within what rounding allows up to step {beyond - 1}, at step {beyond} {what} ({MEANING})"
    own, theirs = growth(curve.steps, curve.between), growth(curve.steps, _largest(curve))
    if own is None or theirs is None:
        return f"growth: too little to see ({ROUNDING})"
    return f"growth: {own:.3g} times a step, the controls {theirs:.3g} times ({ROUNDING})"


def jump_sign(curve: Curve, tape: Tape | None = None) -> str:
    """Whether the distance grows tenfold within one step while the controls do not."""
    step = first_jump(curve)
    if step is None:
        return f"jump: none, no step takes it {JUMP:.0f} times further than the controls ({OPEN})"
    what = events(tape, step) if tape is not None else ()
    where = f"; there {', '.join(what)}" if what else ""
    return (f"jump: at step {step}{where}: look for a schedule, clipping, an epoch's end or a batch that one of them "
            f"leaves out ({MEANING})")


def first_beyond(curve: Curve) -> int | None:
    """The first step at which D is beyond its limit (or NaN), before the horizon."""
    for step, between, limit in zip(curve.steps, curve.between, curve.limit, strict=True):
        if curve.horizon is not None and step >= max(curve.horizon, 2):
            return None
        if not between <= limit:
            return step
    return None


def first_jump(curve: Curve) -> int | None:
    """The first step after the first one at which D grows tenfold, to beyond its limit, while the controls do not."""
    between, highest = np.asarray(curve.between), _largest(curve)
    for index in range(1, len(between)):
        # The controls move about among a few units in the last place before they grow.
        least = np.asarray(curve.limit[:index]).max()
        grown = between[index] >= JUMP * between[index - 1] and between[index] > least
        theirs = highest[index] > np.sqrt(JUMP) * highest[:index].max() and highest[index] > 0.1 * least
        if curve.steps[index] > 1 and grown and not theirs:
            return curve.steps[index]
    return None


def growth(steps: tuple[int, ...], values: object) -> float | None:
    """The factor by which a distance grows in a step, fitted to its logarithm (Theil-Sen: the median of slopes); None
    where fewer than five of its values are finite and above 0."""
    from scipy.stats import theilslopes

    array = np.asarray(values, np.float64)
    usable = np.isfinite(array) & (array > 0)
    if usable.sum() < 5:
        return None
    return float(np.exp(theilslopes(np.log(array[usable]), np.asarray(steps)[usable]).slope))


def events(tape: Tape, step: int) -> tuple[str, ...]:
    """What is not as in the step before; steps count from 1."""
    now, before = step - 1, step - 2
    if not 0 < now < len(tape):
        return ()
    found = []
    if tape.epochs[now] != tape.epochs[before]:
        found.append(f"epoch {tape.epochs[now] + 1} begins")
    if tape.sizes[now] != tape.sizes[before]:
        found.append(f"the batch has {tape.sizes[now]} examples after {tape.sizes[before]}")
    if tape.learning_rates[now] != tape.learning_rates[before]:
        found.append(f"the learning rate is {tape.learning_rates[now]:.4g} after {tape.learning_rates[before]:.4g}")
    return tuple(found)


def _largest(curve: Curve) -> np.ndarray:
    if not curve.controls:
        return np.zeros(len(curve.steps))
    return np.max([np.nan_to_num(np.asarray(values), nan=np.inf) for values in curve.controls.values()], axis=0)
