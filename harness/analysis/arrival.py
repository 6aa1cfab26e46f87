"""The judgement on time to accuracy: who reaches the target sooner, by the interval of the restricted means' ratio."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.judgement import OUTCOMES, Judgement, judge_looks, not_comparable, paired_seeds, shown_interval
from harness.analysis.seed_looks import looks_at
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
    """pairs: in the order in which they were finished; a look takes the first ones. metric: of the epochs, by Keras's
    name. target: None takes the hardest that every run of the look reached."""
    seen = looks_at(len(pairs))
    pairs = pairs[:seen.used]
    wanted = reachable_target(pairs, metric, more_is_better) if target is None else target
    if wanted is None:
        return not_comparable(NAME, f"{metric} was not evaluated in both")
    found = time_to_accuracy(pairs, metric, wanted, more_is_better, confidence=1 - seen.alpha)
    cautions = [*found.cautions, *([CHOSEN] if target is None else [])]
    details = {**found.to_data(), "cautions": cautions}
    if not any(arrival.share.value for arrival in found.arrivals.values()):
        return not_comparable(NAME, f"no run reached {metric} {wanted:.4g}")
    figure = None if found.ratio is None else _for_the_first(found.ratio)
    evidence = _evidence(found, names, None if figure is None else shown_interval(figure, seen))
    if figure is not None:
        return judge_looks(NAME, names, figure, margin, seen, evidence, seen.following - seen.n, details)
    sentence = f"{OUTCOMES[3]}: a run took no time at all ({evidence})"
    return Judgement(NAME, OUTCOMES[3], sentence, None, None, None, details, evidence)


def _for_the_first(ratio: Figure) -> Figure:
    """Second over first, so that above 1 speaks for the first."""
    low, high = (None if end is None or end <= 0 else 1 / end for end in (ratio.high, ratio.low))
    return Figure(1 / ratio.value, low, high, ratio.n, ratio.unit, ratio.method, ratio.confidence)


def _evidence(found: TimeToAccuracy, names: tuple[str, str], shown: str | None) -> str:
    """ "restricted mean time to val_accuracy 0.9: TensorFlow 12 s, PyTorch 8 s; ratio ... (98.3% interval ...)"."""
    means = ", ".join(f"{backend_title(name)} {found.arrivals[name].mean.value:.3g} s" for name in names)
    text = f"restricted mean time to {found.metric} {found.target:.4g}: {means}"
    if found.ratio is None or shown is None:
        return f"{text} ({paired_seeds(found.n)})"
    return (f"{text}; ratio {backend_title(names[1])}/{backend_title(names[0])} {1 / found.ratio.value:.3g} ({shown}, "
            "bootstrap of pairs)")
