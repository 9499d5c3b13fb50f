"""A server as a child process: lines of bounded length, its complaints kept, its whole process group ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types.jsonrpc import jsonrpc_message_adapter

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]
Start = Callable[[Sequence[str], Mapping[str, str], str], Awaitable[asyncio.subprocess.Process]]
"""Starts a command with an environment in a directory, leading a session of its own: the place for a sandbox."""

INHERITED: Final = ("HOME", "PATH", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER")
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


async def start(command: Sequence[str], environment: Mapping[str, str], directory: str) -> asyncio.subprocess.Process:
    """Start it as it is."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command, env=dict(environment), cwd=directory or None, start_new_session=True,
        stdin=pipe, stdout=pipe, stderr=pipe, limit=_PIECE,
    )  # fmt: skip


@asynccontextmanager
async def stdio(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    ended: Ended,
    directory: str = "",
    most: int,
    launch: Start = start,
) -> AsyncGenerator[Streams]:
    """The streams of a server that is started now. It sees a few harmless variables and `environment`.

    A line longer than `most` bytes ends it. Raises OSError when it cannot be started.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    process = await launch(command, {**inherited, **environment}, directory)
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
        await _settled(_stop(process, tasks[1]))
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


async def _stop(process: asyncio.subprocess.Process, writer: asyncio.Task[None]) -> None:
    """As the protocol says: close its input, wait, then end it and whatever it started."""
    await asyncio.wait([writer], timeout=0.5)
    assert process.stdin is not None
    process.stdin.close()
    for signalled in (None, signal.SIGTERM, signal.SIGKILL):
        if signalled is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signalled)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                # wait() would also wait for whoever inherited the pipes
                while process.returncode is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                break
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
