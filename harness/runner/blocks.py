"""The blocks of an experiment: which settings, how many of each, in which order, and when it is enough.

    <out>/blocks/<setting>/<NNNN>.json     harness/records/blocks.py

They come after the cells: a training that breaks is known before hours are spent on timing it, and a run that is
interrupted has its accuracies already. Each block is alone on the machine (the exclusive lock); the settings take
turns, block by block, so that a slow drift of the machine weighs on all alike. A block is finished when its file is
there, and everything else can be killed at any moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.analysis.half_metrics import metric_value
from harness.analysis.primary import BLOCK_MEASURES
from harness.analysis.sequential import judge_blocks, next_look
from harness.backends import BACKENDS
from harness.errors import SpecError, did_you_mean
from harness.records.blocks import DONE, DROPPED, FAILED, Block, blocks_of, write_block
from harness.records.settings_key import setting_cell
from harness.records.store import Store
from harness.runner.cell import opening
from harness.runner.identity import setting_of
from harness.runner.largest_batch import JOB as LARGEST_BATCH_JOB
from harness.runner.locks import FileLock
from harness.runner.matrix import Cell
from harness.runner.timed_block import (
    CEILING_JOB,
    CONDITIONS_JOB,
    TIMING_JOB,
    Halves,
    OnEvent,
    Pair,
    Pilot,
    Unfairness,
    fastest_program,
    what_is_unfair,
)
from harness.runner.workers import Worker
from harness.spec.timing import Timing

MEASURE = "samples_per_second"
COLD = ("compile_seconds", "first_step_seconds")
# So many failed blocks in a row end a setting.
MOST_FAILED = 2
WAITING = {"event": "waiting", "message": "another run uses this machine; a block waits until it is alone."}


@dataclass(frozen=True)
class More:
    """blocks: how many more. setting: of this one alone, decided or not (the beginning of its id); None for all that
    are undecided."""

    blocks: int
    setting: str | None = None


@dataclass(frozen=True)
class BlockSettings:
    """How blocks are timed. function, conditions, ceiling: jobs of the workers; unfair: judges what both halves read
    back; pilot: chooses programs; largest_batch: the job that tries a size; tests put their own in these places."""

    timing: Timing
    more: More | None = None
    function: str = TIMING_JOB
    conditions: str = CONDITIONS_JOB
    unfair: Unfairness = what_is_unfair
    ceiling: str | None = CEILING_JOB
    pilot: Pilot | None = fastest_program
    largest_batch: str = LARGEST_BATCH_JOB


@dataclass(frozen=True)
class Standing:
    """Where a setting stands. done: blocks that count; target: up to which they are run; reason: why none are run any
    more, None where the target is reached or being worked on."""

    done: int
    target: int
    reason: str | None = None
    ratio: float | None = None

    @property
    def wants(self) -> bool:
        return self.reason is None and self.done < self.target


def settings_to_time(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Setting -> its cells, of every setting that both backends run with one seed at least."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(setting_of(cell), []).append(cell)
    return {key: group for key, group in found.items() if _paired_seeds(group)}


def _paired_seeds(cells: Sequence[Cell]) -> list[int]:
    """The seeds that every backend runs, from the smallest; none with one backend."""
    seeds = [{cell.seed for cell in cells if cell.backend == name} for name in BACKENDS]
    return sorted(set.intersection(*seeds))


@dataclass
class TimedSetting:
    """One setting in this run. measure: what the looks are at. earlier: numbers of the blocks that were there."""

    pair: Pair
    store: Store
    timing: Timing
    margin: float
    machine: str
    more: More | None = None
    retry_failed: bool = False
    stopped: str | None = None
    measure: str = MEASURE
    earlier: frozenset[int] = field(init=False)
    begun: int = field(init=False)
    asked: bool = field(init=False)

    def __post_init__(self) -> None:
        blocks = self.blocks()
        self.earlier = frozenset(block.number for block in blocks)
        self.begun = len(_done(blocks))
        # --more is for what is undecided, unless this setting was named.
        self.asked = self.more is not None and (self.more.setting is not None or not self._decided(_done(blocks)))

    def blocks(self) -> list[Block]:
        """Those of this machine: figures of two machines are never put together."""
        return [block for block in blocks_of(self.store.path, self.pair.id, self.store.notes)
                if block.machine.get("machine") == self.machine]

    def next_number(self) -> int:
        """The first that is not there, or not whole."""
        taken = {block.number for block in blocks_of(self.store.path, self.pair.id)}
        return next(number for number in range(len(taken) + 1) if number not in taken)

    def standing(self) -> Standing:
        blocks = self.blocks()
        done = _done(blocks)
        ratio = self._ratio(done)
        reason = self.stopped or self._why_not(blocks)
        return Standing(len(done), self._target(done), reason, ratio)

    def _target(self, done: Sequence[Block]) -> int:
        if self.more is None:
            judgement = None if len(done) < min(self.timing.looks) else self._judgement(done)
            return next_look(len(done), judgement, self.timing.looks) or len(done)
        if not self.asked or (self.more.setting is None and len(done) > self.begun and self._decided(done)):
            return len(done)
        return self.begun + self.more.blocks

    def _decided(self, done: Sequence[Block]) -> bool:
        """Whether the last look ended it."""
        return len(done) >= min(self.timing.looks) and next_look(
            0, self._judgement(done), self.timing.looks) is None

    def _judgement(self, done: Sequence[Block]) -> Any:
        first, second = self.pair.backends
        # What decides is what the looks are at; where a half does not have it, the speed says when it is enough.
        found = [[[metric_value(block.halves[name], measure) or math.nan for block in done]
                  for name in (first, second)] for measure in (self.measure, MEASURE)]
        own = np.isfinite(found[0]).all()
        a, b = found[0] if own else found[1]
        return judge_blocks(self.measure if own else MEASURE, (first, second), a, b, self.margin, self.timing.looks)

    def _ratio(self, done: Sequence[Block]) -> float | None:
        """The geometric mean of the first backend's rate over the second's."""
        first, second = self.pair.backends
        logs = [math.log((block.samples_per_second(first) or 0.0) / (block.samples_per_second(second) or 0.0))
                for block in done]
        return math.exp(sum(logs) / len(logs)) if logs else None

    def _why_not(self, blocks: Sequence[Block]) -> str | None:
        """Why no more blocks are run, by how the latest ones ended; failures are forgotten with retry_failed."""
        latest = sorted(blocks, key=lambda block: (str(block.data.get("started_at")), block.number), reverse=True)
        own = [block for block in latest if block.number not in self.earlier]
        told = own if self.retry_failed else latest
        if told and (told[0].reason or {}).get("before_timing"):
            return str((told[0].reason or {}).get("message"))
        if _in_a_row(told, FAILED) >= MOST_FAILED:
            reason = told[0].reason or {}
            return f"{MOST_FAILED} blocks in a row failed, the last with {reason.get('kind')}: {reason.get('message')}"
        if _in_a_row(own, DROPPED) >= self.timing.most_dropped:
            reason = own[0].reason or {}
            return (f"{self.timing.most_dropped} blocks in a row were dropped: this machine is not quiet enough "
                    f"({reason.get('message')}). Run it again when it is, or with timing.drop_disturbed=false; "
                    "`harness doctor` says which limit it can keep.")
        return None


def _done(blocks: Sequence[Block]) -> list[Block]:
    return [block for block in blocks if block.status == DONE]


def _in_a_row(latest: Sequence[Block], status: str) -> int:
    """How many of the latest blocks, from the last one back, ended so."""
    return next((index for index, block in enumerate(latest) if block.status != status), len(latest))


@dataclass
class Blocks:
    """All settings of a run. primary: the measure that decides. Raises SpecError for a setting that it has not."""

    cells: Sequence[Cell]
    store: Store
    settings: BlockSettings
    margin: float
    machine: str
    tell: OnEvent
    retry_failed: bool = False
    primary: str = MEASURE
    groups: dict[str, list[Cell]] = field(init=False)

    def __post_init__(self) -> None:
        self.groups = settings_to_time(self.cells)
        more = self.settings.more
        wanted = None if more is None else more.setting
        if wanted is not None:
            chosen = {key: group for key, group in self.groups.items() if key.startswith(wanted)}
            if len(chosen) != 1:
                many = "no setting" if not chosen else f"{len(chosen)} settings"
                raise SpecError(f"{many} of this experiment begins with {wanted!r}.", where="--setting",
                                hint=did_you_mean(wanted, self.groups))
            self.groups = chosen

    def due(self) -> list[TimedSetting]:
        """The settings that want blocks, as far as their cells ran."""
        return [setting for setting in self.timed() if setting.standing().wants]

    def timed(self) -> list[TimedSetting]:
        """Every setting that can be timed."""
        found = []
        for key, group in self.groups.items():
            seed = next((seed for seed in _paired_seeds(group) if not self._failed(group, seed)), None)
            if seed is not None:
                found.append(TimedSetting(_pair(key, group, seed), self.store, self.settings.timing, self.margin,
                                          self.machine, self.settings.more, self.retry_failed,
                                          measure=self.primary if self.primary in BLOCK_MEASURES else MEASURE))
        return found

    def _failed(self, group: Sequence[Cell], seed: int) -> bool:
        """Whether the training itself ended without a result in one of the backends."""
        records = (self.store.get(cell.id) for cell in group if cell.seed == seed)
        return any(record is not None and record.status != "done" for record in records)

    def halves(self, worker_of: Callable[[Cell], Worker], timeout: float | None) -> Halves:
        """What runs their halves."""
        own = self.settings
        return Halves(own.timing, worker_of, self.machine, self.store.path, self.tell, own.function, own.conditions,
                      own.ceiling, own.unfair, own.pilot, timeout, largest_batch=own.largest_batch,
                      cold=self.primary in COLD)

    def __call__(self, halves: Halves, lock: FileLock) -> None:
        """Runs blocks, one of each setting in turn, until none wants any more."""
        settings = self.due()
        standings = {setting.pair.id: setting.standing() for setting in settings}
        missing = {key: standing.target - standing.done for key, standing in standings.items()}
        self.tell({"event": "blocks", "settings": len(missing), "blocks": sum(missing.values()), "open": missing})
        while settings:
            for setting in settings:
                with lock.held(lambda: self.tell(dict(WAITING))):
                    # Another driver may have run it while this one waited.
                    if setting.standing().wants:
                        self._one(setting, halves)
            settings = [setting for setting in settings if self.goes_on(setting)]

    def _one(self, setting: TimedSetting, halves: Halves) -> None:
        pair, before, number = setting.pair, setting.standing(), setting.next_number()
        self.begun(setting, number, before)
        block = halves.block(pair, number)
        write_block(self.store.path, block)
        if halves.search_batches(pair, block):
            write_block(self.store.path, block)
        self.ended(setting, block, before)

    def begun(self, setting: TimedSetting, number: int, before: Standing) -> None:
        """Tells that a block is being timed."""
        self.tell({"event": "block_started", **_about(setting, number), "done": before.done, "target": before.target})

    def ended(self, setting: TimedSetting, block: Mapping[str, Any], before: Standing) -> None:
        """Tells how a block, which is in the store by now, ended. before: where its setting stood when it began."""
        after = setting.standing()
        reason = None if block["reason"] is None else {key: block["reason"][key] for key in ("kind", "message")}
        self.tell({"event": "block_finished", **_about(setting, block["number"]), "status": block["status"],
                   "reason": reason, "done": after.done, "target": max(after.target, after.done),
                   "look": before.target, "ratio": after.ratio, "seconds": block["seconds"]})

    def goes_on(self, setting: TimedSetting) -> bool:
        """Whether a setting wants more blocks; tells why not where that is no decision."""
        standing = setting.standing()
        if standing.reason is not None:
            self.tell({"event": "blocks_stopped", "setting": setting.pair.id, "title": setting.pair.title,
                       "reason": standing.reason})
        return standing.wants


def _about(setting: TimedSetting, number: int) -> dict[str, Any]:
    pair = setting.pair
    return {"setting": pair.id, "title": pair.title, "number": number, "backends": list(pair.backends)}


def _pair(key: str, group: Sequence[Cell], seed: int) -> Pair:
    cells = {name: next(cell for cell in group if (cell.backend, cell.seed) == (name, seed)) for name in BACKENDS}
    cell = next(iter(cells.values()))
    return Pair(key, setting_title(cell), cells, setting_cell(opening(cell, "")["cell"]))


def setting_title(cell: Cell) -> str:
    """The cell's without backend and seed."""
    return cell.title.replace(f", {cell.backend}", "").removesuffix(f", seed {cell.seed}")
