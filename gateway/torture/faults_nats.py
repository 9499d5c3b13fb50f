"""What happens to NATS: it dies, it forgets, it remembers wrongly, others write where only the relay may."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic

from infra.embedded import ports
from infra.embedded.nats import EmbeddedNats, Role
from infra.nats.connection import Connection, connect
from infra.nats.protocol import decode_headers
from infra.nats.provision import EV, Retention, find_stream
from infra.nats.relay import Relay
from infra.postgres.store import open_store


async def kill(nats: EmbeddedNats) -> None:
    """SIGKILL, and start it again."""
    await nats.kill()
    await nats.start()


async def lame_duck(nats: EmbeddedNats) -> None:
    """It is told to go: JetStream stops, clients are told to look elsewhere, and it takes no new ones."""
    assert nats.process is not None
    nats.process.send(signal.SIGUSR2)
    async with asyncio.timeout(30):
        while True:
            if not await _listens(nats):
                return
            await asyncio.sleep(0.02)


async def _listens(nats: EmbeddedNats) -> bool:
    try:
        _, writer = await asyncio.open_connection(ports.LOOPBACK, nats.port)
    except OSError:
        return False
    writer.close()
    return True


async def forget(nats: EmbeddedNats) -> None:
    """Its directory is removed while it runs; then it is killed and starts with nothing."""
    await nats.wipe()
    await nats.kill()
    await nats.wipe()
    await nats.start()


async def roll_back(nats: EmbeddedNats, meanwhile: Callable[[], Awaitable[object]]) -> None:
    """Its directory becomes again what it was before `meanwhile`."""
    older = nats.directory.with_name(nats.directory.name + ".older")
    await nats.kill()
    shutil.rmtree(older, ignore_errors=True)
    shutil.copytree(nats.directory, older)
    await nats.start()
    await meanwhile()
    await nats.kill()
    shutil.rmtree(nats.directory)
    older.rename(nats.directory)
    await nats.start()


async def foreign_fact(nats: EmbeddedNats, role: Role, number: int = 1) -> None:
    """Somebody else publishes where facts are: as `host` or `client` it is refused, as `relay` it gets through."""
    connection = await connect(nats.url(role), name="stranger")
    try:
        for n in range(number):
            connection.send("ev.default.account.stranger.Forged", b'{"n":%d}' % n, {"ce-id": f"forged-{n}"})
        await connection.client.flush()
    finally:
        await connection.close()


@asynccontextmanager
async def second_relay(nats: EmbeddedNats, database_url: str) -> AsyncGenerator[Relay]:
    """Another relay, which believes that it is the only one."""
    connection = await connect(nats.url("relay"), name="second relay")
    try:
        async with open_store(database_url, migrated=True) as store:
            relay = Relay(connection, store, retention=Retention(), poll=0.05)
            await relay.start()
            try:
                yield relay
            finally:
                await relay.stop()
    finally:
        await connection.close()


@asynccontextmanager
async def slow_consumer(nats: EmbeddedNats, role: Role = "client") -> AsyncGenerator[None]:
    """Somebody subscribes to all facts and never reads."""
    reader, writer = await asyncio.open_connection(ports.LOOPBACK, nats.port, limit=1024)
    try:
        await reader.readline()
        user, _, password = nats.url(role).removeprefix("nats://").rpartition("@")[0].partition(":")
        writer.write(
            f'CONNECT {{"verbose":false,"user":"{user}","pass":"{password}"}}\r\nSUB ev.> 1\r\nPING\r\n'.encode()
        )
        await writer.drain()
        await reader.readuntil(b"PONG")
        yield
    finally:
        writer.transport.abort()


async def facts(nats: EmbeddedNats, head: int, patience: float = 60.0) -> list[str]:
    """The ids of all facts on the bus once they reach `head`, or as far as they got, in order of sequence."""
    connection = await connect(nats.url("relay"), name="reader")
    deadline = monotonic() + patience
    try:
        while True:
            last = await _last(connection)
            if last >= head or monotonic() > deadline:
                return await _read(connection, min(last, head))
            await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def _last(connection: Connection) -> int:
    found = await find_stream(connection, EV)
    return int(found["state"]["last_seq"]) if found is not None else 0


async def _read(connection: Connection, head: int) -> list[str]:
    ids: list[str] = []
    done = asyncio.Event()

    def take(_subject: bytes, _reply: bytes, header: bytes, _data: bytes) -> None:
        ids.append(decode_headers(header).get("ce-id", ""))
        if len(ids) >= head:
            done.set()

    if head == 0:
        return ids
    inbox = connection.client.new_inbox()
    listening = await connection.listen(inbox, take)
    config = {"deliver_subject": inbox, "ack_policy": "none", "deliver_policy": "all", "headers_only": True}
    made = await connection.jetstream(f"CONSUMER.CREATE.{EV}", {"stream_name": EV, "config": config})
    try:
        await done.wait()
    finally:
        await listening.stop()
        await connection.jetstream(f"CONSUMER.DELETE.{EV}.{made['name']}")
    return ids
