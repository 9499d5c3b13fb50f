"""Running one command, confined."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from events.errors import Invalid, Unavailable
from infra.sandbox import system
from infra.sandbox.inside import spec as specs

_CHUNK: Final = 65536
_PATIENCE: Final = 10.0
"""Seconds that the launcher has to kill everything before it is killed itself."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of processor and of wall time, bytes, counts. Memory is that of each process and of all together,
    `output` of each of the two streams, `scratch` of each place for temporary files."""

    cpu: float = 30.0
    wall: float = 60.0
    memory: int = 512 << 20
    processes: int = 64
    files: int = 256
    file_size: int = 64 << 20
    output: int = 1 << 20
    scratch: int = 64 << 20


class Confinement(msgspec.Struct, frozen=True):
    """How a command is shut in: the layers that are on, and bubblewrap's path where that makes them."""

    level: str
    layers: frozenset[str]
    bubblewrap: str = ""


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
    limits = limits or Limits()
    where, *_ = _real([folder])
    given, writing = os.path.abspath(folder), _real(writable)
    reading = [*_real(readable), *([] if _below(given, [*_real(readable), *writing]) else [where])]
    scratch = tempfile.mkdtemp(prefix="sandbox-") if "mounts" not in confinement.layers else ""
    temporary = scratch or "/tmp"
    spec = specs.Spec(
        parent=os.getpid(),
        argv=list(argv),
        environment={**system.ENVIRONMENT, "HOME": temporary, "TMPDIR": temporary, "PWD": where, **(environment or {})},
        folder=where,
        readable=[*base, *(system.NETWORK if network else ()), *reading],
        writable=writing,
        layers=sorted(confinement.layers),
        limits=msgspec.to_builtins(limits),
        network=network,
        scratch=scratch,
        bubblewrap=confinement.bubblewrap,
        python=system.python(),
        python_home=system.python_home(),
    )
    try:
        return await _launch(spec, confinement.level, limits, stdin)
    finally:
        if scratch:
            await asyncio.to_thread(shutil.rmtree, scratch, True)


def _real(paths: Collection[str | os.PathLike[str]]) -> list[str]:
    try:
        return [os.path.realpath(path, strict=True) for path in paths]
    except OSError as error:
        raise Invalid(f"{error.filename}: {error.strerror}") from None


def _below(path: str, places: Collection[str]) -> bool:
    """By its name alone: if something else is put there meanwhile, it is still only what is visible inside."""
    return any(path == place or path.startswith(place.rstrip("/") + "/") for place in places)


async def _launch(spec: specs.Spec, level: str, limits: Limits, stdin: bytes) -> Ran:
    given = specs.write(spec)
    reading, writing = os.pipe()
    began = time.monotonic()
    try:
        process = await asyncio.create_subprocess_exec(
            spec.python, "-I", "-S", system.LAUNCHER, "outer", str(given), str(writing),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            pass_fds=(given, writing), env=system.ENVIRONMENT, cwd="/", start_new_session=True,
        )  # fmt: skip
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(given)
        os.close(writing)
    with os.fdopen(reading, "rb") as report:
        try:
            async with asyncio.timeout(limits.wall + 2 * _PATIENCE):  # the launcher itself was ended, or held up
                out, err = await _communicate(process, stdin, limits.output)
        except TimeoutError:
            raise Unavailable("the sandbox did not end") from None
        finally:
            await _ended(process)
        facts = _facts(report.read())
    if "refused" in facts or ("status" not in facts and not facts.get("stopped")):
        raise Unavailable(f"the sandbox could not be set up: {facts.get('refused') or err[0][-500:].decode('replace')}")
    return Ran(
        status=facts.get("status", -9),
        stdout=out[0],
        stderr=err[0],
        truncated=out[1] or err[1],
        seconds=time.monotonic() - began,
        memory=max(facts.get("memory", 0), facts.get("peak", 0)),
        level=level,
        stopped=facts.get("stopped", ""),
    )


def _facts(report: bytes) -> dict[str, Any]:
    facts = dict[str, Any]()
    for line in report.splitlines():
        facts |= msgspec.json.decode(line, type=dict[str, Any])
    return facts


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


async def _drained(process: asyncio.subprocess.Process) -> None:
    """Read what is left, without which a process does not count as ended."""
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        while await stream.read(_CHUNK):
            pass
    await process.wait()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Nothing is left when this returns, whatever becomes of the task that waits."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    waiting = asyncio.ensure_future(_drained(process))
    cancelled = False
    began = time.monotonic()
    while not waiting.done():
        if time.monotonic() > began + _PATIENCE:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if time.monotonic() > began + 2 * _PATIENCE:  # somebody still holds its output: that is not waited for
            waiting.cancel()
        try:
            await asyncio.wait([waiting], timeout=1.0)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
