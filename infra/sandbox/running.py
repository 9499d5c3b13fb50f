"""Running one command, confined, to its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from events.errors import Unavailable
from infra.sandbox import system
from infra.sandbox.starting import PATIENCE, Confinement, Limits, start_confined

__all__ = ["Confinement", "Limits", "Ran", "run_confined"]

_CHUNK: Final = 65536


class Ran(msgspec.Struct, frozen=True):
    """What came of a command. `status` is its exit code, or -N when signal N ended it; `stopped` the limit that did
    (time, cpu, memory, processes) or "". `memory` is the most that was seen in use, in bytes."""

    status: int
    stdout: bytes
    stderr: bytes
    truncated: bool
    seconds: float
    memory: int
    level: str
    stopped: str = ""


async def run_confined(
    argv: Sequence[str],
    confinement: Confinement,
    *,
    folder: str | os.PathLike[str],
    readable: Collection[str | os.PathLike[str]] = (),
    writable: Collection[str | os.PathLike[str]] = (),
    limits: Limits | None = None,
    network: bool = False,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    base: Collection[str] = system.SYSTEM,
) -> Ran:
    """See `infra.sandbox.sandbox.run`. Raises Invalid for paths that are not there, Unavailable."""
    limits, began = limits or Limits(), time.monotonic()
    started = await start_confined(
        argv, confinement, folder=folder, readable=readable, writable=writable, limits=limits, network=network,
        environment=environment, base=base,
    )  # fmt: skip
    try:
        async with asyncio.timeout(limits.wall + 2 * PATIENCE):  # the launcher itself was ended, or held up
            out, err = await _communicate(started.process, stdin, limits.output)
    except TimeoutError:
        raise Unavailable("the sandbox did not end") from None
    finally:
        ended = await started.end()
    if ended.status is None and not ended.stopped:
        raise Unavailable(f"the sandbox was ended: {err[0][-500:].decode(errors='replace')}")
    return Ran(
        status=-9 if ended.status is None else ended.status,
        stdout=out[0],
        stderr=err[0],
        truncated=out[1] or err[1],
        seconds=time.monotonic() - began,
        memory=ended.memory,
        level=started.level,
        stopped=ended.stopped,
    )


async def _communicate(
    process: asyncio.subprocess.Process, stdin: bytes, most: int
) -> tuple[tuple[bytes, bool], tuple[bytes, bool]]:
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.TaskGroup() as group:
        feeding = group.create_task(_feed(process, stdin))
        out = group.create_task(_collect(process.stdout, most))
        err = group.create_task(_collect(process.stderr, most))
        await process.wait()
        feeding.cancel()  # nobody reads it any more
    return out.result(), err.result()


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _collect(stream: asyncio.StreamReader, most: int) -> tuple[bytes, bool]:
    """(the first bytes, whether there were more): what is too much is read and forgotten."""
    kept, over = bytearray(), False
    while chunk := await stream.read(_CHUNK):
        room = most - len(kept)
        kept += chunk[:room]
        over = over or len(chunk) > room
    return bytes(kept), over
