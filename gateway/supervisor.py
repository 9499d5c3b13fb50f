"""`thespis up`: Postgres, NATS and one host process, started, watched, started again, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import sysconfig
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import msgspec
import psutil

from events.errors import Conflict, Unavailable
from gateway.settings import Settings, from_environment
from infra.embedded import ports
from infra.embedded.directory import DataDirectory, hold, write_private
from infra.embedded.process import Process, how_it_ended, start
from infra.embedded.servers import STEADY, EmbeddedServers, pause

log = logging.getLogger("thespis.up")

READY_TIMEOUT = 120.0
"""Seconds a host may take to be ready the first time (it may have migrations to apply)."""
GRACE = 20.0
"""Seconds a host may take to hand over after SIGTERM."""
RUN, HOST = "run.json", "host.json"


class Running(msgspec.Struct, frozen=True):
    """What runs, as others find it in run.json: `pid` is the supervisor's. Times are seconds since 1970.

    `nats_url` is a host's access to the bus, `nats_relay_url` that of the one who writes facts, `nats_client_url` for
    programs outside.
    """

    pid: int
    url: str
    database_url: str
    nats_url: str
    nats_relay_url: str
    nats_client_url: str
    workspaces: list[str] = []


class _HostMark(msgspec.Struct, frozen=True):
    """The host process last started, known by its time of birth too, because pids are used again."""

    pid: int
    created: float


async def up(
    data: Path,
    port: int = 8321,
    workspaces: Sequence[Path] = (),
    *,
    environment: Mapping[str, str] | None = None,
    on_ready: Callable[[Running], Awaitable[None]] | None = None,
    say: Callable[[str], None] = log.warning,
    command: Sequence[str] = ("-P", "-m", "gateway.main", "host"),
) -> None:
    """Run until SIGTERM or SIGINT; then the host hands over and everything stops. A second signal does not wait for it.

    `port` 0 takes a free one. DATABASE_URL and NATS_URL in `environment` (default: this process's) name servers of the
    caller's; the embedded ones are then left out. `on_ready` is awaited once, when the host is ready; `say` gets one
    line for whatever goes wrong later and is put right. Call it in the main thread. Raises Conflict (the directory or
    the port is in use), StoreUnavailable, BusUnavailable, Unavailable (the host does not start), BadDefinition.
    """
    environment = dict(os.environ if environment is None else environment)
    settings = from_environment(environment, port=port)
    with hold(data) as directory, _signals() as stop:
        data = directory.path
        await _end_leftover(data)
        listen = _check_port(settings)
        own = environment.get("DATABASE_URL", ""), environment.get("NATS_URL", "")
        servers = EmbeddedServers(directory, postgres=not own[0], nats=not own[1], say=say)
        if not await _unless(stop, servers.__aenter__()):
            return
        try:
            running = Running(
                pid=os.getpid(),
                url=f"http://{_reachable(settings.host)}:{listen}",
                database_url=servers.postgres.socket_url if servers.postgres else own[0],
                nats_url=servers.nats.url("host") if servers.nats else own[1],
                nats_relay_url=servers.nats.url("relay") if servers.nats else environment.get("NATS_RELAY_URL", own[1]),
                nats_client_url=servers.nats.url("client") if servers.nats else own[1],
                workspaces=[_absolute(workspace) for workspace in workspaces],
            )
            arguments = [sys.executable, *command, "--port", str(listen)]
            for workspace in running.workspaces:
                arguments += ["--workspace", workspace]
            host = _Host(directory, arguments, _host_environment(environment, running, data), running.url)
            try:
                await _supervise(directory, host, running, stop, on_ready, say)
            finally:
                (data / RUN).unlink(missing_ok=True)
                await host.stop(stop)
                (data / HOST).unlink(missing_ok=True)
        finally:
            await servers.__aexit__(None, None, None)


async def _supervise(
    directory: DataDirectory,
    host: _Host,
    running: Running,
    stop: asyncio.Event,
    on_ready: Callable[[Running], Awaitable[None]] | None,
    say: Callable[[str], None],
) -> None:
    host.start()
    if not await _unless(stop, host.ready(READY_TIMEOUT)):
        return
    directory.serve_at(running.url)
    write_private(directory.path / RUN, msgspec.json.encode(running))
    if on_ready is not None and not await _unless(stop, on_ready(running)):
        return
    failures, since = 0, monotonic()
    while await _unless(stop, host.end()):
        failures = 1 if monotonic() - since > STEADY else failures + 1
        say(f"the host {host.epitaph()}; starting it again")
        if not await _unless(stop, asyncio.sleep(pause(failures))):
            return
        since = monotonic()
        host.start()
        with contextlib.suppress(Unavailable):  # it ended again, and the next turn says how
            if not await _unless(stop, host.ready(READY_TIMEOUT)):
                return
            say(f"the host is ready again, after {monotonic() - since:.1f} s")


class _Host:
    """The host process, one run after the other."""

    def __init__(
        self, directory: DataDirectory, command: Sequence[str], environment: Mapping[str, str], url: str
    ) -> None:
        self._directory = directory.path
        self._command = command
        self._environment = environment
        self._url = url
        self._process: Process | None = None

    def start(self) -> None:
        """Start it anew."""
        self._process = start(
            self._command,
            name="the host",
            log=self._directory / "logs" / "host.log",
            environment=self._environment,
            directory=Path.cwd(),
        )
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended already, and `ready` says how
            mark = _HostMark(self._process.pid, psutil.Process(self._process.pid).create_time())
            write_private(self._directory / HOST, msgspec.json.encode(mark))

    async def ready(self, timeout: float) -> None:
        """Wait until `/readyz` says yes. Raises Unavailable when it ends before, or takes longer than `timeout` s."""
        process = self._running()
        deadline = monotonic() + timeout
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while process.status is None:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{self._url}/readyz") as response:
                        if response.status == 200:
                            return
                if monotonic() > deadline:
                    await process.kill()
                    raise Unavailable(f"the host is not ready after {timeout:.0f} s", hint=f"see {process.log}")
                await asyncio.sleep(0.03)
        raise Unavailable(f"the host {self.epitaph()}", hint=f"see {process.log}")

    async def end(self) -> None:
        """Wait until it ends."""
        await self._running().wait()

    async def stop(self, again: asyncio.Event) -> None:
        """Ask it to hand over, and wait; no longer than GRACE, and no longer than until somebody asks again."""
        if self._process is None or self._process.status is not None:
            return
        again.clear()
        self._process.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(GRACE):
                await _unless(again, self._process.wait())
        except TimeoutError:
            log.warning("the host does not hand over within %.0f s", GRACE)
        await self._process.kill()

    def epitaph(self) -> str:
        """How it ended, in one line."""
        process = self._running()
        said = process.last_words(8).split(" | ")
        words = next((line for line in reversed(said) if line.startswith("error[")), said[-1])
        return f"{how_it_ended(process.status or 0)}{f': {words}' if words else ''}"

    def _running(self) -> Process:
        assert self._process is not None
        return self._process


@contextlib.contextmanager
def _signals() -> Generator[asyncio.Event]:
    """An event that SIGTERM, SIGINT and the end of the terminal set."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup would have it
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _unless(stop: asyncio.Event, work: Awaitable[Any]) -> bool:
    """Do the work, and say whether it was done; it is cancelled when `stop` is set first. Raises what it raises."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        done = task.done()
        for future in (task, stopped):
            future.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)
    if done:
        task.result()
    return done


def _absolute(path: Path) -> str:
    return str(path.absolute())


def _check_port(settings: Settings) -> int:
    if settings.port == 0:
        return ports.free()
    if not ports.is_free(settings.port, settings.host):
        raise Conflict(
            f"port {settings.port} on {settings.host} is in use", hint="choose another: --port N, or --port 0 for any"
        )
    return settings.port


def _reachable(host: str) -> str:
    """The host part of a URL by which this machine reaches a server that listens on `host`."""
    host = {"0.0.0.0": ports.LOOPBACK, "::": "::1"}.get(host.strip("[]"), host.strip("[]"))
    return f"[{host}]" if ":" in host else host


def _host_environment(environment: Mapping[str, str], running: Running, data: Path) -> dict[str, str]:
    """What the host process gets: addresses and passwords this way, because command lines can be read by anybody."""
    here = str(Path(__file__).parents[1])
    installed = here in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    path = (
        environment.get("PYTHONPATH", "")
        if installed
        else os.pathsep.join(filter(None, (here, environment.get("PYTHONPATH"))))
    )
    return {
        **environment,
        "DATABASE_URL": running.database_url,
        "NATS_URL": running.nats_url,
        "NATS_RELAY_URL": running.nats_relay_url,
        "THESPIS_DATA": str(data),
        **({"PYTHONPATH": path} if path else {}),
    }


async def _end_leftover(data: Path) -> None:
    """End a host whose supervisor is gone. We hold the directory, so nobody watches it."""
    try:
        mark = msgspec.json.decode((data / HOST).read_bytes(), type=_HostMark)
        process = psutil.Process(mark.pid)
        if abs(process.create_time() - mark.created) > 2:
            return
        process.terminate()
    except (OSError, msgspec.MsgspecError, psutil.Error):
        return
    deadline = monotonic() + 5
    while _lives(process):
        if monotonic() > deadline:
            process.kill()
        await asyncio.sleep(0.02)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
