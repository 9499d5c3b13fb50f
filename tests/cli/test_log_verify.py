"""`thespis log verify` on a real Postgres: a log somebody lived in is clean, and every damage to it is named."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from gateway.proof import Check
from gateway.proof.verifying import verify
from infra.postgres import open_store
from infra.postgres.audit import open_audit
from infra.postgres.connection import Connection, connect
from tests.cli.lived import live
from tests.servers import Postgres, run


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Connection]:
    connection = await connect(url, "test")
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


@pytest.fixture(scope="module")
def lived(postgres_shared: Postgres) -> Iterator[str]:
    """The DSN of a database with that history, to be copied."""
    url = run(postgres_shared.create())
    asyncio.run(live(url))
    yield url
    run(postgres_shared.drop(url))


@pytest.fixture
def copy(postgres_shared: Postgres, lived: str) -> Iterator[str]:
    """The DSN of a copy of it, to be damaged."""
    name = f"damaged_{os.getpid()}"
    url = urlsplit(lived)._replace(path=f"/{name}").geturl()

    async def execute(*statements: str) -> None:
        async with connected(postgres_shared.url) as connection:
            for statement in statements:
                await connection.execute(statement)

    drop = f"drop database if exists {name} (force)"
    asyncio.run(execute(drop, f"create database {name} template {urlsplit(lived).path[1:]}"))
    yield url
    asyncio.run(execute(drop))


async def damage(url: str, statement: str) -> None:
    async with connected(url) as connection:
        await connection.execute("set search_path to thespis")
        done = await connection.execute(statement)
        assert done.split()[-1] != "0", "the damage met nothing"


async def look(url: str, window: int = 200_000, last: int | None = None) -> list[Check]:
    async with open_audit(url) as audit:
        return await verify(audit, lambda _events: None, last=last, window=window)


def failed(checks: list[Check]) -> dict[str, list[str]]:
    return {check.statement: check.faults for check in checks if not check.passed}


@pytest.mark.parametrize("window", [200_000, 2])
@pytest.mark.parametrize("last", [None, 7])
def test_a_log_somebody_lived_in_is_clean(lived: str, window: int, last: int | None) -> None:
    checks = asyncio.run(look(lived, window, last))
    assert failed(checks) == {}
    assert len(checks) == (18 if last is None else 7)


def test_a_log_that_forgot_and_moved_its_past_is_clean(copy: str) -> None:
    async def forget() -> None:
        async with open_store(copy, migrated=True) as store:
            head = await store.head()
            newest = (await store.read(head - 1, 1))[0]
            await store.prune(newest.recorded_at)
            assert await store.archive(head - 5, fewest=1) > 5

    asyncio.run(forget())
    checks = {check.statement: check for check in asyncio.run(look(copy))}
    assert failed(list(checks.values())) == {}
    assert "remembered since" in checks[DECIDED].over
    assert "which are archived" in checks[SENT].over
    assert "decided since" in checks[TOLD].over


POSITIONS, VERSIONS, CHAINS, IDS, CAUSES, ORDER, EPOCHS = (
    "positions are gapless and in order",
    "versions of every stream are gapless",
    "the hash chain of every stream is intact",
    "no event is recorded twice",
    "every cause comes before what it caused",
    "tells of one sender to one receiver were handled in the order decided",
    "no two epochs of a partition overlap",
)
ONCE, TOLD, SENT, ROUTED, DECIDED = (
    "every tell was handled once, or waits",
    "every tell that was sent was handled, or waits",
    "every tell was sent by an event of its sender",
    "every tell of a subscription was handled, or waits",
    "every message handled stands behind its events, and every event behind a message",
)
EFFECTS, TIMERS, BLOBS, SHORTCUTS, FORKS, PLACES = (
    "every effect has one outcome, or is open",
    "every timer fired at most once, or is pending",
    "every large body is there, under its own hash",
    "snapshots and state hashes are of versions that exist",
    "every fork goes on from a version that exists",
    "what waits lies in the partition of its actor",
)

_NOTE = "(select id from messages where type = 'Note' and outcome = 'handled' order by version limit 1)"
_ENDED = "(select id from messages where type = 'Outcome' and stream = 'clerk/a' order by version limit 1)"
_MIDDLE = "(select position from events where type = 'Begun' and data = '{\"n\":3}')"
_COLUMNS = "tenant, stream, type, schema, data, blob, sender, time, causation, correlation"

DAMAGE = [
    (POSITIONS, f"delete from events where position = {_MIDDLE}", "follows position"),
    (VERSIONS, f"delete from events where position = {_MIDDLE}", "(clerk/a version "),
    (VERSIONS, "update events set version = version + 100 where stream = 'feed/shop'", "(feed/shop version 101)"),
    (CHAINS, f"update events set data = '{{\"n\":4}}' where position = {_MIDDLE}", "does not continue its chain"),
    (CHAINS, f"update events set hash = sha256(hash) where position = {_MIDDLE}", "does not continue its chain"),
    (CHAINS, "update events set causation = id where stream = 'feed/shop'", "(feed/shop version 1)"),
    (
        IDS,
        f"update events set id = (select id from events where position = 1) where position = {_MIDDLE}",
        "has the id",
    ),
    (
        CAUSES,
        "update events set causation = (select id from events order by position desc limit 1) where position = 2",
        "position 2 was caused by the later position ",
    ),
    (EPOCHS, f"update events set epoch = epoch + 1 where position = {_MIDDLE}", "which it never had"),
    (
        EPOCHS,
        "insert into epochs select partition, epoch + 1, 'zombie', 0, claimed_at from epochs",
        "which ended at position 0",
    ),
    (
        EPOCHS,
        "insert into epochs select partition, epoch + 1, 'zombie', -1, claimed_at + 1 from epochs where partition = 7",
        "partition 7: epoch 2 was claimed at position -1, before epoch 1 at position 0",
    ),
    (
        ONCE,
        f"insert into mailbox (partition, position, ordinal, id, {_COLUMNS})"
        f" select 1, 1, 0, id, {_COLUMNS} from messages where id = {_NOTE}",
        "was handled at its version 1",
    ),
    (
        ONCE,
        f"insert into mailbox (partition, position, ordinal, id, {_COLUMNS})"
        f" select partition, position, 99, id, {_COLUMNS} from mailbox",
        "waits 2 times for desk/0",
    ),
    (
        SENT,
        "insert into messages select (jsonb_populate_record(m, jsonb_build_object('id', gen_random_uuid()))).*"
        f" from messages m where id = {_NOTE}",
        "is none of those that the decision at position ",
    ),
    (SENT, f"update messages set sender = 'desk/0' where id = {_NOTE}", "of desk/0 was caused by an event of clerk/a"),
    (SENT, "update mailbox set causation = 'nobody'", "names nobody as its cause, which is no event"),
    (TOLD, "delete from mailbox", "(version 1): of the tells "),
    (TOLD, f"delete from messages where id = {_NOTE}", "clerk/a told 1 when it decided message "),
    (TOLD, "delete from messages where type = 'TellRefused'", ", 0 were handled or wait"),
    (
        TOLD,
        "insert into messages select (jsonb_populate_record(m, jsonb_build_object('id', overlay(id::text placing '0fff'"
        f" from 33)))).* from messages m where id = {_NOTE}",
        ", 2 were handled or wait",
    ),
    (ROUTED, "delete from messages where stream = 'board/all' and version = 2", "router/board sent 5 tells, 4 were"),
    (DECIDED, f"delete from messages where id = {_ENDED}", "was decided on a message that is not in the message log"),
    (DECIDED, f"update messages set version = version + 100 where id = {_NOTE}", ", which is not in the log"),
    (DECIDED, f"update messages set position = position - 1 where id = {_NOTE}", ", but that is position "),
    (EFFECTS, "delete from effects where status = 'failed'", ", but there is no such effect"),
    (EFFECTS, f"delete from messages where id = {_ENDED}", " and delivered, but no such outcome was handled"),
    (EFFECTS, "update effects set delivered = false where status = 'unknown'", "and open, but its outcome was handled"),
    (EFFECTS, "update effects set causation = 'nobody' where not delivered", "names nobody as the event that asked"),
    (EFFECTS, "update effects set status = 'failed' where status = 'unknown'", "is failed and delivered, but no such"),
    (
        EFFECTS,
        "insert into messages select (jsonb_populate_record(m, jsonb_build_object('id', overlay(id::text placing '0000'"
        f" from 33)))).* from messages m where id = {_ENDED}",
        " has 2 outcomes, at the versions ",
    ),
    (
        TIMERS,
        "update timers set id = (select id::text from messages where type = 'Later' and stream = 'clerk/a' limit 1)"
        " where stream = 'clerk/a'",
        "timer far of clerk/a is pending and fired already, at version ",
    ),
    (TIMERS, "update timers set causation = 'x' where stream = 'clerk/a'", "timer far of clerk/a names x as the event"),
    (BLOBS, "update blobs set data = data || 'x'::bytea", "is not what it was: its bytes hash to "),
    (BLOBS, "delete from blobs", "(desk/2 version 1): its body "),
    (CHAINS, "delete from blobs", "(desk/2 version 1) has no body: its blob is missing"),
    (SHORTCUTS, "update snapshots set version = 1000", "a snapshot of clerk/a is of version 1000, which is not in the"),
    (SHORTCUTS, "update state_hashes set version = version + 1000", "a state hash of clerk/a is of version "),
    (FORKS, "delete from forks", "(clerk/b version 6) begins a fork, but of what is not known"),
    (FORKS, "update forks set version = 4", "the fork clerk/b goes on from version 4 of clerk/a, but its own first"),
    (
        PLACES,
        "update timers set partition = (partition + 1) % 64 where stream = 'clerk/a'",
        "a timer of clerk/a lies in",
    ),
    (PLACES, "update mailbox set partition = (partition + 1) % 64", "a tell of desk/0 lies in partition "),
]


@pytest.mark.parametrize(("statement", "harm", "words"), DAMAGE, ids=[f"{n}-{d[0][:24]}" for n, d in enumerate(DAMAGE)])
def test_every_damage_is_found_and_named(copy: str, statement: str, harm: str, words: str) -> None:
    asyncio.run(damage(copy, harm))
    for window in (200_000, 2):
        found = failed(asyncio.run(look(copy, window)))
        assert statement in found
        assert any(words in fault for fault in found[statement]), found[statement]
