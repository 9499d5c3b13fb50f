"""The contract of reading the log: pages, streams, activation, the message log, blobs. Held by every adapter."""

from __future__ import annotations

import pytest

from events.chain import GENESIS
from events.store import EventStore, Snapshot, StateHash, Status
from tests.contract.store_harness import ALL, chained, event, first_answer, handled, put, tell, uid, write

BIG = bytes(range(256)) * 1024


async def test_pages_follow_each_other_without_gap_or_overlap(store: EventStore) -> None:
    await put(store, *(write(f"a/{n}", 0, 7) for n in range(10)))
    seen: list[int] = []
    while page := await store.read(seen[-1] if seen else 0, 11):
        assert len(page) <= 11
        seen += [e.position for e in page]
    assert seen == list(range(1, 71))
    assert await store.read(70, 10) == []
    assert [e.position for e in await store.read(-5, 2)] == [1, 2]


async def test_large_pages_in_sequence_are_whole_and_what_comes_meanwhile_is_seen(store: EventStore) -> None:
    await put(store, *(write(f"a/{n}", 0, 100) for n in range(11)))
    seen: list[int] = []
    for _ in range(5):
        seen += [e.position for e in await store.read(len(seen), 250)]
    assert seen == list(range(1, 1101))
    await put(store, write("a/0", 100, 300))
    for _ in range(3):
        seen += [e.position for e in await store.read(len(seen), 250)]
    assert seen == list(range(1, 1401))
    assert [e.position for e in await store.read(250, 250)] == list(range(251, 501))


async def test_a_page_can_be_of_some_types_only(store: EventStore) -> None:
    await put(store, write("a/1", 0, [event(type=t) for t in ("A", "B", "C", "A", "B")]))
    assert [(e.position, e.type) for e in await store.read(1, 2, ["A", "B"])] == [(2, "B"), (4, "A")]
    assert [e.position for e in await store.read(0, 10, ["A"])] == [1, 4]
    assert await store.read(0, 10, ["Z"]) == []
    assert await store.read(0, 10, []) == []


async def test_the_head_of_an_empty_log_is_zero(store: EventStore) -> None:
    assert await store.head() == 0
    assert await store.read(0, 10) == []


async def test_a_stream_is_read_in_part(store: EventStore) -> None:
    await put(store, write("a/1", 0, 3), write("a/2", 0, 3))
    await put(store, write("a/1", 3, 3))
    whole = await store.read_stream("default", "a/1")
    assert [(e.version, e.position) for e in whole] == [(1, 1), (2, 2), (3, 3), (4, 7), (5, 8), (6, 9)]
    assert await store.read_stream("default", "a/1", 1, 4) == whole[1:4]
    assert await store.read_stream("default", "a/1", 1, None, 2) == whole[1:3]
    assert await store.read_stream("default", "a/1", 6) == []
    assert await store.read_stream("default", "a/1", 4, 2) == []
    assert await store.read_stream("default", "nobody/1") == []
    assert await store.read_stream("other", "a/1") == []


async def test_activation_brings_the_history_and_the_head(store: EventStore) -> None:
    events = chained("a/1", 0, GENESIS, [b"1", b"2", b"3"])
    await put(store, write("a/1", 0, events), write("a/2", 0))
    one, nobody, two = await store.load([("default", "a/1", "f"), ("default", "no/1", "f"), ("default", "a/2", "f")])
    assert (one.version, one.hash, one.snapshot) == (3, events[-1].hash, None)
    assert list(one.events) == [(1, "Happened", 1, b"1"), (2, "Happened", 1, b"2"), (3, "Happened", 1, b"3")]
    assert (nobody.version, nobody.hash, nobody.snapshot, list(nobody.events)) == (0, GENESIS, None, [])
    assert two.version == 1
    assert await store.load([]) == []


async def test_activation_goes_on_from_a_snapshot_of_the_same_fold(store: EventStore) -> None:
    await put(store, write("a/1", 0, [event(b"%d" % n) for n in range(1, 11)]))
    snapshot = Snapshot("default", "a/1", 8, "fold-1", b"state at 8")
    await store.save_snapshots([snapshot])
    same, other = await store.load([("default", "a/1", "fold-1"), ("default", "a/1", "fold-2")])
    assert same.snapshot == snapshot
    assert [e[0] for e in same.events] == [9, 10]
    assert other.snapshot is None
    assert [e[0] for e in other.events] == list(range(1, 11))
    await store.save_snapshots([Snapshot("default", "a/1", 10, "fold-1", b"state at 10")])
    (at_head,) = await store.load([("default", "a/1", "fold-1")])
    assert at_head.snapshot is not None
    assert (at_head.snapshot.version, list(at_head.events), at_head.version) == (10, [], 10)


async def test_activation_tells_types_and_schema_versions_apart(store: EventStore) -> None:
    events = [event(b"1", "A", schema=1), event(b"2", "B", schema=2), event(b"3", "a:b,c.D", schema=1)]
    await put(store, write("a/1", 0, events), write("a/2", 0, [event(b"x", "odd\x1ftype")]))
    one, two = await store.load([("default", "a/1", "f"), ("default", "a/2", "f")])
    assert list(one.events) == [(1, "A", 1, b"1"), (2, "B", 2, b"2"), (3, "a:b,c.D", 1, b"3")]
    assert list(two.events) == [(1, "odd\x1ftype", 1, b"x")]


async def test_only_the_newest_snapshot_is_kept(store: EventStore) -> None:
    await put(store, write("a/1", 0, 9))
    await store.save_snapshots([Snapshot("default", "a/1", v, "f", b"%d" % v) for v in (3, 7, 5)])
    await store.save_snapshots([Snapshot("default", "a/1", 4, "f", b"late")])
    await store.save_snapshots([])
    (loaded,) = await store.load([("default", "a/1", "f")])
    assert loaded.snapshot == Snapshot("default", "a/1", 7, "f", b"7")


async def test_the_first_state_hash_of_a_version_stays(store: EventStore) -> None:
    first, second = StateHash("default", "a/1", 2, b"x", "f"), StateHash("default", "a/1", 1, b"y", "f")
    await store.save_state_hashes([first, second])
    await store.save_state_hashes([StateHash("default", "a/1", 2, b"z", "g"), StateHash("other", "a/1", 1, b"o", "f")])
    await store.save_state_hashes([])
    assert await store.state_hashes("default", "a/1") == [second, first]
    assert await store.state_hashes("default", "a/2") == []


async def test_streams_are_listed_in_order_with_their_versions(store: EventStore) -> None:
    await put(store, write("b/1", 0, 2), write("a/2", 0), write("a/10", 0), write("Z/1", 0, tenant="zed"))
    assert [s async for s in store.streams()] == [
        ("default", "a/10", 1), ("default", "a/2", 1), ("default", "b/1", 2), ("zed", "Z/1", 1)
    ]  # fmt: skip
    assert [s async for s in store.streams("zed")] == [("zed", "Z/1", 1)]
    assert [s async for s in store.streams("default")][-1] == ("default", "b/1", 2)
    assert [s async for s in store.streams("none")] == []


async def test_more_streams_than_a_page_are_all_listed(store: EventStore) -> None:
    for start in range(0, 2500, 500):
        await put(store, *(write(f"s/{n:05}", 0) for n in range(start, start + 500)))
    assert [s[1] async for s in store.streams("default")] == [f"s/{n:05}" for n in range(2500)]


async def test_the_message_log_keeps_everything_in_the_order_handled(store: EventStore) -> None:
    await put(store, write("a/1", 0, 0, handled=[handled("early", outcome="refused", answer=b"no")]))
    await put(store, write("a/1", 0, 1, handled=[handled("m1", b'{"a":1}', causation="why", told=3)]))
    await put(store, write("b/1", 0, 5, handled=[handled("elsewhere")]))
    await put(store, write("a/1", 1, 0, handled=[handled("no1", outcome="refused"), handled("no2", outcome="skipped")]))
    await put(store, write("a/1", 1, 2, handled=[handled("m2")]))
    rows = await store.messages("default", "a/1")
    assert [(m.id, m.outcome, m.version, m.position) for m in rows] == [
        (uid("m1"), "handled", 1, 1), (uid("no1"), "refused", 1, 6), (uid("no2"), "skipped", 1, 6),
        (uid("m2"), "handled", 3, 8),
    ]  # fmt: skip
    first = rows[0]
    assert (first.tenant, first.stream, first.type, first.schema, first.data) == ("default", "a/1", "Do", 1, b'{"a":1}')
    assert (first.sender, first.time, first.causation, first.correlation) == ("user:ada", 7, "why", "k")
    assert [m.told for m in rows] == [3, 0, 0, 0]
    whole = await store.messages("default", "a/1", -1)
    assert (whole[0].id, whole[0].answer) == (uid("early"), b"no")
    assert await store.messages("default", "a/1", 1) == rows[3:]


async def test_a_page_of_the_message_log_does_not_cut_a_version_in_two(store: EventStore) -> None:
    for n in range(4):
        await put(store, write("a/1", 0, 0, handled=[handled(n, outcome="refused")]))
    await put(store, write("a/1", 0, 1, handled=[handled("m")]))
    assert [m.id for m in await store.messages("default", "a/1", -1, 2)] == [uid(n) for n in range(4)]
    assert [m.id for m in await store.messages("default", "a/1", 0, 2)] == [uid("m")]


async def test_there_is_no_answer_to_what_was_not_handled(store: EventStore) -> None:
    assert await first_answer(store, uid("m")) is None
    assert await first_answer(store, "not a uuid") is None


async def test_large_bodies_come_back_whole_wherever_they_are_read(store: EventStore) -> None:
    await put(
        store,
        write(
            "a/1", 0, [event(BIG), event(b"small"), event(BIG)], handled=[handled("m", BIG)], mail=[tell("b/1", 0, BIG)]
        ),
    )
    assert [e.data for e in await store.read(0, 9)] == [BIG, b"small", BIG]
    assert [e.data for e in await store.read_stream("default", "a/1", 1)] == [b"small", BIG]
    assert [e.data for e in await store.read(0, 9, ["Happened"])] == [BIG, b"small", BIG]
    (loaded,) = await store.load([("default", "a/1", "f")])
    assert [e[3] for e in loaded.events] == [BIG, b"small", BIG]
    assert [m.data for m in await store.messages("default", "a/1")] == [BIG]
    mail, _ = await store.mail(ALL, 0, 10)
    assert [m.data for m in mail] == [BIG]
    assert [m.data for m in await store.mail_of("default", "b/1", None, 10)] == [BIG]


async def test_a_large_body_of_a_refused_append_does_not_matter(store: EventStore) -> None:
    appended = await store.append([write("a/1", 4, [event(BIG)]), write("a/2", 0, [event(BIG)])])
    assert [v.status for v in appended.verdicts] == [Status.CONFLICT, Status.WRITTEN]
    assert [e.data for e in await store.read(0, 9)] == [BIG]


@pytest.mark.parametrize("size", [0, 65_536, 65_537, 3_000_000])
async def test_bodies_of_any_size_are_kept(store: EventStore, size: int) -> None:
    data = b"\x00\xff" * (size // 2) + b"." * (size % 2)
    await put(store, write("a/1", 0, [event(data, meta=b"\x00")]))
    (got,) = await store.read(0, 1)
    assert (got.data, got.meta) == (data, b"\x00")
