"""Which workers there are, and what each has in hand, from their signs of life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import msgspec

from events.errors import ThespisError
from infra.nats.connection import Connection, Listening
from infra.tasks.wire import BEATS, WHO, Beat, decode_beat

log = logging.getLogger("thespis.tasks")

SETTLE = 0.5
"""Seconds to wait for the first signs of life: before that, nobody knows who has what."""


class Roster:
    """`heard` is called with every sign of life."""

    def __init__(self, connection: Connection, lost_after: float, heard: Callable[[Beat], None]) -> None:
        self._connection = connection
        self._lost_after = lost_after
        self._heard = heard
        self._beats: dict[str, tuple[Beat, float]] = {}
        self._listening: Listening | None = None
        self._ready = asyncio.Event()
        self._said = asyncio.Event()
        self._deaf_until = 0.0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen, and ask everybody for a sign of life."""
        self._listening = await self._connection.listen(BEATS, self._on_beat)
        self._connection.on_reconnect.append(self._ask)
        self._ask()
        self._timer = self._loop.call_later(SETTLE, self._ready.set)

    async def stop(self) -> None:
        """Listen no more."""
        with suppress(ValueError):
            self._connection.on_reconnect.remove(self._ask)
        if self._timer is not None:
            self._timer.cancel()
        if self._listening is not None:
            await self._listening.stop()

    async def news(self, timeout: float) -> None:
        """Wait for the next sign of life, `timeout` seconds at most."""
        self._said.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._said.wait()

    async def ready(self) -> None:
        """Wait until those who live have had the time to say so."""
        if not self._ready.is_set():
            await self._ready.wait()

    def deaf(self) -> None:
        """Nothing could be heard until now: nobody is lost for having been silent."""
        self._deaf_until = self._loop.time()

    def silent(self, since: float) -> bool:
        """Whether that is too long ago for somebody who lives."""
        return self._loop.time() - max(since, self._deaf_until) > self._lost_after

    def holder(self, effect: str) -> tuple[str, str] | None:
        """(worker, turn) of whoever has the call in hand."""
        for beat, at in self._beats.values():
            turn = beat.holding.get(effect)
            if turn is not None and not self.silent(at):
                return beat.worker, turn
        return None

    def alive(self, worker: str) -> bool:
        """Whether it was heard of lately."""
        found = self._beats.get(worker)
        return found is not None and not self.silent(found[1])

    def offering(self, task: str) -> str | None:
        """A queue whose workers can do the task (a name, or name@version)."""
        for beat, at in self._beats.values():
            lives = bool(beat.queues) and not self.silent(at)
            if lives and any(name == task or name.partition("@")[0] == task for name in beat.tasks):
                return beat.queues[0]
        return None

    def forget(self) -> None:
        """Drop those who have not been heard of for long."""
        now = self._loop.time()
        for worker, (_, at) in list(self._beats.items()):
            if now - at > 10 * self._lost_after:
                del self._beats[worker]

    def _ask(self) -> None:
        self.deaf()
        with suppress(ThespisError):
            self._connection.send(WHO, b"")

    def _on_beat(self, subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        try:
            beat = decode_beat(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("a sign of life cannot be read: %s", error)
            return
        if beat.leaving:
            self._beats.pop(beat.worker, None)
        else:
            self._beats[beat.worker] = (beat, self._loop.time())
        self._said.set()
        self._heard(beat)
