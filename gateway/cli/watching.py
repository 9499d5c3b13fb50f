"""Following a run over HTTP: every change of its steps, across broken connections, until it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from events.errors import Unavailable
from gateway.cli.http import Api, path, problem_error

_decode = msgspec.json.Decoder(dict[str, Any]).decode


async def follow(api: Api, run: str, *, patience: float = 30.0) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """(event, data): `run`, `step` for each that changed, and `end` as the last one.

    Raises Unavailable when the server stays away longer than `patience` seconds.
    """
    loop = asyncio.get_running_loop()
    last, delay = "", 0.1
    lost: float | None = None
    reached = False
    while True:
        try:
            async for id, name, data in api.stream(path("runs", run, "watch"), {}, last):
                if name == "problem":
                    raise problem_error(503, data.encode())
                lost, delay, reached = None, 0.1, True
                last = id or last
                yield name, _decode(data)
                if name == "end":
                    return
        except Unavailable:
            lost = lost or loop.time()
            if not reached or loop.time() - lost > patience:
                raise
        await asyncio.sleep(delay)
        delay = min(delay * 2, 2.0)
