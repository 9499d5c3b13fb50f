"""Going through an actor's history: each event with the state after it and what it changed. Reads, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
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
    before = await _state(api, address, first - 1) if first > 1 else None
    then: float | None = None
    async for version, event in _events(api, address, first, last):
        state = await version
        if speed is not None:
            now = datetime.fromisoformat(event["time"]).timestamp()
            if then is not None:
                await pause(min(max(now - then, 0.0) / speed, LONGEST))
            then = now
        yield Step(event, state, difference(before if before is not None else {}, state))
        before = state


async def _events(
    api: Api, address: str, first: int, last: int
) -> AsyncIterator[tuple[Awaitable[Any], dict[str, Any]]]:
    """Each event with its state, which is already on its way."""
    after = 0
    while True:
        answer = await api.get("/v1/events", {"stream": address, "after": after, "limit": 1000})
        wanted = [event for event in answer["events"] if first <= event["version"] <= last]
        for start in range(0, len(wanted), AHEAD):
            some = wanted[start : start + AHEAD]
            states = [asyncio.ensure_future(_state(api, address, event["version"])) for event in some]
            try:
                for state, event in zip(states, some, strict=True):
                    yield state, event
            finally:
                for state in states:
                    state.cancel()
                await asyncio.gather(*states, return_exceptions=True)
        if not answer["more"] or (answer["events"] and answer["events"][-1]["version"] >= last):
            return
        after = answer["next"]


async def _state(api: Api, address: str, version: int) -> Any:
    return (await api.get(path("actors", *split(address)), {"at": version}))["state"]
