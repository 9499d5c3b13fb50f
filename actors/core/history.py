"""An actor's history, event by event with the state after each: one fold, a page of events in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

import msgspec

from actors.core import foreign
from actors.core.fold import begin
from actors.core.kind import encode_state
from actors.core.sealing import refolded
from events.address import FOREIGN, split
from events.envelope import Event
from events.errors import UnknownType

if TYPE_CHECKING:
    from actors.core.host import Host

PAGE: Final = 500


class Step(msgspec.Struct, frozen=True):
    """An event and the JSON of the state after it."""

    event: Event
    state: bytes


async def history(host: Host, tenant: str, address: str, first: int, last: int | None) -> AsyncGenerator[Step]:
    """The versions `first` to `last` (or the newest) in order, as far as they are there. Works on any host; silent.

    Raises UnknownType, and Unserved and InvalidData as a fold does; StoreUnavailable.
    """
    kind = host.kinds.get(split(address)[0])
    if split(address)[0] in FOREIGN:
        async for event in foreign.history(host.store, tenant, address, first, last):
            yield Step(event, b"null")
        return
    if kind is None:
        raise UnknownType(
            f"no actor kind {split(address)[0]!r} runs here", hint=f"known kinds: {', '.join(host.kinds)}"
        )
    folded, version = begin(kind, address), 0
    while True:
        events = await host.store.read_stream(tenant, address, version, last, PAGE)
        before = [event for event in events if event.version < first]
        if before:
            folded = await refolded(host.words.sealing, kind, folded, before)
        for event in events[len(before) :]:
            folded = await refolded(host.words.sealing, kind, folded, [event])
            yield Step(event, encode_state(folded.state))
        if len(events) < PAGE:
            return
        version = events[-1].version
