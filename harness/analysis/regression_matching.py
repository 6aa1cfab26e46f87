"""Which cell of one set of results is which cell of another: the same in all that decides what is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.analysis.settings import Setting, backend_title, settings
from harness.errors import SpecError, did_you_mean
from harness.records import strict_json
from harness.records.blocks import Block
from harness.records.record import Record
from harness.records.settings_key import PAIRED

PARTS = ("model", "data", "recipe", "execution")


@dataclass(frozen=True)
class Side:
    """One set of results. name: what to call it."""

    name: str
    records: Sequence[Record]
    blocks: Mapping[str, Sequence[Block]] = field(default_factory=dict)

    @cached_property
    def settings(self) -> list[Setting]:
        return settings(self.records, self.blocks)

    @cached_property
    def environments(self) -> dict[str, list[str]]:
        """What the runs say of where they ran -> its values: "machine", "python", packages, ..."""
        found: dict[str, dict[str, None]] = {}
        for record in self.records:
            said = record.environment
            flat = {name: said.get(name) for name in ("machine", "cpu", "gpu", "python", "platform")}
            for name, value in {**flat, **(said.get("versions") or {})}.items():
                if value is not None:
                    found.setdefault(name, {})[str(value)] = None
        return {name: sorted(values) for name, values in found.items()}

    def to_data(self) -> dict[str, Any]:
        return {"name": self.name, "cells": len(self.records), "environment": self.environments}


@dataclass(frozen=True)
class Match:
    """The same setting in both sets."""

    title: str
    a: Setting
    b: Setting

    @property
    def backends(self) -> list[str]:
        """Those that left anything in both."""
        timed = [{name for block in setting.blocks for name in block.order} for setting in (self.a, self.b)]
        return sorted(({*self.a.done} | timed[0]) & ({*self.b.done} | timed[1]))

    def pairs(self, backend: str) -> list[tuple[Record, Record]]:
        """The runs of one seed, by seed."""
        ours, theirs = self.a.done.get(backend, {}), self.b.done.get(backend, {})
        return [(ours[seed], theirs[seed]) for seed in sorted(set(ours) & set(theirs))]

    @property
    def failed(self) -> list[str]:
        """What came to a result in a and has failed in b."""
        said = []
        for record in self.b.failed:
            done = self.a.done.get(record.backend, {})
            again = self.b.done.get(record.backend, {})
            if (record.seed or 0) in done and (record.seed or 0) not in again:
                reason = record.reason or {}
                said.append(f"{self.title}, {record.backend}, seed {record.seed}: {reason.get('kind')}: "
                            f"{reason.get('message')}")
        return said

    @property
    def missing(self) -> list[str]:
        """Backends that came to a result in a and were not run in b."""
        tried = {*self.b.backends(), *(name for block in self.b.blocks for name in block.order)}
        return [f"{self.title}, {backend}" for backend in sorted(self.a.done) if backend not in tried]

    @property
    def cautions(self) -> list[str]:
        """Seeds without a partner."""
        said = []
        for backend in self.backends:
            alone = sorted({*self.a.done.get(backend, {})} ^ {*self.b.done.get(backend, {})})
            if alone:
                seeds = ", ".join(map(str, alone))
                said.append(f"{self.title}, {backend_title(backend)}: seeds {seeds} are in one set only, and are not "
                            "paired")
        return said


@dataclass(frozen=True)
class Matching:
    """found: settings of both; missing, added: titles of those in a only, in b only. differences: of versions and
    machines, in words."""

    found: list[Match]
    missing: list[str]
    added: list[str]
    differences: list[str]


def match_settings(a: Side, b: Side, across: Sequence[str] = ()) -> Matching:
    """Settings that are the same in model, data, recipe and execution, but for what `across` names.

    Labels are the experiments' own words and count only where one set has two settings that nothing else tells apart.
    Raises SpecError where `across` names nothing, or leaves two settings of one set alike.
    """
    for path in across:
        _check_path(path, [*a.settings, *b.settings])
    keys = [_keys(side, across, labels=False) for side in (a, b)]
    if any(len(group) > 1 for table in keys for group in table.values()):
        keys = [_keys(side, across, labels=True) for side in (a, b)]
    for side, table in zip((a, b), keys, strict=True):
        for group in table.values():
            if len(group) > 1:
                titles = " and ".join(repr(setting.title) for setting in group[:2])
                raise SpecError(f"{titles} would both be held against one cell.", where=side.name,
                                hint="Leave out --across, or compare results that have one of them.")
    ours, theirs = ({key: group[0] for key, group in table.items()} for table in keys)
    found = [Match(setting.title, setting, theirs[key]) for key, setting in ours.items() if key in theirs]
    return Matching(found, [setting.title for key, setting in ours.items() if key not in theirs],
                    [setting.title for key, setting in theirs.items() if key not in ours], _differences(a, b))


def nearest(a: Side, b: Side) -> list[str]:
    """Where nothing matches: in what the two sets' first settings differ, as paths for `across`."""
    if not a.settings or not b.settings:
        return []
    ours, theirs = (dict(_flat(_identity(side.settings[0]))) for side in (a, b))
    return [path for path in dict.fromkeys([*ours, *theirs]) if ours.get(path) != theirs.get(path)]


def _keys(side: Side, across: Sequence[str], labels: bool) -> dict[str, list[Setting]]:
    found: dict[str, list[Setting]] = {}
    for setting in side.settings:
        identity = _identity(setting)
        for path in across:
            _remove(identity, path)
        if labels:
            named = {axis: text for axis, text in _labels(setting).items() if axis not in across}
            identity = {**identity, "labels": named}
        found.setdefault(strict_json.canonical(identity), []).append(setting)
    return found


def _cell(setting: Setting) -> Mapping[str, Any]:
    records = [record for runs in setting.done.values() for record in runs.values()] + setting.failed
    return records[0].cell if records else setting.blocks[0].cell


def _labels(setting: Setting) -> dict[str, Any]:
    return {axis: text for axis, text in (_cell(setting).get("labels") or {}).items() if axis not in PAIRED}


def _identity(setting: Setting) -> dict[str, Any]:
    """What was run, as plain data of its own."""
    cell = _cell(setting)
    model = cell.get("model") or {}
    known = model.get("digest") or model.get("spec") or model.get("name")
    return {"model": known, **{part: strict_json.to_plain(cell.get(part)) for part in PARTS[1:]}}


def _check_path(path: str, found: Sequence[Setting]) -> None:
    if path in PAIRED:
        raise SpecError(f"--across {path}: cells of one {path} are held against each other.",
                        hint="Which backend is better says `harness which`.")
    known = {known for setting in found for known, _ in _flat(_identity(setting))}
    short = {name.partition(".")[2] for name in known if name.startswith("execution.")}
    if path not in known | short | {*PARTS} and not any(name.startswith(f"{path}.") for name in known):
        raise SpecError(f"--across {path}: no cell has that.", hint=did_you_mean(path, [*known, *short, *PARTS]))


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """("execution.threads", 1) and so on."""
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _remove(identity: dict[str, Any], path: str) -> None:
    """Takes a dotted path, or a field of the execution, out of plain data."""
    if path in identity:
        identity[path] = None
        return
    *outer, last = path.split(".") if "." in path else ("execution", path)
    place: Any = identity
    for name in outer:
        place = place.get(name) if isinstance(place, dict) else None
    if isinstance(place, dict):
        place.pop(last, None)


def _differences(a: Side, b: Side) -> list[str]:
    """ "torch 2.12.0 -> 2.13.0": what the environments do not have in common."""
    ours, theirs = a.environments, b.environments
    return [f"{name} {' and '.join(ours.get(name, ['-']))} -> {' and '.join(theirs.get(name, ['-']))}"
            for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]
