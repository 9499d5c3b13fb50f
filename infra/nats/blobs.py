"""Large values over the bus, for workers that reach no database: hosts keep them, up to what one message may hold."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from events.blobs import Blobs
from events.bus import BusMessage, Subscription
from events.errors import BusUnavailable, DeadlineExceeded, NotFound, ThespisError
from infra.nats import errors
from infra.nats.wire import Wire

PUT: Final = "work.blobs.put"
GET: Final = "work.blobs.get"
_TIMEOUT: Final = 15.0

log = logging.getLogger("thespis.nats")


class BusBlobs:
    """`events.blobs.Blobs` by asking any host."""

    def __init__(self, bus: Wire) -> None:
        self._bus = bus

    async def put(self, data: bytes) -> str:
        """Keep the bytes. Raises TooLarge for more than a message holds, BusUnavailable."""
        return (await self._ask(PUT, data)).decode()

    async def get(self, sha256: str) -> bytes:
        """The bytes. Raises NotFound, BusUnavailable."""
        return await self._ask(GET, sha256.encode())

    async def _ask(self, subject: str, data: bytes) -> bytes:
        try:
            reply = await self._bus.request(subject, data, None, _TIMEOUT)
        except (NotFound, DeadlineExceeded) as error:
            raise BusUnavailable(f"no host answers on {subject}: {error.message}") from None
        if error := errors.decode(reply.headers, reply.data):
            raise error
        return reply.data


class ServedBlobs:
    """A host's end of it."""

    def __init__(self, bus: Wire, blobs: Blobs) -> None:
        self._bus = bus
        self._blobs = blobs
        self._subscriptions: list[Subscription] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to answer; hosts take turns."""
        for subject in (PUT, GET):
            self._subscriptions.append(await self._bus.listen(subject, self._take, "hosts"))

    async def stop(self) -> None:
        """Answer no more."""
        for subscription in self._subscriptions:
            await subscription.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, request: BusMessage) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: BusMessage) -> None:
        headers = None
        try:
            if request.subject == PUT:
                body = (await self._blobs.put(request.data)).encode()
            else:
                body = await self._blobs.get(request.data.decode(errors="replace"))
        except ThespisError as error:
            body, headers = errors.encode(error)
        with suppress(ThespisError):
            try:
                self._bus.send(request.reply, body, headers)
            except ThespisError as error:
                self._bus.send(request.reply, *errors.encode(error))
