"""Going through an actor's history: each event with the state after it and what it changed. Reads, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from events.address import split
from events.errors import NotFound, Unavailable
from gateway.cli.difference import Change, difference
from gateway.cli.http import Api, path, problem_error

PATIENCE: Final = 5
"""Times in a row that a broken connection is taken up again."""
LONGEST: Final = 10.0
"""Seconds: no pause of the past is repeated longer than this."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


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
    before: Any = {}
    then: float | None = None
    # One version more in front: what the first one changed is told against it.
    async for event, after in _versions(api, address, max(first - 1, 1), last):
        if event["version"] >= first:
            if speed is not None:
                now = datetime.fromisoformat(event["time"]).timestamp()
                if then is not None:
                    await pause(min(max(now - then, 0.0) / speed, LONGEST))
                then = now
            # Other libraries' streams have no state here.
            yield Step(event, after, [] if after is None else difference(before, after))
        before = after


async def _versions(api: Api, address: str, first: int, last: int) -> AsyncIterator[tuple[dict[str, Any], Any]]:
    """Events with the states after them; a connection that breaks, or was kept waiting too long, is taken up again."""
    where, failures = f"{path('actors', *split(address))}/history", 0
    while first <= last:
        try:
            async for id, name, data in api.stream(where, {"from": first, "to": last}, ""):
                if name == "problem":
                    raise problem_error(503, data.encode())
                if name == "message":
                    step = _decode(data)
                    first, failures = int(id) + 1, 0
                    yield step["event"], step["state"]
            if first <= last:
                raise Unavailable(f"the history of {address} broke off before version {first}")
        except Unavailable:
            failures += 1
            if failures > PATIENCE:
                raise
            await asyncio.sleep(0.1 * failures)
