"""The DevTools protocol over a pair of pipes: JSON messages that end with a zero byte."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

import msgspec

from actors.tools.tool import ToolError

_encode = msgspec.json.Encoder().encode
_PIECE: Final = 256 * 1024


class Gone(ToolError):
    """The browser ended, or said what it may not."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="browser")


class _Message(msgspec.Struct):
    id: int = 0
    method: str = ""
    params: Any = None
    result: Any = None
    error: Any = None
    sessionId: str = ""  # noqa: N815


_decode = msgspec.json.Decoder(_Message).decode


class DevTools:
    """Calls and events of one browser. Make it with `over`."""

    def __init__(self, writer: asyncio.StreamWriter, largest: int) -> None:
        self._writer = writer
        self._largest = largest
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._last = 0
        self._reading: asyncio.Task[None] | None = None
        self._transport: asyncio.BaseTransport | None = None
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue(4096)
        self.why = ""

    @classmethod
    async def over(cls, source: int, sink: int, *, largest: int) -> DevTools:
        """Speak over two descriptors, which are closed in the end; no message is larger than `largest` bytes."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_PIECE)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(source, "rb", buffering=0)
        )
        out, protocol = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(loop), os.fdopen(sink, "wb", buffering=0)
        )
        made = cls(asyncio.StreamWriter(out, protocol, None, loop), largest)
        made._transport = transport
        made._reading = asyncio.create_task(made._read(reader))
        return made

    async def call(self, method: str, params: dict[str, Any] | None = None, session: str = "") -> Any:
        """The result of a method. Raises ToolError."""
        if self.why:
            raise Gone(self.why)
        self._last += 1
        said: dict[str, Any] = {"id": self._last, "method": method, "params": params or {}}
        if session:
            said["sessionId"] = session
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls[self._last] = answer
        try:
            self._writer.write(_encode(said) + b"\0")
            return await answer
        finally:
            self._calls.pop(said["id"], None)

    def give_up(self, why: str) -> None:
        """Whoever waits is told why, and so is whoever calls from now on."""
        self.why = self.why or why
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(Gone(self.why))
        self._put("gone", None)

    async def close(self) -> None:
        """Let go of the pipes."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
        if not self._writer.transport.is_closing():
            self._writer.transport.abort()
        self.give_up("the browser was ended")
        await asyncio.sleep(0)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        rest = bytearray()
        while piece := await reader.read(_PIECE):
            rest += piece
            *messages, rest = rest.split(b"\0")
            for message in messages:
                self._take(message)
            if len(rest) > self._largest:
                self.give_up("the page is too large to be read")
                return
        self.give_up("the browser ended")

    def _take(self, raw: bytes | bytearray) -> None:
        try:
            message = _decode(raw)
        except msgspec.MsgspecError:
            return
        if message.method:
            self._put(message.method, message.params)
            return
        answer = self._calls.get(message.id)
        if answer is None or answer.done():
            return
        if message.error is not None:
            answer.set_exception(Gone(f"the browser says: {str(message.error)[:200]}"))
        else:
            answer.set_result(message.result)

    def _put(self, method: str, params: Any) -> None:
        if not self.events.full():
            self.events.put_nowait((method, params))
