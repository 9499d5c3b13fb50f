"""A watch on a stream that others write to: whether it still takes messages.

When its directory is removed under a running server, a stream keeps answering questions about itself but says nothing
to publishers any more. The probe publishes an empty message now and then; after repeated silence, while the server
still answers questions and nothing enters or leaves the stream, it is begun again. A refusal (storage full, limits
reached) is an answer, and changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from events.errors import DeadlineExceeded, NotFound, ThespisError
from infra.nats.connection import Connection
from infra.nats.provision import find_stream

log = logging.getLogger("thespis.nats")


class Probe:
    """Publishes on `subject` every `interval` seconds while `elected()`; `heal` begins the stream again."""

    def __init__(
        self,
        connection: Connection,
        stream: str,
        subject: str,
        elected: Callable[[], bool],
        heal: Callable[[], Awaitable[None]],
        *,
        interval: float = 5.0,
        patience: float = 4.0,
        silences: int = 3,
    ) -> None:
        """After `silences` probes in a row without an answer within `patience` seconds the stream is begun again."""
        self._connection = connection
        self._stream = stream
        self._subject = subject
        self._elected = elected
        self._heal = heal
        self._interval, self._patience, self._silences = interval, patience, silences
        self._task: asyncio.Task[None] | None = None
        self.healed = 0
        """How often the stream was begun again."""

    async def start(self) -> None:
        """Begin, in a task of its own."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        silent = 0
        before: tuple[str, int, int] | None = None
        while True:
            await asyncio.sleep(self._interval)
            try:
                if not self._elected() or await self._answers():
                    silent = 0
                    continue
                found = await find_stream(self._connection, self._stream)
                if found is None:
                    silent = 0
                    continue
                now = (found["created"], found["state"]["last_seq"], found["state"]["messages"])
                silent, before = silent + 1 if now == before else 1, now
                if silent >= self._silences:
                    log.warning("stream %s takes nothing any more: it begins again", self._stream)
                    silent = 0
                    await self._heal()
                    self.healed += 1
            except ThespisError as error:
                log.debug("the probe of %s: %s", self._stream, error)
                silent = 0

    async def _answers(self) -> bool:
        await self._connection.up()
        try:
            await self._connection.request(self._subject, b"", timeout=self._patience)
        except DeadlineExceeded:
            return not self._connection.connected
        except NotFound:  # no such stream: whoever needs it provisions it
            return True
        return True
