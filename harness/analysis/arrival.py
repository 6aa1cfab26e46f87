"""The judgement on time to accuracy: who reaches the target sooner, by the interval of the restricted means' ratio."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.judgement import FEWEST_PAIRS, OUTCOMES, Judgement, judge_interval, not_comparable
from harness.analysis.settings import backend_title
from harness.analysis.statistics import Figure
from harness.analysis.time_to_accuracy import TimeToAccuracy, reachable_target, time_to_accuracy
from harness.records.record import Record

NAME = "time_to_accuracy"
CHOSEN = "the target is the hardest that every run reached, not one that was fixed beforehand"


def judge_arrival(
    names: tuple[str, str], pairs: Sequence[tuple[Record, Record]], metric: str, target: float | None, margin: float,
    more_is_better: bool,
) -> Judgement:
    """metric: of the epochs, by Keras's name. target: None takes the hardest that every run reached."""
    wanted = reachable_target(pairs, metric, more_is_better) if target is None else target
    if wanted is None:
        return not_comparable(NAME, f"{metric} was not evaluated in both")
    found = time_to_accuracy(pairs, metric, wanted, more_is_better)
    cautions = [*found.cautions, *([CHOSEN] if target is None else [])]
    details = {**found.to_data(), "cautions": cautions}
    if not any(arrival.share.value for arrival in found.arrivals.values()):
        return not_comparable(NAME, f"no run reached {metric} {wanted:.4g}")
    figure = None if found.ratio is None else _for_the_first(found.ratio)
    evidence = _evidence(found, names, figure)
    if figure is not None and figure.n >= FEWEST_PAIRS:
        decided = judge_interval(NAME, names, figure, margin, evidence, details)
        if decided is not None:
            return decided
    more = max(FEWEST_PAIRS - found.n, 0) or found.n
    sentence = f"{OUTCOMES[3]}: run {more} more paired seed{'' if more == 1 else 's'} (so far {evidence})"
    return Judgement(NAME, OUTCOMES[3], sentence, figure, None, more, details, evidence)


def _for_the_first(ratio: Figure) -> Figure:
    """Second over first, so that above 1 speaks for the first."""
    low, high = (None if end is None or end <= 0 else 1 / end for end in (ratio.high, ratio.low))
    return Figure(1 / ratio.value, low, high, ratio.n, ratio.unit, ratio.method, ratio.confidence)


def _evidence(found: TimeToAccuracy, names: tuple[str, str], figure: Figure | None) -> str:
    """ "seconds to val_accuracy 0.9: TensorFlow 12, PyTorch 8; ratio ... (95% interval ...)"."""
    means = ", ".join(f"{backend_title(name)} {found.arrivals[name].mean.value:.3g} s" for name in names)
    text = f"restricted mean time to {found.metric} {found.target:.4g}: {means}"
    if figure is None:
        return f"{text} (n = {found.n} paired seeds)"
    text += f"; ratio {backend_title(names[1])}/{backend_title(names[0])} {figure.value:.3g}"
    if figure.low is None or figure.high is None:
        return f"{text} (n = {found.n} paired seeds)"
    return (f"{text} (95% interval {figure.low:.3g} to {figure.high:.3g}, n = {found.n} paired seeds, "
            "bootstrap of pairs)")
