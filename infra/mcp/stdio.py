"""A server as a child process: lines of bounded length, its complaints kept, everything of it ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types.jsonrpc import jsonrpc_message_adapter

from infra.mcp.starting import Child

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]
_GRACE: Final = 2.0
_PIECE: Final = 64 * 1024


class Ended:
    """How a server ended: `why`, with the last lines of its standard error; `event` is set then."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.why = ""
        self.lines: deque[str] = deque(maxlen=5)

    def set(self, why: str) -> None:
        """The first reason counts."""
        self.why = self.why or why
        self.event.set()


@asynccontextmanager
async def stdio(start: Callable[[], Awaitable[Child]], *, ended: Ended, most: int) -> AsyncGenerator[Streams]:
    """The streams of a server that is started now. A line longer than `most` bytes ends it. Raises what starting it
    does."""
    child = await start()
    process = child.process
    into, read = anyio.create_memory_object_stream[SessionMessage | Exception](16)
    write, out = anyio.create_memory_object_stream[SessionMessage](16)
    tasks = [
        asyncio.create_task(_read(process, into, ended, most)),
        asyncio.create_task(_write(process, out, ended)),
        asyncio.create_task(_complaints(process, ended)),
    ]
    try:
        yield read, write
    finally:
        write.close()
        await _settled(_stop(child, tasks[1]))
        for task in tasks:
            task.cancel()
        await _settled(asyncio.wait(tasks))
        for stream in (into, read, write, out):
            stream.close()


async def _settled(work: Awaitable[object]) -> None:
    """Do it to the end, even if somebody gives us up meanwhile: a server left behind would run for ever."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.exception()


async def _read(
    process: asyncio.subprocess.Process,
    into: MemoryObjectSendStream[SessionMessage | Exception],
    ended: Ended,
    most: int,
) -> None:
    assert process.stdout is not None
    rest = bytearray()
    try:
        while piece := await process.stdout.read(_PIECE):
            end = piece.rfind(b"\n")
            if end < 0:
                rest += piece
            else:
                lines = bytes(rest) + piece[:end]
                rest = bytearray(piece[end + 1 :])
                for line in lines.split(b"\n"):
                    if len(line) > most:
                        ended.set(f"it sent a message of more than {most} bytes")
                        return
                    if line.strip():
                        await into.send(_parsed(line))
            if len(rest) > most:
                ended.set(f"it sent a message of more than {most} bytes")
                return
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return
    finally:
        ended.set("its process ended")
        into.close()


def _parsed(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except (ValueError, RecursionError) as error:
        return ValueError(f"not a message: {type(error).__name__}")


async def _write(
    process: asyncio.subprocess.Process, out: MemoryObjectReceiveStream[SessionMessage], ended: Ended
) -> None:
    assert process.stdin is not None
    try:
        async for message in out:
            process.stdin.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            await process.stdin.drain()
    except (OSError, anyio.ClosedResourceError):
        ended.set("it reads no more")


async def _complaints(process: asyncio.subprocess.Process, ended: Ended) -> None:
    assert process.stderr is not None
    rest = b""
    while piece := await process.stderr.read(_PIECE):
        *lines, rest = (rest + piece).split(b"\n")
        rest = rest[-1000:]
        ended.lines.extend(line[:300].decode("utf-8", "replace") for line in lines if line.strip())


async def _stop(child: Child, writer: asyncio.Task[None]) -> None:
    """As the protocol says: close its input, wait, then end it and whatever it started."""
    process = child.process
    await asyncio.wait([writer], timeout=0.5)
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE):
            # wait() would also wait for whoever inherited the pipes
            while process.returncode is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    await child.end()
