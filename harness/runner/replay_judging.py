"""A run that was replayed against the run as it was: figure by figure, whether it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis.curves import loss_distance
from harness.analysis.primary import LOSS_MARGIN, more_is_better
from harness.analysis.regression_ratio import unpaired_log_ratio
from harness.analysis.settings import backend_title
from harness.analysis.statistics import Figure
from harness.records.blocks import DONE, Block
from harness.records.record import Record
from harness.runner.replay_figures import digest_of_weights

# Packages whose version decides a training's last bit, by backend.
DECIDING = {"tensorflow": ("tensorflow", "keras", "numpy"), "pytorch": ("torch", "numpy")}


@dataclass(frozen=True)
class Row:
    """One figure. holds: None where it cannot be judged here, or is only shown. exact: equal to the last bit. says:
    what was compared, in words."""

    what: str
    expected: Any
    found: Any
    holds: bool | None
    says: str = ""
    exact: bool = False

    @classmethod
    def equal(cls, what: str, expected: Any, found: Any) -> Row:
        """What must be the same; None where the bundle does not say it."""
        same = expected == found
        return cls(what, expected, found, None if expected is None else same, "", same)

    def to_data(self) -> dict[str, Any]:
        return {"what": self.what, "expected": self.expected, "found": self.found, "holds": self.holds,
                "exact": self.exact, "says": self.says}


@dataclass(frozen=True)
class Margins:
    """The share of a speed, and the size of an accuracy, that count as a difference."""

    speed: float
    accuracy: float


@dataclass(frozen=True)
class Expected:
    """A run as it was. weights: phase -> digest. certificate: of its training, None without one. policy: of dtypes, as
    curves of a certificate name it."""

    record: Record
    weights: Mapping[str, str]
    certificate: Mapping[str, Any] | None
    same_version: bool
    policy: str
    deterministic: bool


def judge_run(expected: Expected, found: Record | None, margins: Margins) -> tuple[list[Row], list[str]]:
    """(every figure, in what the two environments differ)."""
    was = expected.record
    if found is None:
        return [Row("status", was.status, "no record", False, "the run left nothing")], []
    if was.status != "done" or found.status != "done":
        return [_ending(was, found)], []
    apart = environment_differences(was, found)
    exact = not apart and expected.same_version and expected.deterministic and repeatable(was)
    if not expected.same_version:
        apart = [*apart, "the harness itself gives other numbers in this version"]
    rows = [Row.equal("plan", (was.data.get("plan") or {}).get("digest"), (found.data.get("plan") or {}).get("digest"))]
    horizon = _horizon(expected.certificate)
    rows += [_losses(expected, found, exact), _weights(expected, found, exact)]
    rows += _metrics(was, found, margins, horizon)
    rows.append(Row("samples_per_second", was.samples_per_second, found.samples_per_second, None,
                    "observed in whole trainings; decides nothing"))
    return rows, apart


def _ending(was: Record, found: Record) -> Row:
    kinds = [record.status if record.reason is None else f"{record.status}: {record.reason.get('kind')}"
             for record in (was, found)]
    says = "" if found.reason is None else str(found.reason.get("message"))[:500]
    return Row("status", kinds[0], kinds[1], kinds[0] == kinds[1], says)


def environment_differences(was: Record, found: Record) -> list[str]:
    """In words, what of the environment may move the last bit."""
    before, now = was.environment, found.environment
    said = [f"{name} {old} there, {new} here" for name in DECIDING.get(was.backend, ("numpy",))
            if (old := (before.get("versions") or {}).get(name)) != (new := (now.get("versions") or {}).get(name))]
    said += [f"{name}: {before.get(name)} there, {now.get(name)} here" for name in ("cpu", "gpu")
             if before.get(name) != now.get(name)]
    for part in ("threads", "precision"):
        old, new = before.get(part) or {}, now.get(part) or {}
        said += [f"{part} {key}: {old.get(key)} there, {new.get(key)} here" for key in sorted({*old, *new})
                 if old.get(key) != new.get(key)]
    programs = [[phase.get("program") for phase in record.phases] for record in (was, found)]
    if programs[0] != programs[1]:
        said.append(f"{backend_title(was.backend)} played another program")
    return said


def repeatable(record: Record) -> bool:
    """Whether the same versions on the same processor give the same bits: on one thread, without a GPU."""
    threads = record.environment.get("threads") or {}
    numbers = [value for value in threads.values() if isinstance(value, int)]
    return bool(numbers) and set(numbers) == {1} and not record.environment.get("gpu")


def _losses(expected: Expected, found: Record, exact: bool) -> Row:
    ours, theirs = found.losses, expected.record.losses
    if not len(theirs):
        return Row("losses", None, None, None, "the bundle has none")
    if np.array_equal(ours, theirs, equal_nan=True):
        return Row("losses", len(theirs), len(ours), True, "every step's loss is the same to the bit", True)
    distance = loss_distance(found, Record(expected.record.data, memory_series={"loss": theirs}))
    size = "" if distance is None else (f"largest relative distance {distance.relative:.2g}, at step "
                                        f"{distance.step + 1} of {distance.steps}")
    if exact:
        return Row("losses", len(theirs), len(ours), False, f"{size}; same versions, processor and one thread should "
                   "give the same bits")
    limit = loss_limit(expected.certificate, expected.policy)
    if not limit:
        return Row("losses", len(theirs), len(ours), None, f"{size}; the bundle has no certificate that says how far "
                   "rounding goes")
    steps = min(len(limit), len(ours), len(theirs))
    share = _against_band(ours[:steps], theirs[:steps], limit[:steps])
    where = f"over the certificate's first {steps} steps, at most {share:.2g} of the limit"
    return Row("losses", len(theirs), len(ours), share <= 1, f"{where}; {size}")


def _against_band(ours: np.ndarray, theirs: np.ndarray, limit: Sequence[float]) -> float:
    """Which part of its limit the loss takes at most. By the root mean square of the losses so far, as the certificate
    measures it (harness/certify/distances.py)."""
    with np.errstate(all="ignore"):
        scale = np.sqrt(np.cumsum(np.square(theirs)) / np.arange(1, len(theirs) + 1))
        shares = np.where(ours == theirs, 0.0, np.abs(ours - theirs) / scale / np.asarray(limit, dtype=np.float64))
    return float(np.max(np.nan_to_num(shares, nan=np.inf, posinf=np.inf), initial=0.0))


def loss_limit(certificate: Mapping[str, Any] | None, policy: str) -> list[float]:
    """What D(t) of the loss may reach after each step of the first phase; [] where no certificate says it.

    It ends before T*, from which on the same training and another one are equally far apart.
    """
    phases = (certificate or {}).get("phases") or []
    curves = [curve for phase in phases[:1] for curve in phase.get("curves") or []
              if curve.get("quantity") == "loss" and curve.get("dtype") == policy]
    if not curves:
        return []
    limit = [float(value) for value in curves[0].get("limit") or []]
    horizon = curves[0].get("horizon")
    return limit if horizon is None else limit[:max(1, int(horizon) - 1)]


def _horizon(certificate: Mapping[str, Any] | None) -> int | None:
    curves = [curve for phase in (certificate or {}).get("phases") or [] for curve in phase.get("curves") or []]
    found = [int(curve["horizon"]) for curve in curves if curve.get("horizon") is not None]
    return min(found, default=None)


def _weights(expected: Expected, found: Record, exact: bool) -> Row:
    last = str(expected.record.phases[-1]["name"]) if expected.record.phases else ""
    stated, ours = expected.weights.get(last), found.weights
    if stated is None or not ours:
        return Row("final weights", stated, None, None, "no weights were kept")
    row = Row.equal("final weights", stated, digest_of_weights(ours))
    if row.exact or exact:
        return row
    return Row(row.what, row.expected, row.found, None,
               "not the same bits, which another version or processor need not give")


def _metrics(was: Record, found: Record, margins: Margins, horizon: int | None) -> list[Row]:
    """Final metrics: the same inside the margin. Past T* a single run says nothing, and is only shown."""
    rows, past = [], horizon is not None and len(found.losses) > horizon
    for name, value in was.metrics.items():
        ours = found.metrics.get(name)
        if ours is None:
            rows.append(Row(name, value, None, False, "it was not measured"))
            continue
        exact = value == ours or (math.isnan(value) and math.isnan(ours))
        absolute = more_is_better(name)
        margin = margins.accuracy if absolute else LOSS_MARGIN * abs(value)
        within = exact or abs(ours - value) <= margin
        size = f"{margins.accuracy * 100:.3g} points" if absolute else f"{LOSS_MARGIN:.0%}"
        says = "the same" if exact else f"{'inside' if within else 'outside'} {size}"
        if not within and past:
            says += f"; past step {horizon} (T*) single runs part, only several seeds can tell"
        rows.append(Row(name, value, ours, None if past and not within else within, says, exact))
    return rows


def judge_blocks_again(theirs: Sequence[Block], ours: Sequence[Block], margins: Margins) -> list[Row]:
    """The speed of both backends, and of one over the other: blocks of the bundle against blocks that were timed here.

    A figure does not hold where the interval of its change lies outside the margin on one side, and holds where it lies
    inside; between the two nothing is decided. Speeds of two machines are shown and not judged.
    """
    names = sorted(theirs[0].order)
    done = [[block for block in blocks if block.status == DONE] for blocks in (theirs, ours)]
    if not all(done):
        return [Row("blocks", len(done[0]), len(done[1]), None, "no block came to its end")]
    machines = [{block.machine.get("machine") for block in blocks} for blocks in done]
    speeds = {name: [[_speed(block, name) for block in blocks] for blocks in done] for name in names}
    first, second = names
    ratios = [[a / b for a, b in zip(speeds[first][side], speeds[second][side], strict=True)] for side in (0, 1)]
    over = f"{backend_title(first)} over {backend_title(second)}"
    rows = [_timed(f"samples_per_second of {backend_title(name)}", speeds[name], machines, margins) for name in names]
    return [*rows, _timed(f"samples_per_second of {over}", ratios, machines, margins)]


def _speed(block: Block, backend: str) -> float:
    speed = block.samples_per_second(backend)
    if speed is None:
        raise ValueError(f"block {block.number} has no window of {backend}")
    return speed


def _timed(what: str, values: Sequence[Sequence[float]], machines: Sequence[set[Any]], margins: Margins) -> Row:
    change = unpaired_log_ratio(values[1], values[0])
    mean = [float(np.exp(np.mean(np.log(side)))) for side in values]
    says = f"here over there {change.value:.3g}{_interval(change)}, n = {len(values[1])} and {len(values[0])} blocks"
    if machines[0] != machines[1] or len(machines[0]) != 1:
        return Row(what, mean[0], mean[1], None, f"{says}; of another machine, not judged")
    if change.low is None or change.high is None:
        return Row(what, mean[0], mean[1], None, f"{says}; one block has no interval")
    least, most = 1 / (1 + margins.speed), 1 + margins.speed
    if change.low > most or change.high < least:
        return Row(what, mean[0], mean[1], False, says)
    inside = least < change.low and change.high < most
    return Row(what, mean[0], mean[1], True if inside else None, says if inside else f"{says}; not decided")


def _interval(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f" ({figure.confidence:.0%} interval {figure.low:.3g} to {figure.high:.3g})"
