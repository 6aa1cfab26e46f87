"""How the timed blocks of a store stand, without reading them all again: from the index where there are many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.records.blocks import STATUSES, Block, block_ids, block_index, note_damaged
from harness.records.index import DAMAGED, Entry


@dataclass(frozen=True)
class BlockStanding:
    """One setting. labels: axis -> text, as the experiment names it. counts: status -> how many. last: why the latest
    block is not done, None where it is. seconds: of all blocks together."""

    setting: str
    labels: Mapping[str, str]
    counts: Mapping[str, int]
    last: Mapping[str, Any] | None
    bytes: int
    seconds: float


def block_standings(store: Path | str, notes: list[str] | None = None) -> list[BlockStanding]:
    """One per setting that has blocks. What is damaged is passed over with a sentence added to `notes`."""
    entries, contents = block_index(store).contents(block_ids(store), lambda found: _latest(found).values())
    note_damaged(entries, notes)
    settings: dict[str, list[Entry]] = {}
    for id, entry in entries.items():
        if entry.status != DAMAGED:
            settings.setdefault(id.partition("/")[0], []).append(entry)
    latest = {id.partition("/")[0]: Block(content.data) for id, content in contents.items()}
    return [_standing(setting, found, latest[setting]) for setting, found in settings.items() if setting in latest]


def _latest(entries: Mapping[str, Entry]) -> dict[str, str]:
    """Setting -> the id of its last whole block."""
    return {id.partition("/")[0]: id for id, entry in entries.items() if entry.status != DAMAGED}


def _standing(setting: str, found: list[Entry], latest: Block) -> BlockStanding:
    counts = {status: sum(entry.status == status for entry in found) for status in STATUSES}
    labels = latest.cell.get("labels")
    texts = {str(axis): str(text) for axis, text in labels.items()} if isinstance(labels, Mapping) else {}
    return BlockStanding(setting, texts, counts, latest.reason, sum(entry.bytes for entry in found),
                         sum(entry.seconds for entry in found))
