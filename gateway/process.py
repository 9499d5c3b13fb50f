"""One host process: everything of a host wired by hand, started in order, stopped in the reverse one.

Its metrics, beside those of the door (`gateway/http/metrics.py`):

| metric | type | meaning |
|---|---|---|
| thespis_messages_handled_total | counter | messages handled by actors here |
| thespis_messages_waiting | gauge | messages waiting in memory |
| thespis_actors_active | gauge | actors in memory |
| thespis_actors_loaded_total | counter | actors folded from the log |
| thespis_actors_passivated_total | counter | actors that left memory |
| thespis_commits_total | counter | group commits |
| thespis_appends_total | counter | appends in group commits |
| thespis_partitions_owned | gauge | partitions owned by this host |
| thespis_relay_lag | gauge | committed events not yet on the bus, where the relay runs |
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from actors.core.hand import Hand
from actors.core.history import history
from actors.core.host import Host
from actors.core.kind import Plugin, merge
from events.envelope import Event
from events.errors import InvalidSetting, ThespisError
from events.ids import random_id
from events.store import Append, Appended, Effect, Status, Verdict
from gateway import workspace
from gateway.agent_host import HostAgents, host_agents
from gateway.agents import agent_files, policy_files
from gateway.built_in import built_in
from gateway.definitions import Definitions
from gateway.http.door import Check, Door
from gateway.http.heads import Heads
from gateway.http.metrics import Sample
from gateway.http.serve import Server
from gateway.keeping import Keeper
from gateway.lags import consumers
from gateway.models import Listed
from gateway.reloading import Files, reload
from gateway.settings import Settings, from_environment
from gateway.singletons import Info, Singletons
from gateway.vault import ERASED, People, Vault, open_vault
from infra.nats.asks import Asks
from infra.nats.bus import NatsBus
from infra.nats.client import Client
from infra.nats.connection import Connection, connect
from infra.nats.doorbell import Doorbell, mailed
from infra.nats.forgetting import forget_spooled
from infra.nats.ingress import Ingress
from infra.nats.live import LivePlane
from infra.nats.provision import Retention
from infra.nats.relay import Relay
from infra.nats.spool import Spool
from infra.postgres.blobs import PostgresBlobs
from infra.postgres.connection import Links
from infra.postgres.migrate import migrate
from infra.postgres.projections import open_read_models
from infra.postgres.store import open_store
from infra.postgres.tokens import PostgresTokens
from infra.tasks.builtin import Asking
from infra.tasks.builtin import built_in as built_in_tasks
from infra.tasks.hosting import HostTasks
from infra.vault.source import OpenedSource
from projections import PROJECTIONS, Chronicle, Projector

log = logging.getLogger("thespis.process")

COMINGS = "ctl.hosts"
"""Rung when a host has joined or left, so that the others look at once."""


class Options(msgspec.Struct, frozen=True):
    """What a host process is told. `data` is where its mark of the message in hand lives, or None for none."""

    database_url: str
    nats_url: str
    nats_relay_url: str
    plugin: Plugin
    settings: Settings
    data: Path | None = None
    workspaces: Sequence[Path] = ()
    """Their agents and policies are published again when files change."""


def recorded(batch: Sequence[Append], appended: Appended) -> list[Event]:
    """The events of a batch as the log has them."""
    events: list[Event] = []
    for append, verdict in zip(batch, appended.verdicts, strict=True):
        if verdict.status is not Status.WRITTEN:
            continue
        version, position = append.expected, verdict.position
        epoch = append.epoch or 0
        for new in append.events:
            version += 1
            events.append(
                Event(
                    position, append.tenant, append.stream, version, new.id, new.type, new.schema, new.data,
                    new.causation, new.correlation, epoch, appended.recorded_at, new.trace, new.meta, new.hash,
                )
            )  # fmt: skip
            position += 1
    return events


@contextlib.contextmanager
def succession(path: Path, host_id: str) -> Generator[str | None]:
    """Note which host lives in this directory; yields the id of the one before, if it is certainly gone."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None  # another host lives here as well
            return
        file.seek(0)
        previous = file.read().strip()
        file.truncate(0)
        file.write(host_id)
        file.flush()
        yield previous or None


@contextlib.asynccontextmanager
async def running(options: Options) -> AsyncGenerator[Server]:
    """A host that serves, until the block is left: it then hands over and stops. Raises StoreUnavailable and others."""
    async with contextlib.AsyncExitStack() as stack:
        await migrate(options.database_url)
        store = await stack.enter_async_context(open_store(options.database_url, migrated=True))
        source, models = await stack.enter_async_context(open_read_models(options.database_url))
        vault = await stack.enter_async_context(open_vault(options.database_url, options.plugin, options.data))
        links = Links(options.database_url, "tokens", 2, 30.0)
        stack.push_async_callback(links.close)
        connection = await connect(options.nats_url, name="thespis-host")
        stack.push_async_callback(connection.close)
        bus = NatsBus(connection)

        host_id = random_id()
        hand = None
        if options.data is not None:
            options.data.mkdir(parents=True, exist_ok=True)
            limits = options.settings.hang_after, options.settings.grow_limit
            hand = stack.enter_context(Hand(options.data / "in-hand", *limits))
            if (previous := stack.enter_context(succession(options.data / "host-id", host_id))) is not None:
                # It died here and cannot say so itself: nobody has to wait for its lease to run out.
                await store.leave(previous)
        projections = [*PROJECTIONS, *options.plugin.projections]
        info = Info(os.getpid(), socket.gethostname(), {p.name: p.version for p in projections})
        ring = vault.ring if vault else None
        agents = await stack.enter_async_context(host_agents(options.plugin, bus, os.environ, options.data))
        asking = Asking()
        known_tasks = [*built_in_tasks(asking), *options.plugin.tasks]
        tasks = HostTasks(
            connection, PostgresBlobs(links), known_tasks, f"host:{host_id}",
            replicas=options.settings.nats_replicas, lost_after=options.settings.tasks_lost_after,
        )  # fmt: skip
        plugin = merge([options.plugin, Plugin(effects=[*tasks.effects, *agents.effects])])
        host = Host(store, plugin, host_id=host_id, hand=hand, info=msgspec.json.encode(info), keyring=ring)
        client = asking.client = Client(bus, host)
        relay_connection = connection
        if options.nats_relay_url != options.nats_url:
            relay_connection = await connect(options.nats_relay_url, name="thespis-relay")
            stack.push_async_callback(relay_connection.close)
        retention = Retention(replicas=options.settings.nats_replicas)
        relay = Relay(relay_connection, store, retention=retention)
        chronicle = Chronicle(store, lambda append: _written(host, append))
        reading = OpenedSource(source, vault.ring, vault.types) if vault else source
        projector = Projector(projections, reading, models, chronicle=chronicle, keep=options.settings.keep_builds)
        heads = await stack.enter_async_context(Heads(store.head, options.settings.poll))
        singletons = Singletons(host, relay, projector)
        keeper = Keeper(store, lambda: host.owned, options.settings.horizon_days)

        def heard(head: int, before: int | None, mail: int) -> None:
            host.doorbell(head, before, mail)
            heads.ring(head)
            projector.wake(head)
            if singletons.relaying:
                relay.wake(head)

        doorbell = Doorbell(bus, heard)

        def committed(batch: Sequence[Append], appended: Appended) -> None:
            if appended.head == appended.before:
                return
            if singletons.relaying:
                relay.committed(recorded(batch, appended))
            doorbell.ring(appended.head, appended.before, mailed(batch))
            heads.ring(appended.head)
            projector.wake(appended.head)

        host.listeners.append(committed)
        host.effects.late = partial(_late, client)

        host.handover.listeners.append(partial(_ring, bus, COMINGS))

        people = None
        if vault is not None:
            eraser = vault.eraser(
                host, projector, models, partial(_ring, bus, ERASED), partial(forget_spooled, connection)
            )
            people = People(vault, eraser)
            await people.eraser.reapply()
            vault.ring.erased.append(lambda erasure: host.personal.erased(erasure.tenant, erasure.streams))
            await _start(stack, vault.ring.start, vault.ring.stop)
            erased = await bus.listen(ERASED, partial(_wake, vault))
            stack.push_async_callback(erased.stop)
        definitions = Definitions(known_tasks)
        door = Door(
            client=client,
            store=store,
            models=models,
            projections=projector,
            tokens=PostgresTokens(links),
            registry=host.registry,
            heads=heads,
            kinds=host.kinds,
            history=partial(history, host),
            checks=lambda: _checks(host, connection),
            samples=lambda: _samples(host, relay),
            subjects=people,
            consumers=lambda: consumers(host, relay, singletons.relaying, connection),
            definitions=definitions,
            live=LivePlane(bus),
            agents=agents.agents,
            policies=agents.policies,
            providers=Listed(agents.providers).read,
            price=agents.prices.current,
        )
        server = Server(door, options.settings)
        asks = Asks(bus, host)
        ingress = Ingress(bus, client)
        spool = Spool(connection, client, host, retention=retention)

        await _start(stack, doorbell.start, doorbell.stop)
        comings = await bus.listen(COMINGS, lambda _message: host.ownership.hurry())
        stack.push_async_callback(comings.stop)
        await _start(stack, singletons.start, singletons.stop)
        await _start(stack, keeper.start, keeper.stop)
        await _start(stack, server.start, server.stop)
        await _start(stack, partial(tasks.start, host, client), tasks.stop)
        await _start(stack, host.start, host.stop)
        bus.send(COMINGS, b"")
        if people is not None:
            await _start(stack, people.eraser.resume, people.eraser.stop)
        await _start(stack, asks.start, asks.stop)
        await _start(stack, ingress.start, ingress.stop)
        await _start(stack, spool.start, spool.stop)
        publishing = _publish(definitions, agents, options, client)
        stack.push_async_callback(_ended, asyncio.create_task(publishing, name="publishing"))
        yield server


async def serve(options: Options, ready: asyncio.Event | None = None) -> None:
    """Run a host until SIGTERM or SIGINT, then hand over."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(options) as server:
        log.info("serving on %s", server.url)
        if ready is not None:
            ready.set()
        await stop.wait()
        log.info("handing over")


SERVERS: Final = (
    "a host works for servers that are named: DATABASE_URL=postgresql://… NATS_URL=nats://…; "
    "`thespis up` starts its own and a host with them"
)
"""What is to be done where the servers are not named."""


def run(*, port: int | None, listen: str | None, workspaces: Sequence[Path], data: Path | None) -> None:
    """`thespis host`: everything from the environment and the command line. Returns after the hand-over.

    Raises InvalidSetting, and what `running` raises.
    """
    environment = os.environ
    database_url, nats_url = environment.get("DATABASE_URL", ""), environment.get("NATS_URL", "")
    for name, value in (("DATABASE_URL", database_url), ("NATS_URL", nats_url)):
        if not value:
            raise InvalidSetting(f"{name} is not set", hint=SERVERS)
    where = data or (Path(environment["THESPIS_DATA"]) if environment.get("THESPIS_DATA") else None)
    options = Options(
        database_url=database_url,
        nats_url=nats_url,
        nats_relay_url=environment.get("NATS_RELAY_URL", nats_url),
        plugin=workspace.gather(workspaces, built_in()),
        settings=from_environment(port=port, host=listen),
        data=where,
        workspaces=[Path(directory).resolve() for directory in workspaces],
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    quieten_gc()
    uvloop.run(serve(options))


def quieten_gc() -> None:
    """Most of what a host makes dies by reference count; looking for cycles as often as Python does is costly."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


async def _start(
    stack: contextlib.AsyncExitStack, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
) -> None:
    stack.push_async_callback(stop)
    await start()


async def _publish(definitions: Definitions, agents: HostAgents, options: Options, client: Client) -> None:
    """What lies in the workspaces, now and when it changes: workflows first, because agents may have them as tools."""
    tenant, plugin, folders = options.settings.tenant, options.plugin, options.workspaces
    definers = (plugin.agents, agent_files, agents.agents), (plugin.policies, policy_files, agents.policies)
    watched = [
        (Files(partial(_files, named, find, folders)), partial(definer.publish, tenant=tenant, ask=client.ask))
        for named, find, definer in definers
    ]
    names = await definitions.publish(options.plugin.workflows, tenant, client.ask)
    await agents.publish(tenant, client, names)
    await reload(watched)


def _files(named: Sequence[Path], find: Callable[[Path], list[Path]], folders: Sequence[Path]) -> set[Path]:
    """Files that a plugin names, and those that lie in workspaces by now."""
    return {*named, *(file for folder in folders for file in find(folder))}


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _ring(bus: NatsBus, subject: str) -> None:
    with contextlib.suppress(ThespisError):
        bus.send(subject, b"")


def _wake(vault: Vault, _message: object) -> None:
    vault.ring.wake()


async def _written(host: Host, append: Append) -> Verdict:
    return (await host.appender.append(append))[0]


async def _late(client: Client, effect: Effect, status: str, outcome: bytes) -> None:
    """The outcome of a call whose actor moved away meanwhile: it supersedes the `unknown` recorded there, if any."""
    try:
        await client.resolve(effect.tenant, effect.id, status, outcome, "host", "the outcome came late")
    except ThespisError as error:
        log.warning("the late outcome of effect %s was not taken: %s", effect.id, error)


async def _checks(host: Host, connection: Connection) -> Mapping[str, Check]:
    owned = len(host.owned)
    others = [h.id for h in host.ownership.hosts if h.alive and h.id != host.ownership.name]
    return {
        "bus": Check(connection.connected, "" if connection.connected else "NATS does not answer"),
        "partitions": Check(owned > 0, f"{owned} owned, {len(others)} other hosts"),
    }


def _samples(host: Host, relay: Relay) -> Iterable[Sample]:
    active = sum(len(cells) for cells in host.cells.values())
    return [
        Sample("thespis_messages_handled_total", "counter", "messages handled by actors here", host.handled),
        Sample("thespis_messages_waiting", "gauge", "messages waiting in memory", host.waiting),
        Sample("thespis_actors_active", "gauge", "actors in memory", active),
        Sample("thespis_actors_loaded_total", "counter", "actors folded from the log", host.loader.loads),
        Sample("thespis_actors_passivated_total", "counter", "actors that left memory", host.memory.passivated),
        Sample("thespis_commits_total", "counter", "group commits", host.appender.batches),
        Sample("thespis_appends_total", "counter", "appends in group commits", host.appender.appends),
        Sample("thespis_partitions_owned", "gauge", "partitions owned by this host", len(host.owned)),
        Sample("thespis_relay_lag", "gauge", "committed events not yet on the bus, where the relay runs", relay.lag),
    ]
