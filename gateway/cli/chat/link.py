"""One conversation over HTTP, across broken connections: frames none of which is missing or comes twice, and posts that
are made once, however often they are sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from actors.channels.terminal import incoming
from events.errors import Unavailable
from gateway.cli.http import Api, path, problem_error
from gateway.cli.retrying import retrying

PATIENCE: Final = 120.0
"""Seconds that the host may be away."""

NOTICED: Final = 1.5
"""Seconds after which people are told that it is."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Frame(msgspec.Struct, frozen=True):
    """A committed event (`name` is its type, `data` what it says), or a `chunk` of an answer that is being written.

    The link's own frames: `away` when the host is away, `back` when it is there again.
    """

    name: str
    data: dict[str, Any]


class Link:
    """Use as an async context manager: it follows the conversation in the background."""

    def __init__(self, api: Api, conversation: str, position: int, *, patience: float = PATIENCE) -> None:
        self.api = api
        self.conversation = conversation
        self._last = str(position)
        self._patience = patience
        self._frames: asyncio.Queue[Frame | Exception] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Link:
        self._task = asyncio.create_task(self._follow(), name="following")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def next(self) -> Frame:
        """The next frame. Raises Unavailable when the host stays away, and what the server reports."""
        found = await self._frames.get()
        if isinstance(found, Exception):
            self._frames.put_nowait(found)
            raise found
        return found

    async def say(self, text: str, key: str) -> dict[str, Any]:
        """Post a message, again under its key until the answer is there. Raises what the server reports."""
        said = incoming((self.conversation, "", key, text))
        return await self.post(("messages",), {"text": said.text, "id": said.id}, key)

    async def post(self, parts: tuple[str, ...], body: dict[str, Any], key: str) -> dict[str, Any]:
        """Ask something of the conversation, likewise."""
        where = path("conversations", self.conversation, *parts)
        return await retrying(lambda: self.api.post(where, body, key=key), patience=self._patience, reached=True)

    async def _follow(self) -> None:
        try:
            async for frame in self._across():
                self._frames.put_nowait(frame)
        except Exception as error:
            self._frames.put_nowait(error)

    async def _across(self) -> AsyncIterator[Frame]:
        loop = asyncio.get_running_loop()
        lost, told, delay = None, False, 0.1
        where = path("conversations", self.conversation, "stream")
        while True:
            try:
                async for id, name, data in self.api.stream(where, {"after": self._last}, self._last):
                    if name == "problem":
                        raise problem_error(503, data.encode())
                    if told:
                        yield Frame("back", {})
                    lost, told, delay = None, False, 0.1
                    if name == "chunk":
                        yield Frame("chunk", _decode(data))
                    elif id and int(id) > int(self._last):
                        self._last = id
                        yield Frame(name, _decode(data)["data"])
            except Unavailable as error:
                lost = lost or loop.time()
                if loop.time() - lost > self._patience:
                    raise
                if not told and loop.time() - lost > NOTICED:
                    told = True
                    yield Frame("away", {"why": error.message})
            await asyncio.sleep(delay)
            delay = min(delay * 2, 1.0)
