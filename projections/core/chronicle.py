"""Telling the log what readers were switched to: one `ProjectionSwitched` for each switch, whoever tells it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from events import chain
from events.address import DEFAULT_TENANT, partition_of
from events.errors import Busy
from events.store import Append, EventStore, NewEvent, Status, Verdict
from events.system import ProjectionSwitched
from projections.core.placement import singleton_address
from projections.core.port import ReadModelStore, Switch

TRIES: Final = 20
PAGE: Final = 100

Write = Callable[[Append], Awaitable[Verdict]]


class Chronicle:
    """Appends to `system/projection-<name>`.

    The stream is guarded by its version alone, because hosts of several versions of the code tell; and an event that
    is in it already is not appended again.
    """

    def __init__(self, store: EventStore, write: Write | None = None) -> None:
        """`write` appends on the host's own way, so that the commit is heard of at once."""
        self._store = store
        self._write = write or self._append

    async def _append(self, append: Append) -> Verdict:
        return (await self._store.append([append])).verdicts[0]

    async def catch_up(self, models: ReadModelStore, projection: str) -> int:
        """Tell what has not been told, oldest first; says how much that was. Raises Unavailable and others."""
        untold = await models.switches(projection, PAGE, unrecorded=True)
        for switch in reversed(untold):
            await models.recorded(switch.id, await self.record(switch))
        return len(untold)

    async def record(self, switch: Switch) -> int:
        """The position of the switch's event, appended now if it is not there."""
        stream = singleton_address(switch.projection)
        for _ in range(TRIES):
            history = await self._store.read_stream(DEFAULT_TENANT, stream)
            for event in history:
                if event.id == switch.id:
                    return event.position
            version = len(history)
            before = history[-1].hash if history else chain.GENESIS
            verdict = await self._write(_append(stream, version, before, switch))
            if verdict.status is Status.WRITTEN:
                return verdict.position
        raise Busy(f"{stream} has too many writers")


def _append(stream: str, version: int, before: bytes, switch: Switch) -> Append:
    told = ProjectionSwitched(
        switch.projection,
        switch.from_build,
        switch.from_version,
        switch.to_build,
        switch.to_version,
        switch.position,
        switch.comparison.compared,
        switch.comparison.unequal,
        switch.by,
        switch.reason,
    )
    name, data = type(told).__name__, msgspec.json.encode(told)
    link = chain.link(before, DEFAULT_TENANT, stream, version + 1, switch.id, name, 1, switch.id, data)
    event = NewEvent(switch.id, name, 1, data, switch.id, switch.id, link)
    return Append(DEFAULT_TENANT, stream, partition_of(DEFAULT_TENANT, stream), None, version, [event])
