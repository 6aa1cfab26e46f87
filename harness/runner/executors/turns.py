"""What is next: cells after those that they need, blocks of the settings in turn. No cluster is known here."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from harness.records.blocks import blocks_of
from harness.runner.blocks import Blocks, Standing, TimedSetting
from harness.runner.executors.contract import Turn


class CellTurns:
    """Cells in their order; one that starts from another's checkpoint waits until that one has ended."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._open = {turn.cell.id for turn in turns}
        self._ready: deque[Turn] = deque()
        self._parked: dict[str, list[Turn]] = defaultdict(list)
        for turn in turns:
            self._place(turn)

    def next(self) -> Turn | None:
        """The next that may be run now."""
        return self._ready.popleft() if self._ready else None

    def ended(self, id: str) -> None:
        """Whether it is done or failed: who waited for it is next."""
        self._open.discard(id)
        for turn in self._parked.pop(id, ()):
            self._place(turn)

    def _place(self, turn: Turn) -> None:
        blocker = next((need.twin.id for need in turn.needed if need.twin.id in self._open), None)
        if blocker is None:
            self._ready.append(turn)
        else:
            self._parked[blocker].append(turn)


@dataclass(frozen=True, eq=False)
class BlockTurn:
    """Block `number` of a setting. before: where the setting stood when it was sent off."""

    setting: TimedSetting
    number: int
    before: Standing


class BlockTurns:
    """The settings take turns; of one setting so many blocks are under way as are missing up to its next look.

    More would be timed in vain where that look decides.
    """

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self._ring = deque(blocks.due())
        self._flying: dict[str, set[int]] = {setting.pair.id: set() for setting in self._ring}
        self._standing = {setting.pair.id: setting.standing() for setting in self._ring}

    def missing(self) -> dict[str, int]:
        """Setting -> blocks up to its next look."""
        return {key: standing.target - standing.done for key, standing in self._standing.items()}

    def next(self) -> BlockTurn | None:
        """The next block that is wanted now; None while all that are wanted are under way."""
        for _ in range(len(self._ring)):
            setting = self._ring[0]
            self._ring.rotate(-1)
            flying, standing = self._flying[setting.pair.id], self._standing[setting.pair.id]
            if standing.wants and standing.target - standing.done > len(flying):
                number = self._number(setting, flying)
                flying.add(number)
                return BlockTurn(setting, number, standing)
        return None

    def ended(self, turn: BlockTurn) -> None:
        """A block is in the store, however it ended; a setting that wants no more leaves the ring."""
        setting = turn.setting
        flying = self._flying[setting.pair.id]
        flying.discard(turn.number)
        self._standing[setting.pair.id] = setting.standing()
        if not self._standing[setting.pair.id].wants and not flying:
            self.blocks.goes_on(setting)
            self._ring = deque(other for other in self._ring if other is not setting)

    def _number(self, setting: TimedSetting, flying: set[int]) -> int:
        taken = flying | {block.number for block in blocks_of(self.blocks.store.path, setting.pair.id)}
        return next(number for number in range(len(taken) + 1) if number not in taken)
