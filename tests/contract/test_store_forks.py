"""The contract of forks: a stream that goes on from a version of another one. Held by every adapter."""

from __future__ import annotations

from events.store import EventStore, NewEffect, Snapshot, Status
from tests.contract.store_harness import TENANT, event, put, statuses, write

W, CONFLICT = Status.WRITTEN, Status.CONFLICT


async def history(store: EventStore, stream: str, *part: int | None) -> list[tuple[int, bytes]]:
    return [(e.version, e.data) for e in await store.read_stream(TENANT, stream, *part)]


async def test_a_fork_is_read_through_its_source(store: EventStore) -> None:
    await put(store, write("a/1", 0, [event(b"%d" % n) for n in (1, 2, 3, 4)]))
    await put(store, write("a/2", 2, [event(b"f"), event(b"g")], fork_of=("a/1", 2)))
    await put(store, write("a/1", 4, [event(b"5")]))
    assert await history(store, "a/2") == [(1, b"1"), (2, b"2"), (3, b"f"), (4, b"g")]
    assert await history(store, "a/2", 1) == [(2, b"2"), (3, b"f"), (4, b"g")]
    assert await history(store, "a/2", 0, 1) == [(1, b"1")]
    assert await history(store, "a/2", 1, 3) == [(2, b"2"), (3, b"f")]
    assert await history(store, "a/2", 0, None, 3) == [(1, b"1"), (2, b"2"), (3, b"f")]
    assert await history(store, "a/2", 2) == [(3, b"f"), (4, b"g")]
    assert await history(store, "a/2", 9) == []
    assert [(e.stream, e.version) for e in await store.read(0, 100)][4:6] == [("a/2", 3), ("a/2", 4)]


async def test_a_fork_is_activated_with_its_prefix(store: EventStore) -> None:
    await put(store, write("a/1", 0, [event(b"%d" % n) for n in (1, 2, 3)]))
    await put(store, write("a/2", 2, [event(b"f", hash=b"F" * 32)], fork_of=("a/1", 2)))
    (loaded,) = await store.load([(TENANT, "a/2", "fold")])
    assert (loaded.version, loaded.hash) == (3, b"F" * 32)
    assert [(v, d) for v, _, _, d in loaded.events] == [(1, b"1"), (2, b"2"), (3, b"f")]
    await store.save_snapshots([Snapshot(TENANT, "a/2", 1, "fold", b"s")])
    (loaded,) = await store.load([(TENANT, "a/2", "fold")])
    assert [v for v, _, _, _ in loaded.events] == [2, 3]


async def test_a_fork_of_a_fork_goes_back_to_the_beginning(store: EventStore) -> None:
    await put(store, write("a/1", 0, [event(b"%d" % n) for n in (1, 2, 3)]))
    await put(store, write("a/2", 2, [event(b"x"), event(b"y")], fork_of=("a/1", 2)))
    await put(store, write("a/3", 3, [event(b"z")], fork_of=("a/2", 3)))
    await put(store, write("a/4", 1, [event(b"w")], fork_of=("a/3", 1)))
    assert await history(store, "a/3") == [(1, b"1"), (2, b"2"), (3, b"x"), (4, b"z")]
    assert await history(store, "a/4") == [(1, b"1"), (2, b"w")]
    (loaded,) = await store.load([(TENANT, "a/3", "fold")])
    assert [d for _, _, _, d in loaded.events] == [b"1", b"2", b"x", b"z"]


async def test_a_fork_goes_on_as_a_stream_of_its_own(store: EventStore) -> None:
    await put(store, write("a/1", 0, 3))
    await put(store, write("a/2", 2, 1, fork_of=("a/1", 2)))
    assert statuses(await store.append([write("a/2", 3, 1), write("a/1", 3, 1)])) == [W, W]
    assert [s async for s in store.streams()] == [(TENANT, "a/1", 4), (TENANT, "a/2", 4)]


async def test_a_fork_needs_a_new_name_and_a_version_that_was_reached(store: EventStore) -> None:
    await put(store, write("a/1", 0, 3), write("a/9", 0, 1))
    batch = [
        write("a/2", 4, 1, fork_of=("a/1", 4)),
        write("a/9", 1, 1, fork_of=("a/1", 1)),
        write("a/3", 1, 1, fork_of=("no/1", 1)),
        write("a/4", 1, 1, fork_of=("a/1", 2)),
        write("a/6", 0, 1, fork_of=("a/6", 0)),
        write("a/5", 3, 1, fork_of=("a/1", 3)),
    ]
    assert statuses(await store.append(batch)) == [CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, W]
    assert statuses(await store.append([write("a/6", 0, 1, fork_of=("a/6", 0))])) == [CONFLICT]
    assert statuses(await store.append([write("a/5", 3, 1, fork_of=("a/1", 3))])) == [CONFLICT]


async def test_a_fork_sees_what_its_batch_wrote_before_it(store: EventStore) -> None:
    batch = [write("a/1", 0, 2), write("a/2", 2, 1, fork_of=("a/1", 2)), write("a/3", 3, 1, fork_of=("a/2", 3))]
    assert statuses(await store.append(batch)) == [W, W, W]
    assert [e.version for e in await store.read_stream(TENANT, "a/3")] == [1, 2, 3, 4]


async def test_a_fork_that_names_an_effect_twice_is_not_written(store: EventStore) -> None:
    fork = write("a/2", 0, 1, fork_of=("a/1", 0))
    fork.effects = [NewEffect("e1", "http", "keyed", "k", b"{}", 7, "c", "k") for _ in range(2)]
    assert statuses(await store.append([fork])) == [CONFLICT]
    assert await store.effect("e1") is None
