"""Many hosts at once: one order, no hole, nothing twice. Held by every adapter."""

from __future__ import annotations

import asyncio
from collections import Counter

from events.chain import GENESIS, link
from events.envelope import Event
from events.store import EventStore, MailKey, Status
from tests.contract.store_harness import ALL, TENANT, Harness, chained, first_answer, handled, put, tell, uid, write

WRITERS = 4


async def follow(store: EventStore, until: asyncio.Event) -> list[Event]:
    """Read the log as it grows, a page at a time, until the writers are done and nothing is left."""
    seen: list[Event] = []
    while True:
        finished = until.is_set()
        page = await store.read(len(seen), 50)
        assert [e.position for e in page] == list(range(len(seen) + 1, len(seen) + len(page) + 1))
        seen += page
        if finished and not page:
            return seen
        await asyncio.sleep(0)


async def test_readers_never_see_a_hole_or_a_late_arrival(harness: Harness) -> None:
    stores = [await harness.open() for _ in range(WRITERS)]
    done = asyncio.Event()
    readers = [asyncio.create_task(follow(await harness.open(), done)) for _ in range(2)]

    async def writer(n: int) -> None:
        for v in range(40):
            batch = [write(f"w/{n}", v, 1), write(f"w/{n}-conflict", 99), write(f"w/{n}-{v}", 0, v % 4)]
            appended = await stores[n].append(batch)
            assert [x.status for x in appended.verdicts] == [Status.WRITTEN, Status.CONFLICT, Status.WRITTEN]
            assert appended.head == appended.before + 1 + v % 4

    await asyncio.gather(*(writer(n) for n in range(WRITERS)))
    done.set()
    logs = await asyncio.gather(*readers)
    assert logs[0] == logs[1] == await stores[0].read(0, 10_000)
    assert len(logs[0]) == WRITERS * (40 + sum(v % 4 for v in range(40)))
    times = [e.recorded_at for e in logs[0]]
    assert times == sorted(times)


async def test_a_hot_stream_has_one_writer_per_version(harness: Harness) -> None:
    stores = [await harness.open() for _ in range(WRITERS)]

    async def writer(store: EventStore, want: int) -> None:
        won = 0
        while won < want:
            (loaded,) = await store.load([(TENANT, "hot/1", "f")])
            events = chained("hot/1", loaded.version, loaded.hash, [b"x", b"y"])
            appended = await store.append([write("hot/1", loaded.version, events)])
            won += appended.verdicts[0].status == Status.WRITTEN

    await asyncio.gather(*(writer(store, 15) for store in stores))
    events = await stores[0].read_stream(TENANT, "hot/1")
    assert [e.version for e in events] == list(range(1, 2 * 15 * WRITERS + 1))
    previous = GENESIS
    for e in events:
        assert e.hash == link(previous, TENANT, "hot/1", e.version, e.id, e.type, e.schema, e.causation, e.data)
        previous = e.hash


async def test_a_message_sent_to_every_host_is_handled_by_one(harness: Harness) -> None:
    stores = [await harness.open() for _ in range(WRITERS)]
    outcomes: Counter[Status] = Counter()

    async def writer(n: int) -> None:
        for m in range(25):
            one = handled(f"m{m}", answer=b"%d" % n)
            (verdict,) = (await stores[n].append([write(f"a/{n}-{m}", 0, 1, handled=[one])])).verdicts
            outcomes[verdict.status] += 1
            if verdict.status == Status.DUPLICATE:
                assert verdict.first == await first_answer(stores[n], uid(f"m{m}"))

    await asyncio.gather(*(writer(n) for n in range(WRITERS)))
    assert outcomes == {Status.WRITTEN: 25, Status.DUPLICATE: 25 * (WRITERS - 1)}
    assert await stores[0].head() == 25


async def test_a_tell_read_by_every_host_is_consumed_by_one(harness: Harness) -> None:
    stores = [await harness.open() for _ in range(WRITERS)]
    for n in range(5):
        await put(stores[0], write("a/1", n, 1, mail=[tell(f"b/{n}-{o}", o) for o in range(8)]))
    taken: list[MailKey] = []

    async def taker(n: int) -> None:
        mail, _ = await stores[n].mail(ALL, 0, 100)
        for m in mail:
            key = MailKey(m.partition, m.position, m.ordinal)
            appended = await stores[n].append([write(f"t/{n}", 0, 0, taken=[key])])
            if appended.verdicts[0].status == Status.WRITTEN:
                taken.append(key)
            else:
                assert appended.verdicts[0].status == Status.GONE

    await asyncio.gather(*(taker(n) for n in range(WRITERS)))
    assert len(taken) == len(set(taken)) == 40
    assert (await stores[0].mail(ALL, 0, 100))[0] == []


async def test_a_claim_orders_with_appends(harness: Harness) -> None:
    old, new = await harness.open(), await harness.open()
    await old.join("old", 60, b"")
    await old.claim("old", ALL)
    written: list[int] = []
    under_way, stopped = asyncio.Event(), asyncio.Event()

    async def write_until_fenced() -> None:
        version = 0
        while True:
            appended = await old.append([write("a/1", version, epoch=1)])
            if appended.verdicts[0].status == Status.FENCED:
                return stopped.set()
            assert appended.verdicts[0].status == Status.WRITTEN
            written.append(appended.head)
            version += 1
            if version == 5:
                under_way.set()

    task = asyncio.create_task(write_until_fenced())
    await under_way.wait()
    await new.release("old", ALL)
    await new.join("new", 60, b"")
    await new.claim("new", ALL)
    head = await new.head()
    assert (await new.append([write("a/2", 0, epoch=2)])).verdicts[0].status == Status.WRITTEN
    await asyncio.wait_for(stopped.wait(), 30)
    await task
    assert max(written) == head, "nothing of the old epoch was written after the claim"
    assert await new.head() == head + 1


async def test_appends_given_up_by_their_caller_leave_the_log_whole(harness: Harness) -> None:
    stores = [await harness.open() for _ in range(2)]

    async def impatient(n: int) -> None:
        for v in range(30):
            task = asyncio.create_task(stores[n].append([write(f"a/{n}-{v}", 0, 3), write(f"b/{n}-{v}", 0, 2)]))
            for _ in range(v % 7):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

    async def patient() -> None:
        for v in range(30):
            await put(stores[v % 2], write("p/1", 2 * v, 2))

    await asyncio.gather(impatient(0), impatient(1), patient())
    log = await stores[0].read(0, 10_000)
    assert [e.position for e in log] == list(range(1, len(log) + 1))
    assert [e.version for e in log if e.stream == "p/1"] == list(range(1, 61))
    sizes = Counter(e.stream for e in log if e.stream != "p/1")
    for stream, size in sizes.items():
        assert size == (3 if stream[0] == "a" else 2)
    assert {s[2:] for s in sizes if s[0] == "a"} == {s[2:] for s in sizes if s[0] == "b"}, "a batch is one transaction"
