"""Both servers under one data directory, started together, watched, and stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from events.errors import ThespisError
from infra.embedded.directory import DataDirectory, Ports, hold
from infra.embedded.nats import EmbeddedNats
from infra.embedded.postgres import EmbeddedPostgres
from infra.embedded.process import how_it_ended

log = logging.getLogger("thespis.embedded")

STEADY = 30.0
"""Seconds after which a server that runs counts as well again."""


class EmbeddedServers:
    """`async with EmbeddedServers(data) as servers`: Postgres and NATS run until the block is left.

    A server that dies is started again on the same port, for as long as it takes; `say` is told, in one line. Either
    can be left out by those who have their own; a data directory already held can be handed in. Enter it in the main
    thread: the servers end with the thread. Raises Conflict when another process holds the directory, StoreUnavailable
    or BusUnavailable when a server does not start.
    """

    def __init__(
        self,
        data: Path | DataDirectory,
        *,
        postgres: bool = True,
        nats: bool = True,
        say: Callable[[str], None] = log.warning,
    ) -> None:
        self._data = data
        self._wanted = (postgres, nats)
        self._say = say
        self._stack = contextlib.AsyncExitStack()
        self.postgres: EmbeddedPostgres | None = None
        self.nats: EmbeddedNats | None = None
        self.directory: DataDirectory
        """The data directory, held."""

    async def __aenter__(self) -> EmbeddedServers:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        data = self._data
        directory = self.directory = self._stack.enter_context(hold(data)) if isinstance(data, Path) else data
        secrets, ports = directory.secrets(), directory.ports()
        logs = directory.path / "logs"
        servers: list[EmbeddedPostgres | EmbeddedNats] = []
        if self._wanted[0]:
            self.postgres = EmbeddedPostgres(
                directory.path / "postgres",
                password=secrets.postgres,
                admin_password=secrets.postgres_admin,
                log=logs / "postgres.log",
                port=ports.postgres,
            )
            servers.append(self.postgres)
        if self._wanted[1]:
            self.nats = EmbeddedNats(
                directory.path / "nats",
                passwords={"relay": secrets.nats_relay, "host": secrets.nats_host, "client": secrets.nats_client},
                log=logs / "nats.log",
                port=ports.nats,
            )
            servers.append(self.nats)
        for server in servers:
            self._stack.push_async_callback(server.stop)
        outcomes = await asyncio.gather(*(server.start() for server in servers), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        directory.remember(
            Ports(
                postgres=self.postgres.port if self.postgres else ports.postgres,
                nats=self.nats.port if self.nats else ports.nats,
            )
        )
        for server in servers:
            watch = asyncio.create_task(self._watch(server), name=f"watch {server.name}")
            self._stack.push_async_callback(_cancel, watch)

    async def _watch(self, server: EmbeddedPostgres | EmbeddedNats) -> None:
        failures = 0
        while server.process is not None:
            since = monotonic()
            status = await server.process.wait()
            failures = 1 if monotonic() - since > STEADY else failures + 1
            words = server.process.last_words(1)
            self._say(f"{server.name} {how_it_ended(status)}{f' ({words})' if words else ''}; starting it again")
            while True:
                await asyncio.sleep(pause(failures))
                try:
                    await server.start()
                    break
                except ThespisError as error:
                    failures += 1
                    self._say(f"{server.name} cannot be started: {error}; next attempt in {pause(failures):.1f} s")
            self._say(f"{server.name} runs again")


def pause(failures: int) -> float:
    """Seconds to wait before starting what has failed so many times in a row: doubled each time, at most five."""
    return min(0.05 * 2**failures, 5.0)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
