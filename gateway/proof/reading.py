"""Showing a log to witnesses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from events.envelope import Event
from events.store import EventStore
from gateway.proof.check import Check, Witness

PAGE: Final = 5000


async def read(store: EventStore) -> AsyncIterator[Event]:
    """The whole log, page by page."""
    after = 0
    while events := await store.read(after, PAGE):
        for event in events:
            yield event
        after = events[-1].position


async def witness(store: EventStore, *witnesses: Witness) -> list[Check]:
    """Show the whole log to the witnesses and gather what they say."""
    async for event in read(store):
        for one in witnesses:
            one.see(event)
    return [check for one in witnesses for check in one.checks()]
