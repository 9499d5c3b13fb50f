"""Starting a process, confined, that goes on until it is ended; `running` waits for one that ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from events.errors import Invalid, Unavailable
from infra.sandbox import system
from infra.sandbox.inside import spec as specs

Path = str | os.PathLike[str]

PATIENCE: Final = 10.0
"""Seconds that the launcher has to begin, and to kill everything before it is killed itself."""
PIPES: Final = (asyncio.subprocess.PIPE, asyncio.subprocess.PIPE, asyncio.subprocess.PIPE)
_PIECE: Final = 65536


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of processor and of wall time (`math.inf` for none), bytes, counts. `memory` is that of all processes
    together and, unless `each` says another, what each may ask for; `output` that of each of the two streams,
    `scratch` of each place for temporary files. All together are looked at every `interval` seconds."""

    cpu: float = 30.0
    wall: float = 60.0
    memory: int = 512 << 20
    each: int = 0
    processes: int = 64
    files: int = 256
    file_size: int = 64 << 20
    output: int = 1 << 20
    scratch: int = 64 << 20
    interval: float = 0.02


class Confinement(msgspec.Struct, frozen=True):
    """How a command is shut in: the layers that are on, and bubblewrap's path where that makes them."""

    level: str
    layers: frozenset[str]
    bubblewrap: str = ""


class Ended(msgspec.Struct, frozen=True):
    """How it ended: `status` is the exit code, -N when signal N ended it, None when the sandbox did; `stopped` the
    limit that was reached (time, cpu, memory, processes), "cancelled", or ""; `memory` the most seen, in bytes."""

    status: int | None = None
    stopped: str = ""
    memory: int = 0


class Started:
    """A confined process that goes on. `process` is its launcher: its streams are those of the command.

    `level` is how well it is shut in, `door` the listener on its loopback, which whoever started it closes. `end` it,
    or it lives until a limit, or until this process dies.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, reports: asyncio.ReadTransport, level: str, scratch: str
    ) -> None:
        self.process = process
        self.level = level
        self.door: socket.socket | None = None
        self._reports = reports
        self._scratch = scratch
        self._facts = dict[str, Any]()
        self._began = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    def listen(self, reader: asyncio.StreamReader) -> None:
        """Take in what the launcher reports."""
        self._listening = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._facts |= msgspec.json.decode(line, type=dict[str, Any])
                self._began.set()
        finally:
            self._began.set()

    async def begun(self) -> None:
        """Until the command is confined and about to run. Raises Unavailable."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._began.wait()
        if "running" in self._facts and "refused" not in self._facts:
            return
        why = self._facts.get("refused") or ""
        if not why and self.process.stderr is not None:
            await _ended(self.process)
            why = (await self.process.stderr.read(_PIECE))[-500:].decode(errors="replace")
        raise Unavailable(f"the sandbox could not be set up: {why or 'its launcher does not say why'}")

    async def end(self) -> Ended:
        """End it with everything it started, unless that has happened, and say how it ended."""
        try:
            await _ended(self.process)
        finally:
            if self._listening is not None:
                await asyncio.wait([self._listening], timeout=PATIENCE)
                self._listening.cancel()
            self._reports.close()
            if (transport := getattr(self.process, "_transport", None)) is not None:
                transport.close()  # its streams, which whoever read them may have left off reading
            if self._scratch:
                await asyncio.to_thread(shutil.rmtree, self._scratch, True)
        facts = self._facts
        memory = max(facts.get("memory", 0), facts.get("peak", 0))
        return Ended(facts.get("status"), facts.get("stopped", ""), memory)


async def start_confined(
    argv: Sequence[str],
    confinement: Confinement,
    *,
    folder: Path | None = None,
    readable: Collection[Path] = (),
    writable: Collection[Path] = (),
    limits: Limits | None = None,
    network: bool = False,
    door: int = 0,
    environment: Mapping[str, str] | None = None,
    descriptors: Mapping[int, int] | None = None,
    streams: tuple[int, int, int] = PIPES,
    base: Collection[str] = system.SYSTEM,
) -> Started:
    """See `infra.sandbox.sandbox.start`. Raises Invalid for paths that are not there, Unavailable."""
    if door and confinement.level and "net" not in confinement.layers:
        raise Unavailable(
            f"at the sandbox level {confinement.level} a command has no network of its own to have a door"
        )
    scratch = tempfile.mkdtemp(prefix="sandbox-") if "mounts" not in confinement.layers else ""
    try:
        spec = _spec(argv, confinement, scratch or "/tmp", folder, readable, writable, limits or Limits())
        spec = spec._replace(
            network=network, door=door, scratch=scratch,
            readable=[*base, *(system.NETWORK if network else ()), *spec.readable],
            environment={**spec.environment, **(environment or {})}, descriptors=list((descriptors or {}).items()),
        )  # fmt: skip
        started = await _launch(spec, confinement.level, streams)
    except BaseException:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    return started


def _spec(
    argv: Sequence[str],
    confinement: Confinement,
    temporary: str,
    folder: Path | None,
    readable: Collection[Path],
    writable: Collection[Path],
    limits: Limits,
) -> specs.Spec:
    where = _real([folder])[0] if folder is not None else temporary
    reading, writing = _real(readable), _real(writable)
    if folder is not None and not _below(os.path.abspath(folder), [*reading, *writing]):
        reading.append(where)
    environment = {**system.ENVIRONMENT, "HOME": temporary, "TMPDIR": temporary, "PWD": where}
    return specs.Spec(
        parent=os.getpid(), argv=list(argv), environment=environment, folder=where, readable=reading, writable=writing,
        layers=sorted(confinement.layers), limits=msgspec.to_builtins(limits), network=False, scratch="",
        bubblewrap=confinement.bubblewrap, python=system.python(), python_home=system.python_home(),
    )  # fmt: skip


def _real(paths: Collection[Path]) -> list[str]:
    try:
        return [os.path.realpath(path, strict=True) for path in paths]
    except OSError as error:
        raise Invalid(f"{error.filename}: {error.strerror}") from None


def _below(path: str, places: Collection[str]) -> bool:
    """By its name alone: if something else is put there meanwhile, it is still only what is visible inside."""
    return any(path == place or path.startswith(place.rstrip("/") + "/") for place in places)


async def _launch(spec: specs.Spec, level: str, streams: tuple[int, int, int]) -> Started:
    reading, writing = os.pipe()
    ours, theirs = socket.socketpair()
    given = -1
    try:
        spec = spec._replace(channel=theirs.fileno())
        given = specs.write(spec)
        passed = [given, writing, *(here for _, here in spec.descriptors), *([theirs.fileno()] if spec.door else [])]
        process = await asyncio.create_subprocess_exec(
            spec.python, "-I", "-S", system.LAUNCHER, "outer", str(given), str(writing),
            stdin=streams[0], stdout=streams[1], stderr=streams[2], pass_fds=passed, env=system.ENVIRONMENT, cwd="/",
            start_new_session=True, limit=_PIECE,
        )  # fmt: skip
    except BaseException:
        os.close(reading)
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(writing)
        if given >= 0:
            os.close(given)
    with ours:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", buffering=0)
        )
        started = Started(process, transport, level, spec.scratch)
        started.listen(reader)
        try:
            await started.begun()
            if spec.door:
                started.door = _listener(ours)
        except BaseException:
            await started.end()
            raise
    return started


def _listener(channel: socket.socket) -> socket.socket:
    """What was handed out before the command began."""
    channel.setblocking(False)
    _, found, _, _ = socket.recv_fds(channel, 1, 1)
    listener = socket.socket(fileno=found[0])
    listener.setblocking(False)
    return listener


async def _gone(process: asyncio.subprocess.Process) -> None:
    while process.returncode is None:  # noqa: ASYNC110 - wait() would also wait for whoever holds its streams
        await asyncio.sleep(0.005)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Nothing is left when this returns, whatever becomes of the task that waits."""
    cancelled, began = False, time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    waiting = asyncio.ensure_future(_gone(process))
    while not waiting.done():
        if time.monotonic() > began + PATIENCE:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        try:
            await asyncio.wait([waiting], timeout=1.0)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
