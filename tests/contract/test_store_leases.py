"""The contract of ownership: leases, claims, epochs, strikes. Held by every adapter."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from events.epochs import Reigns
from events.errors import NotOwned
from events.store import EventStore, Status
from tests.contract.store_harness import ALL, TENANT, Harness, put, statuses, write


async def owners(store: EventStore, host: str) -> dict[int, tuple[str | None, int]]:
    _, leases = await store.heartbeat(host)
    return {lease.partition: (lease.owner, lease.epoch) for lease in leases}


async def test_a_host_claims_what_nobody_owns(store: EventStore) -> None:
    await store.join("h1", 60, b'{"url":"x"}')
    assert await store.claim("h1", [3, 1, 2]) == {1: 1, 2: 1, 3: 1}
    hosts, leases = await store.heartbeat("h1")
    assert [(h.id, h.alive, h.info) for h in hosts] == [("h1", True, b'{"url":"x"}')]
    assert hosts[0].started_at > 0
    assert [lease.partition for lease in leases] == list(ALL)
    assert [lease.partition for lease in leases if lease.owner == "h1"] == [1, 2, 3]


async def test_what_somebody_alive_owns_cannot_be_claimed(store: EventStore) -> None:
    await store.join("h1", 60, b"")
    await store.join("h2", 60, b"")
    assert await store.claim("h1", [1, 2]) == {1: 1, 2: 1}
    assert await store.claim("h2", [2, 3]) == {3: 1}
    assert await store.claim("h1", [1, 2]) == {}


async def test_partitions_of_a_dead_host_are_claimed_under_a_new_epoch(harness: Harness, store: EventStore) -> None:
    await store.join("h1", 60, b"")
    await store.claim("h1", ALL)
    await harness.expire("h1")
    await store.join("h2", 60, b"")
    assert await store.claim("h2", [5, 6]) == {5: 2, 6: 2}
    hosts, _ = await store.heartbeat("h2")
    assert [(h.id, h.alive) for h in hosts] == [("h1", False), ("h2", True)]


async def test_a_host_whose_lease_ran_out_learns_it_and_stays_silent(harness: Harness, store: EventStore) -> None:
    await store.join("h1", 60, b"")
    await store.claim("h1", ALL)
    await harness.expire("h1")
    for late in (store.heartbeat("h1"), store.claim("h1", [1])):
        with pytest.raises(NotOwned, match="h1"):
            await late
    await store.join("h2", 60, b"")
    await store.claim("h2", ALL)
    assert statuses(await store.append([write("a/1", 0, epoch=1)])) == [Status.FENCED]
    assert statuses(await store.append([write("a/1", 0, epoch=2)])) == [Status.WRITTEN]


async def test_joining_again_starts_without_partitions(harness: Harness, store: EventStore) -> None:
    await store.join("h1", 60, b"")
    await store.claim("h1", [1, 2])
    await harness.expire("h1")
    await store.join("h1", 60, b"")
    assert (await owners(store, "h1"))[1] == (None, 1)
    assert await store.claim("h1", [1]) == {1: 2}


async def test_released_partitions_are_free_at_once(store: EventStore) -> None:
    await store.join("h1", 60, b"")
    await store.join("h2", 60, b"")
    await store.claim("h1", [1, 2, 3])
    await store.release("h1", [1, 2])
    await store.release("h2", [3])
    assert await store.claim("h2", [1, 2, 3]) == {1: 2, 2: 2}


async def test_an_epoch_holds_until_somebody_else_claims(store: EventStore) -> None:
    await store.join("h1", 60, b"")
    await store.claim("h1", ALL)
    await store.release("h1", ALL)
    assert statuses(await store.append([write("a/1", 0, epoch=1)])) == [Status.WRITTEN]


async def test_a_host_that_leaves_frees_everything_and_is_forgotten(store: EventStore) -> None:
    await store.join("h1", 60, b"")
    await store.claim("h1", [1])
    await store.leave("h1")
    await store.leave("never")
    await store.join("h2", 60, b"")
    hosts, _ = await store.heartbeat("h2")
    assert [h.id for h in hosts] == ["h2"]
    assert await store.claim("h2", [1]) == {1: 2}
    with pytest.raises(NotOwned):
        await store.heartbeat("h1")


async def test_of_two_that_claim_at_once_one_gets_each_partition(harness: Harness) -> None:
    hosts = [await harness.open() for _ in range(4)]
    await asyncio.gather(*(s.join(f"h{n}", 60, b"") for n, s in enumerate(hosts)))
    claims = await asyncio.gather(*(s.claim(f"h{n}", ALL) for n, s in enumerate(hosts)))
    taken = [partition for claim in claims for partition in claim]
    assert sorted(taken) == list(ALL)


async def test_strikes_are_counted_by_message(store: EventStore) -> None:
    assert await store.strike(TENANT, "a/1", "m1", "died") == 1
    assert await store.strike(TENANT, "a/1", "m1", "died again") == 2
    assert await store.strike(TENANT, "a/1", "m2", "hung") == 1
    assert await store.strike(TENANT, "a/2", "m1", "x") == 1
    assert await store.strikes(2) == {(TENANT, "a/1", "m1"): 2}
    assert set(await store.strikes(1)) == {(TENANT, "a/1", "m1"), (TENANT, "a/1", "m2"), (TENANT, "a/2", "m1")}
    assert await store.strikes(3) == {}


async def test_every_claim_is_remembered_with_the_head_it_met(harness: Harness, store: EventStore) -> None:
    assert await store.epochs() == []
    await store.join("h1", 60, b"")
    await store.claim("h1", [7, 9])
    await put(store, write("a/1", 0, 3))
    await store.release("h1", [9])
    await store.claim("h1", [9])
    await store.claim("h1", [9])
    claims = await store.epochs()
    assert [(e.partition, e.epoch, e.owner, e.position) for e in claims] == [
        (7, 1, "h1", 0), (9, 1, "h1", 0), (9, 2, "h1", 3),
    ]  # fmt: skip
    assert 0 < claims[0].claimed_at <= claims[2].claimed_at
    assert await store.epochs(9) == claims[1:]
    assert await store.epochs(3) == []


async def test_the_claims_show_that_no_two_epochs_overlapped(store: EventStore) -> None:
    for epoch in (1, 2, 3):
        await store.join(f"h{epoch}", 60, b"")
        await store.claim(f"h{epoch}", ALL)
        await put(store, *(write(f"a/{n}", epoch - 1, epoch=epoch) for n in range(5)))
        await store.leave(f"h{epoch}")
    await put(store, write("import/1", 0))
    reigns = Reigns(await store.epochs())
    events = await store.read(0, 100)
    assert reigns.faults == []
    assert [reigns.fault(event) for event in events] == [None] * 16
    early, late = replace(events[0], epoch=2), replace(events[-2], epoch=1)
    assert "claimed only at 5" in (reigns.fault(early) or "")
    assert "ended at 5" in (reigns.fault(late) or "")
    assert "nobody claimed" in (reigns.fault(replace(late, epoch=4)) or "")
    assert "follows epoch 1" in Reigns([e for e in await store.epochs(3) if e.epoch != 2]).faults[0]
