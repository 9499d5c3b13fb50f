"""The contract of `infra.vault.keys.KeyStore`, run against every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.memory.store import MemoryStore
from infra.memory.subjects import MemoryKeys
from infra.postgres import open_store
from infra.postgres.connection import Links
from infra.postgres.migrate import migrate
from infra.postgres.subjects import PostgresKeys
from infra.vault.keys import Erasure, KeyRow, KeyStore
from tests.contract.store_harness import event, put, write


@pytest.fixture(params=["memory", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "memory" else request.getfixturevalue("postgres_url")


@pytest.fixture
async def keys(url: str) -> AsyncIterator[KeyStore]:
    if not url:
        yield MemoryKeys(MemoryStore())
        return
    await migrate(url)
    links = Links(url, "subjects", 2, 30.0)
    try:
        yield PostgresKeys(links)
    finally:
        await links.close()


def row(id: str, subject: str, tenant: str = "default") -> KeyRow:
    return KeyRow(id, tenant, subject, b"wrapped " + id.encode(), "master", 7)


def erasure(id: str, *ids: str) -> Erasure:
    return Erasure(0, id, "default", list(ids), "user:ada", "asked for", 9, False, [])


async def test_a_subject_keeps_its_first_key(keys: KeyStore) -> None:
    assert await keys.ensure([row("a", "p1")], [("default", "p1", "book/1")]) == [row("a", "p1")]
    again = await keys.ensure([row("b", "p1"), row("c", "p2")], [("default", "p1", "book/2")])
    assert sorted(one.id for one in again) == ["a", "c"]
    assert await keys.keys(["a", "b", "c", "nobody"]) == [row("a", "p1"), row("c", "p2")]
    assert await keys.streams(["a"]) == ["book/1", "book/2"]
    assert await keys.streams(["c"]) == []


async def test_tenants_have_subjects_of_their_own(keys: KeyStore) -> None:
    await keys.ensure([row("a", "p1"), row("b", "p1", "other")], [])
    assert await keys.find("default", "p1") == row("a", "p1")
    assert await keys.find("other", "p1") == row("b", "p1", "other")
    assert await keys.subjects("other", "", 10) == [row("b", "p1", "other")]


async def test_subjects_come_by_name_a_page_at_a_time(keys: KeyStore) -> None:
    await keys.ensure([row(str(n), f"p{n}") for n in range(5)], [])
    assert [one.subject for one in await keys.subjects("default", "", 2)] == ["p0", "p1"]
    assert [one.subject for one in await keys.subjects("default", "p1", 9)] == ["p2", "p3", "p4"]


async def test_an_erased_key_is_gone_and_the_subject_gets_another(keys: KeyStore) -> None:
    await keys.ensure([row("a", "p1")], [("default", "p1", "book/1")])
    done = await keys.erase(erasure("e1", "a"))
    assert (done.number, done.keys, done.streams, done.done) == (1, ["a"], ["book/1"], False)
    assert await keys.keys(["a"]) == []
    assert await keys.find("default", "p1") is None
    assert await keys.ensure([row("b", "p1")], [("default", "p1", "book/1")]) == [row("b", "p1")]
    assert await keys.streams(["a"]) == ["book/1"]


async def test_the_same_erasure_again_is_one(keys: KeyStore) -> None:
    await keys.ensure([row("a", "p1")], [])
    first = await keys.erase(erasure("e1", "a"))
    assert await keys.erase(erasure("e1", "a")) == first
    await keys.erase(erasure("e2", "z"))
    assert [one.id for one in await keys.erasures(first.number)] == ["e2"]


async def test_a_finished_erasure_keeps_its_first_receipt(keys: KeyStore) -> None:
    done = await keys.erase(erasure("e1", "a"))
    assert await keys.receipt(done.number) is None
    await keys.finish(done.number, b"first")
    await keys.finish(done.number, b"second")
    assert await keys.receipt(done.number) == b"first"
    assert [one.done for one in await keys.erasures(0)] == [True]


async def test_which_master_keys_there_are(keys: KeyStore) -> None:
    assert await keys.masters() == set()
    await keys.ensure([row("a", "p1")], [])
    assert await keys.masters() == {"master"}


async def test_archived_events_count_too(postgres_url: str) -> None:
    await migrate(postgres_url)
    key = "0123456789abcdef" * 2
    sealed = b'{"email":{"$sealed":{"v":1,"key":"%s","box":"AA=="}}}' % key.encode()
    links = Links(postgres_url, "subjects", 2, 30.0)
    async with open_store(postgres_url, migrated=True) as store:
        await put(store, write("book/1", 0, [event(sealed), event(b"{}"), event(sealed), event(sealed)]))
        assert await store.archive(3, fewest=1) == 3
        assert (await PostgresKeys(links).count("default", [key], ["book/1"])).events == 3
    await links.close()
