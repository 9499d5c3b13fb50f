"""Bulk appends that are made at the same time: they may share a transaction, and nobody can tell."""

from __future__ import annotations

import asyncio

import pytest

from events.store import EventStore, Status
from tests.contract.store_harness import put, statuses, write

W, CONFLICT = Status.WRITTEN, Status.CONFLICT


async def test_bulk_appends_made_at_once_each_get_positions_of_their_own(store: EventStore) -> None:
    calls = [[write(f"a/{n}", 0, 3), write(f"b/{n}", 0, n)] for n in range(1, 30)]
    results = await asyncio.gather(*(store.bulk(call) for call in calls))
    log = await store.read(0, 1000)
    assert [e.position for e in log] == list(range(1, len(log) + 1))
    for call, done in zip(calls, results, strict=True):
        assert statuses(done) == [W, W]
        written = [e.id for append in call for e in append.events]
        assert [e.id for e in log[done.before : done.head]] == written
        assert [log[v.position - 1].version for v in done.verdicts] == [1, 1]


async def test_a_conflict_of_one_bulk_append_leaves_the_others_alone(store: EventStore) -> None:
    await put(store, write("a/1", 0))
    results = await asyncio.gather(
        store.bulk([write("a/2", 0, 2)]), store.bulk([write("a/1", 0, 5)]), store.bulk([write("a/3", 0, 2)])
    )
    assert [statuses(done) for done in results] == [[W], [CONFLICT], [W]]
    assert sorted(done.head - done.before for done in results) == [0, 2, 2]
    assert await store.head() == 5


async def test_bulk_appends_to_one_stream_are_written_one_after_the_other(store: EventStore) -> None:
    results = await asyncio.gather(*(store.bulk([write("a/1", 10 * n, 10)]) for n in range(8)))
    assert [statuses(done) for done in results] == [[W]] * 8
    assert [e.version for e in await store.read(0, 100)] == list(range(1, 81))


async def test_a_cancelled_bulk_append_disturbs_nobody(store: EventStore) -> None:
    tasks = [asyncio.create_task(store.bulk([write(f"a/{n}", 0, 20)])) for n in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    with pytest.raises(asyncio.CancelledError):
        await tasks[3]
    log = await store.read(0, 1000)
    assert len(log) in (180, 200)
    for n, done in enumerate(results):
        if not isinstance(done, BaseException):
            assert {e.stream for e in log[done.before : done.head]} == {f"a/{n}"}
