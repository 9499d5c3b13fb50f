"""Streams of kinds that run nowhere: another library's applications write them (`events.address.FOREIGN`).

They have events and no state here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from actors.core.port import ActorView
from events.address import split
from events.envelope import Event
from events.errors import NotFound
from events.store import EventStore

PAGE: Final = 500


async def view(store: EventStore, tenant: str, address: str, at: int | None) -> ActorView:
    """How far such a stream is; its state is None. Raises NotFound."""
    if at is not None:
        if at < 1 or not await store.read_stream(tenant, address, at - 1, at):
            raise NotFound(f"{address} has no version {at}", hint="versions count from 1")
        version = at
    else:
        version = await _head(store, tenant, address)
        if version == 0:
            raise NotFound(f"{address} has no history")
    return ActorView(tenant, address, split(address)[0], version, None, None, at)


async def history(store: EventStore, tenant: str, address: str, first: int, last: int | None) -> AsyncGenerator[Event]:
    """The versions `first` to `last` (or the newest), as far as they are there, a page of them in memory."""
    version = first - 1
    while events := await store.read_stream(tenant, address, version, last, PAGE):
        for event in events:
            yield event
        version = events[-1].version


async def _head(store: EventStore, tenant: str, address: str) -> int:
    """The last version, by doubling and halving: such a stream may be as long as an application's whole history."""

    async def has(version: int) -> bool:
        return bool(await store.read_stream(tenant, address, version - 1, version))

    there, beyond = 0, 1
    while await has(beyond):
        there, beyond = beyond, beyond * 2
    while beyond - there > 1:
        middle = (there + beyond) // 2
        there, beyond = (middle, beyond) if await has(middle) else (there, middle)
    return there
