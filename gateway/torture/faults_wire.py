"""A wire to Postgres that fails at a chosen message: a TCP proxy that reads enough of the protocol to know when.

Clients that are told its address work as before. A `Strike` waits for one statement on one of the connections, known by
the name the client gave, and then does to it what networks do.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

from infra.embedded import ports

How = Literal["not sent", "sent", "answered", "held", "silent"]
"""What becomes of the statement and its connection:

- `not sent`: it is executed, but the connection is cut before the server is asked to commit;
- `sent`: the connection is cut as soon as the request to commit is on its way;
- `answered`: the connection is cut once the server has answered, and the answer is lost;
- `held`: the request to commit waits on the wire until `Strike.release`, then goes on as if nothing had been;
- `silent`: the request arrives, and nothing ever comes back; the connection stays open.
"""
HOWS: tuple[How, ...] = ("not sent", "sent", "answered", "held", "silent")

APPEND = "thespis.append("
"""In the text of the statement that writes to the log."""

_PREPARED = 196608
_TAKE = 65536


class Strike:
    """Waits for one statement; see `How`. `struck` is set when it happened, `release` ends what is held or silent."""

    def __init__(self, how: How, *, statement: str = APPEND, name: str = "thespis writer", skip: int = 0) -> None:
        self.how: How = how
        self.statement = statement
        self.name = name
        self.skip = skip
        """How many of these statements go by before."""
        self.struck = asyncio.Event()
        self.release = asyncio.Event()


class Wire:
    """Listens on `port` and passes everything on to `upstream`, both on the loopback address."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.port = ports.free()
        self.connections = 0
        """Made so far."""
        self._strikes: list[Strike] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._live: set[_Passage] = set()
        self.open = asyncio.Event()
        """Cleared while nothing passes; what was sent meanwhile arrives later. New connections wait, too."""
        self.open.set()

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accept, ports.LOOPBACK, self.port)

    async def stop(self) -> None:
        """Cut everything, and listen no more."""
        if self._server is not None:
            self._server.close()
        for strike in self._strikes:
            strike.release.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def strike(self, strike: Strike) -> Strike:
        """Have something happen; returns it."""
        self._strikes.append(strike)
        return strike

    def cut(self, name: str = "") -> int:
        """Cut every connection of that name (or all), now; says how many there were."""
        found = [passage for passage in self._live if name in passage.name]
        for passage in found:
            passage.cut()
        return len(found)

    def due(self, name: str, statement: str) -> Strike | None:
        """The strike this statement falls to."""
        for strike in self._strikes:
            if strike.name == name and strike.statement in statement:
                if strike.skip:
                    strike.skip -= 1
                    continue
                self._strikes.remove(strike)
                return strike
        return None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._pass(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await self.open.wait()
        try:
            server = await asyncio.open_connection(ports.LOOPBACK, self.upstream)
        except OSError:
            writer.transport.abort()
            return
        passage = _Passage(self, (reader, writer), server)
        self._live.add(passage)
        try:
            await passage.run()
        finally:
            self._live.discard(passage)
            passage.cut()


@asynccontextmanager
async def wire(upstream: int) -> AsyncGenerator[Wire]:
    """A wire to the Postgres on a port of this machine, for as long as the block lasts."""
    found = Wire(upstream)
    await found.start()
    try:
        yield found
    finally:
        await found.stop()


_Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Passage:
    """One connection through the wire."""

    def __init__(self, wire: Wire, client: _Side, server: _Side) -> None:
        self.name = ""
        self._wire = wire
        self._client = client
        self._server = server
        self._texts: dict[bytes, str] = {}
        """Prepared statements by name."""
        self._statement = ""
        self._lost: asyncio.Event | None = None
        """Set when an answer came that the client is not to see."""
        self._muted = False

    def cut(self) -> None:
        """The client's side breaks off at once; the server is let go once it has what was sent."""
        self._client[1].transport.abort()
        self._server[1].close()

    async def run(self) -> None:
        """Until either side ends."""
        back = asyncio.get_running_loop().create_task(self._backward())
        forth = asyncio.get_running_loop().create_task(self._forward())
        try:
            await asyncio.wait([back, forth], return_when=asyncio.FIRST_COMPLETED)
        finally:
            back.cancel()
            forth.cancel()
            await asyncio.gather(back, forth, return_exceptions=True)

    async def _backward(self) -> None:
        reader, writer = self._server[0], self._client[1]
        while data := await reader.read(_TAKE):
            await self._wire.open.wait()
            if self._lost is not None:
                self._lost.set()
            elif not self._muted:
                writer.write(data)
                await writer.drain()

    async def _forward(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await self._greeting()
            reader = self._client[0]
            while True:
                head = await reader.readexactly(5)
                (length,) = struct.unpack("!i", head[1:])
                body = await reader.readexactly(length - 4)
                await self._wire.open.wait()
                if not await self._message(head[:1], head + body, body):
                    return

    async def _greeting(self) -> None:
        """The messages before the connection is one: without a type, the last one with the client's name in it."""
        reader, writer = self._client[0], self._server[1]
        while True:
            head = await reader.readexactly(8)
            length, code = struct.unpack("!ii", head)
            body = await reader.readexactly(length - 8)
            writer.write(head + body)
            if code == _PREPARED:
                words = body.split(b"\0")
                pairs = dict(zip(words[::2], words[1::2], strict=False))
                self.name = pairs.get(b"application_name", b"").decode()
                return

    async def _message(self, kind: bytes, whole: bytes, body: bytes) -> bool:
        """Pass one message on; False when that was the last one."""
        if kind == b"P":
            name, _, rest = body.partition(b"\0")
            self._texts[name] = rest.partition(b"\0")[0].decode(errors="replace")
        elif kind == b"B":
            self._statement = self._texts.get(body.split(b"\0", 2)[1], "")
        elif kind == b"Q":
            self._statement = body.rstrip(b"\0").decode(errors="replace")
        writer = self._server[1]
        if kind in (b"S", b"Q") and self._statement:
            statement, self._statement = self._statement, ""
            strike = self._wire.due(self.name, statement)
            if strike is not None:
                return await self._struck(strike, whole)
        writer.write(whole)
        await writer.drain()
        return True

    async def _struck(self, strike: Strike, whole: bytes) -> bool:
        writer = self._server[1]
        match strike.how:
            case "not sent":
                await writer.drain()
            case "sent":
                writer.write(whole)
                await writer.drain()
            case "answered":
                self._lost = asyncio.Event()
                writer.write(whole)
                await self._lost.wait()
            case "held":
                strike.struck.set()
                await strike.release.wait()
                writer.write(whole)
                return True
            case "silent":
                self._muted = True
                writer.write(whole)
                strike.struck.set()
                await strike.release.wait()
        self.cut()
        strike.struck.set()
        return False
