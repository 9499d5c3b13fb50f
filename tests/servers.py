"""Real servers for tests: quick to start, private to a worker, gone at the end."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from infra.embedded.nats import ROLES, EmbeddedNats
from infra.embedded.postgres import EmbeddedPostgres

PASSWORD = "only-for-tests"
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "64MB"}
SAFE = {"shared_buffers": "64MB"}


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run from a fixture that is not async, leaving the event loop of the tests alone."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


class Postgres(EmbeddedPostgres):
    """A server, its databases made to order. `await` kill(), restart() and stop()."""

    _names = itertools.count(1)

    def __init__(self, directory: Path, *, safe: bool, seed: Path | None = None) -> None:
        directory.mkdir(0o700, parents=True)
        if seed is not None:
            shutil.copytree(seed, directory / "postgres", symlinks=True)
        super().__init__(
            directory / "postgres",
            password=PASSWORD,
            admin_password=PASSWORD,
            log=directory / "postgres.log",
            settings=SAFE if safe else FAST,
        )

    async def create(self) -> str:
        """A new, empty database; returns its DSN."""
        name = f"test_{next(self._names)}"
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        finally:
            await connection.close()
        return self.url.removesuffix("thespis") + name

    async def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")
        finally:
            await connection.close()


class Nats:
    """A server with JetStream. `await` kill(), restart(), wipe() and stop(). `url` is that of the strongest user."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(0o700, parents=True)
        self.embedded = EmbeddedNats(
            directory / "jetstream", passwords=dict.fromkeys(ROLES, PASSWORD), log=directory / "nats.log"
        )

    @property
    def url(self) -> str:
        """As the relay: may do everything."""
        return self.embedded.url("relay")

    @property
    def host_url(self) -> str:
        """As a host: everything but writing facts."""
        return self.embedded.url("host")

    @property
    def client_url(self) -> str:
        """As somebody from outside."""
        return self.embedded.url("client")

    @property
    def directory(self) -> Path:
        """Where JetStream keeps its streams."""
        return self.embedded.directory

    async def start(self) -> None:
        await self.embedded.start()

    async def stop(self) -> None:
        """Stop it cleanly."""
        await self.embedded.stop()

    async def kill(self) -> None:
        """SIGKILL."""
        await self.embedded.kill()

    async def restart(self) -> None:
        """Start it again on the same port; a running one is stopped first."""
        await self.embedded.restart()

    async def wipe(self) -> None:
        """Remove the JetStream directory, running or not."""
        await self.embedded.wipe()


S = TypeVar("S", Postgres, Nats)


@contextmanager
def served(server: S) -> Iterator[S]:
    """The server, started; stopped in the end, also when it did not start."""
    try:
        run(server.start())
        yield server
    finally:
        run(server.stop())
