"""Forgetting what is no longer needed, and how much there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from events.errors import InvalidData
from events.store import EXPIRED, Figures, Pruned
from infra.memory.store_tables import Row, Tables

FEWEST_HASHES = 3


class Keeping:
    """The housekeeping part of the port."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def prune(self, before: int, *, hashes: int = 100) -> Pruned:
        """Forget what is no longer needed. Bodies go with the last row that has them."""
        if hashes < FEWEST_HASHES:
            raise InvalidData(f"{hashes} state hashes of a stream are too few", hint=f"keep at least {FEWEST_HASHES}")
        self._tables.horizon = max(self._tables.horizon, before)
        deleted, expired = self._messages(before)
        pruned = Pruned(deleted, expired, 0, self._strikes(before), self._hashes(hashes))
        await asyncio.sleep(0)
        return pruned

    def _messages(self, before: int) -> tuple[int, int]:
        tables = self._tables
        deleted = expired = 0
        for key, rows in list(tables.messages_of.items()):
            old = [row for row in rows if row.recorded_at < before]
            for row in old:
                if row.handled.guarded:
                    del tables.messages[row.handled.id]
                    deleted += 1
                else:
                    tables.messages[row.handled.id] = _expired(row)
                    expired += 1
            if len(old) == len(rows):
                del tables.messages_of[key]
            else:
                del rows[: len(old)]
        return deleted, expired

    def _strikes(self, before: int) -> int:
        tables = self._tables
        over = [
            key
            for key, (_, at) in tables.strikes.items()
            if key[2] in tables.messages or (at < before and not tables.waits(*key))
        ]
        for key in over:
            del tables.strikes[key]
        return len(over)

    def _hashes(self, keep: int) -> int:
        gone = 0
        for known in self._tables.state_hashes.values():
            total = len(known)
            if total > keep:
                step = -(-total // (keep - 2))
                surplus = [v for n, v in enumerate(sorted(known), 1) if 1 < n < total and n % step]
                for version in surplus:
                    del known[version]
                gone += len(surplus)
        return gone

    async def archive(self, upto: int, *, fewest: int = 32, moved: Callable[[int], None] | None = None) -> int:
        """Nothing to move: there is no place where it would take less room."""
        return 0

    async def figures(self) -> Figures:
        """How much there is."""
        t = self._tables
        rows = {
            "events": len(t.log), "messages": len(t.messages), "mailbox": len(t.mailbox), "effects": len(t.effects),
            "timers": sum(map(len, t.timers.values())), "snapshots": len(t.snapshots),
            "state_hashes": sum(map(len, t.state_hashes.values())), "strikes": len(t.strikes),
        }  # fmt: skip
        return Figures(len(t.log), 0, 0, t.horizon, rows, {})


def _expired(row: Row) -> Row:
    kept = replace(row.handled, outcome=EXPIRED, digest=b"", type="", data=b"", sender="", causation="",
                   correlation="", answer=None)  # fmt: skip
    return Row(kept, row.tenant, row.stream, row.version, row.position, row.recorded_at)
