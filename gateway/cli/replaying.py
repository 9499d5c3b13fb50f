"""Going through an actor's history: each event with the state after it and what it changed. Reads, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from events.address import split
from events.errors import NotFound
from gateway.cli.difference import Change, difference
from gateway.cli.http import Api, path

AHEAD: Final = 8
"""States asked for at a time."""
LONGEST: Final = 10.0
"""Seconds: no pause of the past is repeated longer than this."""


class Step(msgspec.Struct, frozen=True):
    """An event, the state after it, and the changes it made; `event` and `state` are JSON-ready."""

    event: dict[str, Any]
    state: Any
    changes: list[Change]


async def steps(
    api: Api,
    address: str,
    first: int = 1,
    last: int | None = None,
    speed: float | None = None,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Step]:
    """Versions `first` to `last` in order, paced like the past times `speed` if given. Raises NotFound."""
    newest: int = (await api.get(path("actors", *split(address))))["version"]
    if last is None:
        last = newest
    if last > newest or first > last:
        raise NotFound(
            f"{address} has no versions {first} to {last}: it is at version {newest}",
            hint="choose --from and --to again",
        )
    before: Any = await _state(api, address, first - 1) if first > 1 else {}
    then: float | None = None
    async for event in _history(api, address, first, last):
        after = await event.state
        if speed is not None:
            now = datetime.fromisoformat(event.event["time"]).timestamp()
            if then is not None:
                await pause(min(max(now - then, 0.0) / speed, LONGEST))
            then = now
        # Other libraries' streams have no state here.
        yield Step(event.event, after, [] if after is None else difference(before, after))
        before = after


class _Coming(msgspec.Struct):
    """An event, and its state, which is on its way."""

    event: dict[str, Any]
    state: Awaitable[Any]


async def _history(api: Api, address: str, first: int, last: int) -> AsyncGenerator[_Coming]:
    """The versions `first` to `last`, some states asked for ahead."""
    some: list[dict[str, Any]] = []
    async for event in _events(api, address, first, last):
        some.append(event)
        if len(some) == AHEAD or event["version"] == last:
            states = [asyncio.ensure_future(_state(api, address, one["version"])) for one in some]
            try:
                for one, state in zip(some, states, strict=True):
                    yield _Coming(one, state)
            finally:
                for state in states:
                    state.cancel()
                await asyncio.gather(*states, return_exceptions=True)
            some = []


async def _events(api: Api, address: str, first: int, last: int) -> AsyncGenerator[dict[str, Any]]:
    """The events of versions `first` to `last`; of a fork also those it has in common with its source."""
    after, version = 0, first
    while version <= last:
        answer = await api.get("/v1/events", {"stream": address, "after": after, "limit": 1000})
        for event in answer["events"]:
            if version < event["version"] and event["type"] == "Forked":
                async for common in _events(api, event["data"]["source"], version, min(last, event["version"] - 1)):
                    yield common
                    version = common["version"] + 1
            if version == event["version"] <= last:
                yield event
                version += 1
        if not answer["more"]:
            return
        after = answer["next"]


async def _state(api: Api, address: str, version: int) -> Any:
    return (await api.get(path("actors", *split(address)), {"at": version}))["state"]
