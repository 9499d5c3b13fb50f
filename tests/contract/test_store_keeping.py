"""The contract of housekeeping: what is forgotten, what never, and how much there is. Held by every adapter."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from events.errors import InvalidData
from events.store import EXPIRED, EffectChange, EventStore, MailKey, NewEffect, NewTimer, Pruned, StateHash, Status
from tests.contract.store_harness import ALL, TENANT, Harness, first_answer, handled, put, statuses, tell, uid, write

EVER = 2**62
"""A time after everything."""
BIG = b'"' + b"x" * 70_000 + b'"'
BIGGER = b'"' + b"y" * 70_000 + b'"'


async def kept(store: EventStore, stream: str) -> list[str]:
    return [message.id for message in await store.messages(TENANT, stream, -1)]


async def test_nothing_is_forgotten_before_its_time(store: EventStore) -> None:
    await put(store, write("a/1", 0, handled=[handled(1), handled(2, guarded=True)]))
    assert await store.prune(1) == Pruned()
    assert await kept(store, "a/1") == [uid(1), uid(2)]
    assert (await store.figures()).horizon == 1


async def test_a_message_that_came_with_a_row_is_deleted(store: EventStore) -> None:
    await put(store, write("a/1", 0, handled=[handled(1, guarded=True), handled(2, guarded=True)]))
    assert await store.prune(EVER) == Pruned(deleted=2)
    assert (await kept(store, "a/1"), await store.answers([uid(1)])) == ([], {})


@pytest.mark.parametrize("body", [b"{}", b"another"])
async def test_a_message_from_outside_is_refused_as_expired_ever_after(store: EventStore, body: bytes) -> None:
    await put(store, write("b/1", 0, 3), write("a/1", 0, 2, handled=[handled("m", answer=b"first")]))
    assert await store.prune(EVER) == Pruned(expired=1)
    (verdict,) = (await store.append([write("a/1", 2, handled=[handled("m", body)])])).verdicts
    assert (verdict.status, verdict.message) == (Status.DUPLICATE, uid("m"))
    first = verdict.first
    assert first is not None
    assert (first.outcome, first.data, first.position, first.version) == (EXPIRED, None, 5, 2)
    assert await first_answer(store, uid("m")) == first
    assert await kept(store, "a/1") == []
    assert await store.prune(EVER) == Pruned()


async def test_what_is_left_of_a_stream_has_no_gap(harness: Harness, store: EventStore) -> None:
    await put(store, write("a/1", 0, handled=[handled(1), handled(2, guarded=True)]))
    await put(store, write("a/2", 0, handled=[handled(3)]))
    await harness.later()
    between = (await store.append([write("c/1", 0)])).recorded_at
    await put(store, write("a/1", 1, handled=[handled(4, guarded=True)]), write("a/1x", 0, handled=[handled(5)]))
    await put(store, write("a/1", 2, 0, handled=[handled(6)]))
    assert await store.prune(between) == Pruned(deleted=1, expired=2)
    assert await kept(store, "a/1") == [uid(4), uid(6)]
    assert (await kept(store, "a/2"), await kept(store, "a/1x")) == ([], [uid(5)])
    figures = await store.figures()
    assert (figures.horizon, figures.head) == (between, 5)


async def test_more_than_a_page_is_forgotten(store: EventStore) -> None:
    for n in range(3):
        batch = [write(f"a/{n}x{k}", 0, handled=[handled((n, k), guarded=n == 1)]) for k in range(150)]
        await put(store, *batch)
    await put(store, write("hot/1", 0, handled=[handled(("hot", n), guarded=n % 2 == 0) for n in range(4100)]))
    assert await store.prune(EVER) == Pruned(deleted=150 + 2050, expired=300 + 2050)
    assert await kept(store, "hot/1") == []


async def test_events_and_whatever_waits_are_never_touched(store: EventStore) -> None:
    effect = NewEffect("e1", "http", "keyed", "k", b"{}", 7, "c", "k")
    timer = NewTimer("t", "t1", 99, "Wake", 1, b"{}", "c", "k")
    await put(store, write("a/1", 0, 2, handled=[handled()], mail=[tell("b/1")], effects=[effect], timers=[timer]))
    before = (await store.read(0, 10), await store.mail(ALL, 0, 9), await store.effects(ALL, "", 9))
    await store.prune(EVER)
    assert (await store.read(0, 10), await store.mail(ALL, 0, 9), await store.effects(ALL, "", 9)) == before
    assert len(await store.timers_of(TENANT, "a/1")) == 1
    await put(store, write("a/1", 2, 1, changes=[EffectChange("e1", "failed", "1.1", b"", True)]))


async def test_bodies_live_as_long_as_something_refers_to_them(store: EventStore) -> None:
    await put(store, write("a/1", 0, handled=[handled(1, BIG, guarded=True)], mail=[tell("b/1", data=BIGGER)]))
    await store.prune(EVER)
    ((mail,), _) = await store.mail(ALL, 0, 10)
    assert mail.data == BIGGER
    key = MailKey(mail.partition, mail.position, mail.ordinal)
    await put(store, write("b/1", 0, handled=[handled(2, BIGGER)], taken=[key]))
    assert [m.data for m in await store.messages(TENANT, "b/1")] == [BIGGER]
    await store.prune(1)
    assert [m.data for m in await store.messages(TENANT, "b/1")] == [BIGGER]
    await store.prune(EVER)
    await put(store, write("c/1", 0, handled=[handled(3, BIG)]))
    assert [m.data for m in await store.messages(TENANT, "c/1")] == [BIG]


async def test_strikes_go_when_their_message_was_handled_or_is_long_gone(store: EventStore) -> None:
    await put(store, write("s/1", 0, mail=[tell("a/1", id=uid("waits")), tell("a/2", 1, id=uid("elsewhere"))]))
    await put(store, write("a/1", 0, handled=[handled("handled")]))
    for message in ("handled", "waits", "lost", "elsewhere"):
        await store.strike(TENANT, "a/1", uid(message), "died")
    await store.strike(TENANT, "a/1", "no uuid", "died")
    assert (await store.prune(1)).strikes == 1
    left = {uid("waits"), uid("lost"), uid("elsewhere"), "no uuid"}
    assert {message for *_, message in await store.strikes(1)} == left
    assert (await store.prune(time.time_ns())).strikes == 3
    assert await store.strikes(1) == {(TENANT, "a/1", uid("waits")): 1}
    assert await store.strike(TENANT, "a/1", uid("waits"), "died again") == 2


async def test_state_hashes_are_thinned_to_a_number_of_each_stream(store: EventStore) -> None:
    hashes = [StateHash(TENANT, stream, n * 10, b"h", "f") for stream, m in (("a/1", 30), ("a/2", 8)) for n in range(m)]
    await store.save_state_hashes(hashes)
    assert (await store.prune(0, hashes=8)).hashes > 0
    left = [h.version for h in await store.state_hashes(TENANT, "a/1")]
    assert (left[0], left[-1]) == (0, 290)
    assert 4 <= len(left) <= 8
    gaps = [b - a for a, b in pairwise(left)]
    assert max(gaps) <= 60
    assert len(await store.state_hashes(TENANT, "a/2")) == 8
    assert await store.prune(0, hashes=8) == Pruned()
    with pytest.raises(InvalidData, match="too few"):
        await store.prune(0, hashes=2)


async def test_figures_say_how_much_there_is(store: EventStore) -> None:
    await put(store, write("a/1", 0, 5))
    figures = await store.figures()
    assert (figures.head, figures.horizon) == (5, 0)
    assert figures.rows["events"] + figures.archived == 5
    assert figures.archived_upto == figures.archived
    assert {"messages", "mailbox", "effects", "timers"} <= figures.rows.keys()


async def test_forgetting_does_not_disturb_who_appends_meanwhile(harness: Harness) -> None:
    writer, keeper = await harness.open(), await harness.open()

    async def append() -> None:
        for n in range(60):
            parts = {"handled": [handled(("w", n), BIG if n % 3 else BIGGER, guarded=n % 2 == 0)]}
            await put(writer, write("a/1", n, **parts))

    appending = asyncio.create_task(append())
    while not appending.done():
        await keeper.prune(EVER)
    await appending
    again = [write("a/1", 60, handled=[handled(("w", 59), BIG)])]
    assert statuses(await writer.append(again)) == [Status.DUPLICATE]
    for message in await writer.messages(TENANT, "a/1", -1):
        assert len(message.data) == len(BIG)
