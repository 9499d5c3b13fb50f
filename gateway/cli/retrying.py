"""Repeating a request that is safe to repeat, because it has a key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from events.errors import Unavailable, Unserved
from gateway.cli.http import NoServer

T = TypeVar("T")

Pause = Callable[[float], Awaitable[None]]


async def retrying(
    request: Callable[[], Awaitable[T]],
    *,
    patience: float = 10.0,
    reached: bool = False,
    pause: Pause = asyncio.sleep,
    now: Callable[[], float] = time.monotonic,
) -> T:
    """Repeat while the server says "not now" or the answer is lost, for at most `patience` seconds.

    That nobody listens is final until the server was `reached` once; that no host runs the actor's kind always is.
    Raises the last error.
    """
    end, delay = now() + patience, 0.1
    while True:
        try:
            return await request()
        except Unserved:
            raise
        except Unavailable as error:
            reached = reached or not isinstance(error, NoServer)
            wait = max(delay, min(error.retry_after or 0.0, 10.0))
            if not reached or now() + wait > end:
                raise
        await pause(wait)
        delay = min(delay * 2, 5.0)
