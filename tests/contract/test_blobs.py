"""Every place for large values keeps the same promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from events.blobs import Blobs
from events.errors import NotFound, TooLarge
from infra.memory.blobs import MemoryBlobs
from infra.memory.bus import MemoryBus
from infra.nats.blobs import BusBlobs, ServedBlobs
from infra.postgres.blobs import PostgresBlobs
from infra.postgres.connection import Links
from infra.postgres.migrate import migrate
from infra.postgres.store import open_store


@pytest.fixture(params=["memory", "bus", "postgres"])
def where(request: pytest.FixtureRequest) -> str:
    """An adapter's name, or the URL of a database."""
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else request.param


@pytest.fixture
async def blobs(where: str) -> AsyncIterator[Blobs]:
    if where == "memory":
        yield MemoryBlobs()
    elif where == "bus":
        bus = MemoryBus()
        served = ServedBlobs(bus, MemoryBlobs())
        await served.start()
        yield BusBlobs(bus)
        await served.stop()
    else:
        await migrate(where)
        links = Links(where, "blobs", 1, 30.0)
        yield PostgresBlobs(links)
        await links.close()


async def test_bytes_are_found_by_their_hash(blobs: Blobs) -> None:
    data = b"\x00\xff" * 100_000
    name = await blobs.put(data)
    assert name == sha256(data).hexdigest()
    assert await blobs.get(name) == data


async def test_the_same_bytes_again_have_the_same_name(blobs: Blobs) -> None:
    assert await blobs.put(b"x") == await blobs.put(b"x")


@pytest.mark.parametrize("name", ["00" * 32, "no name"])
async def test_what_was_never_put_is_not_found(blobs: Blobs, name: str) -> None:
    with pytest.raises(NotFound):
        await blobs.get(name)


async def test_more_than_a_message_holds_is_too_large_for_the_bus() -> None:
    bus = MemoryBus()
    served = ServedBlobs(bus, MemoryBlobs())
    await served.start()
    with pytest.raises(TooLarge):
        await BusBlobs(bus).put(b"x" * 9_000_000)
    await served.stop()


async def test_pruning_leaves_what_was_put(postgres_url: str) -> None:
    async with open_store(postgres_url) as store:
        links = Links(postgres_url, "blobs", 1, 30.0)
        name = await PostgresBlobs(links).put(b"kept" * 20_000)
        await store.prune(2**60)
        assert await PostgresBlobs(links).get(name) == b"kept" * 20_000
        await links.close()
