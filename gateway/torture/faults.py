"""Every fault that can be done to a stage of real processes, by name. Each heals what it broke before it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from gateway.torture import faults_hosts, faults_nats, faults_postgres
from gateway.torture.faults_wire import How, Strike
from gateway.torture.real import LEASE, Stage

Act = Callable[[Stage, Random], Awaitable[None]]

PAUSE: Final = 0.5
"""Seconds that a lasting fault lasts at least."""


async def host_killed(stage: Stage, random: Random) -> None:
    """SIGKILL to a host."""
    await faults_hosts.kill(random.choice(stage.hosts))


async def host_replaced(stage: Stage, random: Random) -> None:
    """SIGTERM to a host, which hands over and is started again."""
    await faults_hosts.replace(random.choice(stage.hosts))


async def host_frozen(stage: Stage, random: Random) -> None:
    """A host is stopped for longer than its lease, and goes on."""
    await faults_hosts.freeze(stage, random.choice(stage.hosts))


async def postgres_killed(stage: Stage, random: Random) -> None:
    """SIGKILL to Postgres."""
    await faults_postgres.kill(stage.postgres)


async def postgres_stopped(stage: Stage, random: Random) -> None:
    """An immediate shutdown of Postgres."""
    await faults_postgres.immediate(stage.postgres)


async def connections_ended(stage: Stage, random: Random) -> None:
    """Every connection to Postgres is ended by an operator."""
    await faults_postgres.end_sessions(stage.postgres)


async def cut_in_commit(stage: Stage, random: Random) -> None:
    """The writer's connection is cut before, in and after a commit."""
    ways: tuple[How, ...] = ("not sent", "sent", "answered")
    for how in random.sample(ways, 3):
        strike = stage.wire.strike(Strike(how, skip=random.randint(0, 3)))
        await strike.struck.wait()


async def partitioned(stage: Stage, random: Random) -> None:
    """Hosts and Postgres do not reach each other for longer than a lease, with a commit on its way."""
    held = stage.wire.strike(Strike("held"))
    await held.struck.wait()
    stage.wire.open.clear()
    try:
        await asyncio.sleep(LEASE * 1.5)
    finally:
        held.release.set()
        stage.wire.open.set()


async def read_only(stage: Stage, random: Random) -> None:
    """Postgres takes no writes."""
    async with faults_postgres.read_only(stage.postgres):
        await asyncio.sleep(PAUSE)


async def nats_killed(stage: Stage, random: Random) -> None:
    """SIGKILL to NATS."""
    await faults_nats.kill(stage.nats)


async def nats_leaving(stage: Stage, random: Random) -> None:
    """NATS is told to go (lame duck), and is killed on its way out."""
    await faults_nats.lame_duck(stage.nats)
    await asyncio.sleep(PAUSE)
    await faults_nats.kill(stage.nats)


async def nats_forgot(stage: Stage, random: Random) -> None:
    """JetStream's directory is removed."""
    await faults_nats.forget(stage.nats)


async def nats_rolled_back(stage: Stage, random: Random) -> None:
    """JetStream's directory becomes an older copy of itself."""
    await faults_nats.roll_back(stage.nats, lambda: asyncio.sleep(PAUSE))


async def foreign_facts(stage: Stage, random: Random) -> None:
    """Somebody writes to the stream of facts: a host is refused, the strongest user is not."""
    await faults_nats.foreign_fact(stage.nats, "host")
    await faults_nats.foreign_fact(stage.nats, "relay")


async def two_relays(stage: Stage, random: Random) -> None:
    """A second relay publishes the same facts."""
    async with faults_nats.second_relay(stage.nats, stage.postgres.url):
        await asyncio.sleep(PAUSE)


async def strangers(stage: Stage, random: Random) -> None:
    """Others hold transactions and snapshots open in the same Postgres, and do not read what NATS sends them."""
    async with (
        faults_postgres.idle_in_transaction(stage.postgres),
        faults_postgres.foreign_write(stage.postgres),
        faults_postgres.long_snapshot(stage.postgres),
        faults_nats.slow_consumer(stage.nats),
    ):
        await asyncio.sleep(PAUSE)


FAULTS: Final[dict[str, Act]] = {
    act.__name__.replace("_", " "): act
    for act in (
        host_killed, host_replaced, host_frozen, postgres_killed, postgres_stopped, connections_ended, cut_in_commit,
        partitioned, read_only, nats_killed, nats_leaving, nats_forgot, nats_rolled_back, foreign_facts, two_relays,
        strangers,
    )
}  # fmt: skip
"""By name, in words."""
