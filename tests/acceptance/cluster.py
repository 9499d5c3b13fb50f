"""Real hosts on a real Postgres and a real NATS, a ledger's worth of traffic, and the proof afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import aiohttp
import nats
from nats.js.errors import NotFoundError

from events.store import EventStore
from gateway.demo.host import LEDGER, HostProcess
from gateway.demo.plan import Step, plan
from gateway.demo.proof import Acknowledged, LedgerProof
from gateway.demo.run import ended
from gateway.demo.traffic import Traffic, together
from gateway.proof import LogProof, read, verdict, witness
from infra.postgres.store import open_store
from tests.servers import Nats, Postgres

PATIENCE = 60.0
"""Seconds after which a condition is given up."""


class Cluster:
    """One Postgres, one NATS, and any number of hosts. All hosts end with the block.

    `database_url` is what hosts are told; change it before they are added.
    """

    def __init__(self, postgres: Postgres, nats: Nats, directory: Path) -> None:
        self.postgres = postgres
        self.nats = nats
        self.hosts: list[HostProcess] = []
        self.database_url = postgres.url
        self._directory = directory

    async def __aenter__(self) -> Cluster:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(host.kill() for host in self.hosts))

    async def add(self, number: int, workspace: Path = LEDGER, **settings: str) -> list[HostProcess]:
        """More hosts; they serve when this returns."""
        hosts = [
            HostProcess(
                self._directory / f"host-{len(self.hosts) + n}",
                database_url=self.database_url,
                nats_url=self.nats.host_url,
                relay_url=self.nats.url,
                workspace=workspace,
                settings=settings,
            )
            for n in range(number)
        ]
        for host in hosts:
            host.start()
            self.hosts.append(host)
        await asyncio.gather(*(host.ready() for host in hosts))
        return hosts


class Load:
    """Transfers between accounts, sent to all hosts of a cluster in turn for as long as the attack on it lasts."""

    def __init__(self, cluster: Cluster, *, seed: int = 1, accounts: int = 40, copies: int = 1):
        self.cluster = cluster
        self.plan = plan(seed, 20_000, accounts)
        self.sent: list[Step] = []
        self.answers: dict[str, list[dict[str, Any]]] = {}
        self._asked: dict[str, Acknowledged] = {}
        self._random = Random(seed)
        self._copies = copies
        self._count = 0
        self._counted = asyncio.Event()
        self._last: float | None = None
        self._silence = 0.0
        self._over = False
        print(f"seed {seed}")

    async def run(self, attack: Callable[[], Awaitable[object]]) -> None:
        """Send while the attack goes on, wait until everything has ended, and prove it."""
        async with Traffic([host.url for host in self.cluster.hosts], width=24, timeout=1.0) as traffic:
            await traffic.run(self.plan.opening)
            await traffic.run(self.plan.closing)

            async def attacking() -> None:
                await attack()
                self._over = True

            await together(traffic.run(self._steps(), self._told), attacking())
            print(
                f"{self._count} acknowledgements of {len(self.sent)} transfers, {traffic.tries} tries, "
                f"longest silence {self._silence:.2f} s"
            )
            async with open_store(self.cluster.postgres.url, migrated=True) as store:
                head = await ended(store, len(self._asked), lambda _count: None)
                await self._prove(store, await traffic.rows("balances", head))

    def _steps(self) -> Iterator[Step]:
        """The copies of a transfer come soon after it, among others."""
        late: list[Step] = []
        for step in self.plan.transfers:
            if self._over:
                break
            self.sent.append(step)
            self._asked[step.to] = self.plan.asked[step.to]
            late += [step] * self._copies
            self._random.shuffle(late)
            while len(late) > 10 * (self._copies - 1):
                yield late.pop()
        yield from late

    def _told(self, step: Step, answer: dict[str, Any]) -> None:
        assert answer["outcome"] == "handled", answer
        self._asked[step.to].positions.append(answer["position"])
        self.answers.setdefault(step.to, []).append(answer)
        now = monotonic()
        if self._last is not None:
            self._silence = max(self._silence, now - self._last)
        self._last = now
        self._count += 1
        self._counted.set()

    async def acknowledged(self, more: int = 100) -> None:
        """Wait for so many acknowledgements more."""
        goal = self._count + more
        async with asyncio.timeout(PATIENCE):
            while self._count < goal:
                self._counted.clear()
                await self._counted.wait()

    async def _prove(self, store: EventStore, rows: list[dict[str, Any]]) -> None:
        balances = {row["account"]: row["balance"] for row in rows}
        checks = await witness(store, LogProof(), LedgerProof(self._asked, balances))
        lines = verdict(checks)
        print("\n".join(lines))
        assert all(check.passed for check in checks), "\n".join(lines)
        log = [event.id async for event in read(store)]
        assert await facts(self.cluster.nats.url, len(log)) == log


async def facts(url: str, head: int) -> list[str]:
    """The ids of all facts on the bus, once they reach `head`: read with plain nats-py, by sequence."""
    client = await nats.connect(url)
    try:
        stream = client.jetstream()
        deadline = monotonic() + PATIENCE
        while True:
            try:
                state = (await stream.stream_info("EV")).state
            except NotFoundError:
                state = None
            if state is not None and state.last_seq >= head:
                break
            assert monotonic() < deadline, f"the bus is at {state and state.last_seq}, the log at {head}"
            await asyncio.sleep(0.05)
        assert (state.first_seq, state.last_seq, state.messages) == (1, head, head), state
        ids: list[str] = []
        subscription = await stream.subscribe("ev.>", stream="EV", ordered_consumer=True)
        while len(ids) < head:
            message = await subscription.next_msg(timeout=PATIENCE)
            assert message.headers is not None
            assert message.metadata.sequence.stream == int(message.headers["ce-position"]) == len(ids) + 1
            ids.append(message.headers["ce-id"])
        return ids
    finally:
        await client.close()


async def metric(host: HostProcess, name: str) -> float:
    """A figure of a host."""
    async with aiohttp.ClientSession() as session, session.get(f"{host.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(name + " ")))


async def owns(host: HostProcess, least: int = 1) -> None:
    """Wait until a host owns so many partitions, or more."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if await metric(host, "thespis_partitions_owned") >= least:
                return
            await asyncio.sleep(0.05)
