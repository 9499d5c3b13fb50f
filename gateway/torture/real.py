"""The stage of a torture with real processes: Postgres behind a wire that can fail, NATS, and hosts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from time import monotonic

from events.errors import DeadlineExceeded, Unavailable
from events.store import EventStore
from gateway.cli.find import Place
from gateway.cli.http import Api
from gateway.demo.host import HostProcess
from gateway.torture.faults_wire import Wire
from gateway.torture.outside import CALLS, Call, read_calls
from infra.embedded.nats import EmbeddedNats
from infra.embedded.postgres import EmbeddedPostgres
from infra.postgres.store import open_store

WORKSPACE = Path(__file__).parent
PATIENCE = 120.0
"""Seconds after which a condition is given up."""
LEASE = 2.0
"""Seconds a host's lease lasts after its last heartbeat."""


class Stage:
    """One Postgres, one NATS, a wire between hosts and Postgres, any number of hosts, and the world's list of calls.

    Both servers are started by whoever made them. The wire and the hosts end with the block.
    """

    def __init__(self, postgres: EmbeddedPostgres, nats: EmbeddedNats, directory: Path) -> None:
        self.postgres = postgres
        self.nats = nats
        self.directory = directory
        self.hosts: list[HostProcess] = []
        self.calls_file = directory / "calls.jsonl"
        self.wire: Wire
        """Between the hosts and Postgres."""
        self.database_url = ""
        """What hosts that are added are told: by way of the wire, unless it is changed."""

    async def __aenter__(self) -> Stage:
        assert self.postgres.port is not None
        self.wire = Wire(self.postgres.port)
        await self.wire.start()
        self.database_url = self.postgres.url.replace(f":{self.postgres.port}/", f":{self.wire.port}/")
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(host.kill() for host in self.hosts if host.process is not None))
        await self.wire.stop()

    async def add(
        self, number: int, workspace: Path = WORKSPACE, settings: Mapping[str, str] | None = None
    ) -> list[HostProcess]:
        """More hosts; they serve when this returns."""
        hosts = [self.prepare(workspace, settings) for _ in range(number)]
        for host in hosts:
            host.start()
        await asyncio.gather(*(host.ready() for host in hosts))
        return hosts

    def prepare(self, workspace: Path = WORKSPACE, settings: Mapping[str, str] | None = None) -> HostProcess:
        """One more host, which is not started yet."""
        host = HostProcess(
            self.directory / f"host-{len(self.hosts)}",
            database_url=self.database_url,
            nats_url=self.nats.url("host"),
            relay_url=self.nats.url("relay"),
            workspace=workspace,
            settings={CALLS: str(self.calls_file), **(settings or {})},
        )
        self.hosts.append(host)
        return host

    def calls(self) -> list[Call]:
        """What the world saw so far."""
        return read_calls(self.calls_file)

    def store(self) -> AbstractAsyncContextManager[EventStore]:
        """The log itself, not by way of the wire."""
        return open_store(self.postgres.url, migrated=True)


async def owned(host: HostProcess) -> int:
    """How many partitions a host serves. Raises what asking a host may raise."""
    async with Api(Place(host.url), timeout=5.0) as api:
        lines = (await api.text("/metrics")).splitlines()
    return int(float(next(line.split()[-1] for line in lines if line.startswith("thespis_partitions_owned "))))


async def owns(host: HostProcess, least: int = 1, patience: float = PATIENCE) -> None:
    """Wait until a host serves so many partitions, or more. Raises DeadlineExceeded."""
    deadline = monotonic() + patience
    while True:
        with contextlib.suppress(Unavailable):
            if await owned(host) >= least:
                return
        if monotonic() > deadline:
            raise DeadlineExceeded(f"{host.url} does not own {least} partitions after {patience:.0f} s")
        await asyncio.sleep(0.03)
