"""The only way out of a sandbox: a proxy on loopback that connects where the guard lets it, and counts what passes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Final

from actors.tools.tool import ToolError
from infra.tools.web.guard import Blocked, Guard
from infra.tools.web.urls import Target, host_of, target

_HEAD: Final = 32 * 1024
_PIECE: Final = 64 * 1024
_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
ERRANDS: Final = frozenset(
    {"update.googleapis.com", "clients2.google.com", "clients1.google.com", "clientservices.googleapis.com",
     "accounts.google.com", "optimizationguide-pa.googleapis.com", "content-autofill.googleapis.com",
     "safebrowsing.googleapis.com", "edgedl.me.gvt1.com", "redirector.gvt1.com", "android.clients.google.com"}
)  # fmt: skip
"""Where the browser goes on its own account, whatever it is told."""
_HOPS: Final = frozenset(
    {"connection", "proxy-connection", "proxy-authorization", "proxy-authenticate", "keep-alive", "te", "trailer",
     "transfer-encoding", "upgrade", "content-length", "host"}
)  # fmt: skip


class GuardedProxy:
    """A forward proxy for CONNECT and for plain HTTP that only reads. An async context manager; `url` is where it is.

    It listens on a port of this machine's loopback, or `on` the door of a sandbox. `most` bytes may pass in all (0: any
    number), `at_once` connections be open, each for `idle` seconds without a byte; hosts of `errands` get no answer.
    What was refused is in `blocked`, a line each.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        most: int = 64 * 1024 * 1024,
        at_once: int = 64,
        idle: float = 30.0,
        errands: Collection[str] = ERRANDS,
    ) -> None:
        self._guard = guard
        self._most = most
        self._passed = 0
        self._at_once = at_once
        self._idle = idle
        self._errands = errands
        self._door: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.blocked: list[str] = []
        self.url = ""

    def on(self, door: socket.socket) -> GuardedProxy:
        """The same, on a socket that listens already, which is closed in the end."""
        self._door = door
        return self

    async def __aenter__(self) -> GuardedProxy:
        if self._door is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_HEAD)
        else:
            self._server = await asyncio.start_server(self._accept, sock=self._door, limit=_HEAD)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= self._at_once:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _Closing(writer):
            method = ""
            try:
                async with asyncio.timeout(self._idle):
                    head = await reader.readuntil(b"\r\n\r\n")
                method = head[:8].decode("latin-1").partition(" ")[0]
                await self._handle(head.decode("latin-1"), reader, writer)
            except ToolError as error:
                if isinstance(error, Blocked) or error.code == "bad-url":
                    self.blocked = [*self.blocked, str(error)][:100]
                self._refuse(method, writer)
            except _Errand:
                self._refuse(method, writer)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                return

    def _refuse(self, method: str, writer: asyncio.StreamWriter) -> None:
        """No tunnel; and to a plain request no answer, which the page would take for the server's."""
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async def _handle(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *rest = head[:-4].split("\r\n")
        method, where, version = line.split(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError(version)
        if method == "CONNECT":
            host, literal = host_of(where)
            if host in self._errands:
                raise _Errand
            there, out = await self._guard.open(host, int(where.rpartition(":")[2]), literal, limit=_PIECE)
            first = b""
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            place = target(where)
            if place.host in self._errands:
                raise _Errand
            if method not in _METHODS:
                raise Blocked(f"{method} {where[:200]}: the browser only reads")
            first = _request(method, place, rest)
            there, out = await self._guard.open(place.host, place.port, place.literal, limit=_PIECE)
        async with _Closing(out):
            out.write(first)
            await self._both(reader, writer, there, out, up=method == "CONNECT")

    async def _both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        out: asyncio.StreamWriter,
        *,
        up: bool,
    ) -> None:
        """Pass on what comes from either side until one ends; a plain request has been sent already (not `up`)."""
        down = asyncio.create_task(self._pipe(there, writer))
        tasks = [down, asyncio.create_task(self._pipe(reader, out))] if up else [down]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(self._idle):
                piece = await source.read(_PIECE)
            self._passed += len(piece)
            if not piece or 0 < self._most < self._passed:
                return
            sink.write(piece)
            async with asyncio.timeout(self._idle):
                await sink.drain()


class _Errand(Exception):
    """A request nobody made but the browser."""


class _Closing:
    """Closes a connection at the end, without waiting for whoever does not."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def __aenter__(self) -> None:
        return

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()


def _request(method: str, place: Target, lines: Sequence[str]) -> bytes:
    """The request as the server is sent it: one, without a body, and closed after its answer."""
    kept = [line for line in lines if line.partition(":")[0].strip().lower() not in _HOPS and ":" in line]
    head = [f"{method} {place.path} HTTP/1.1", f"Host: {place.netloc}", *kept, "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1")
