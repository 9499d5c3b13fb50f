"""The feed: the actor that owns the events of an outside source, so that they too have an owner and a stream.

A CloudEvent is a message to `feed/<source>`; the fact recorded is the CloudEvent itself, under its own id and source.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.core.kind import Kind
from events.envelope import Message


class Feed(msgspec.Struct):
    """How many events came in; the events themselves are in the log."""

    count: int = 0


class _Meta(msgspec.Struct):
    source: str
    id: str


_meta = msgspec.json.Decoder(_Meta).decode


def decide(state: Feed, message: Message) -> list[Any]:
    """Record the event as it came."""
    meta = _meta(message.meta or b"{}")
    return [msgspec.structs.replace(message.data, id=f"{meta.source} {meta.id}", meta=message.meta)]


def evolve(state: Feed, event: Any) -> Feed:
    """Count."""
    state.count += 1
    return state


feed = Kind("feed", state=Feed, decide=decide, evolve=evolve, accepts_any=True, snapshot_every=1000)
