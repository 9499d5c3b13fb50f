"""What each read model says about a log."""

from __future__ import annotations

from typing import Any

import pytest

from events.errors import Conflict, InvalidData, NotFound
from events.system import (
    ActorParked,
    ActorResumed,
    DeadLettered,
    DeadLetterResolved,
    EffectResolved,
    EffectUnknown,
    Forked,
)
from projections import PROJECTIONS, Filter, Query, ReadModelStore, Row, replay
from projections.lineage import Lineage, lineage
from tests.projections.scenes import Deposited, ListLog, running

BY_NAME = {p.name: p for p in PROJECTIONS}


def rows(log: ListLog, name: str) -> list[Row]:
    (table,) = replay(BY_NAME[name], log.events).values()
    return table


# -- actors


def test_actors_are_counted_with_their_first_and_last_event() -> None:
    log = ListLog()
    first = log.add("account/1", Deposited(1), version=1)
    log.add("run/a/b", b"{}", type="Started")
    last = log.add("account/1", b"{}", type="Closed", version=2)
    one, other = rows(log, "actors")
    assert one == {
        "tenant": "default",
        "address": "account/1",
        "kind": "account",
        "version": 2,
        "events": 2,
        "first_position": 1,
        "first_at": first.recorded_at,
        "last_position": 3,
        "last_at": last.recorded_at,
        "last_type": "Closed",
        "parked": None,
        "parked_at": None,
        "forked_from": None,
        "forked_at": None,
    }
    assert (other["address"], other["kind"]) == ("run/a/b", "run")


def test_an_actor_is_parked_until_it_is_resumed() -> None:
    log = ListLog()
    parked = log.add("account/1", ActorParked("m", "Deposit", "broken"))
    assert [(r["parked"], r["parked_at"]) for r in rows(log, "actors")] == [("broken", parked.recorded_at)]
    log.add("account/1", ActorResumed("ada"))
    assert [(r["parked"], r["parked_at"]) for r in rows(log, "actors")] == [(None, None)]
    log.add("account/2", ActorParked("m", "Deposit", ""))
    assert [r["parked"] for r in rows(log, "actors")] == [None, "parked"]


def test_a_fork_counts_its_own_events_and_names_where_it_comes_from() -> None:
    log = ListLog()
    for version in (1, 2, 3):
        log.add("run/a", Deposited(1), version=version)
    log.add("run/b", Forked("run/a", 2, "ada"), version=3)
    log.add("run/b", Deposited(1), version=4)
    fork = rows(log, "actors")[1]
    assert (fork["events"], fork["version"], fork["forked_from"], fork["forked_at"]) == (2, 4, "run/a", 2)
    assert sum(r["events"] for r in rows(log, "throughput")) == 5


# -- events


def test_the_feed_tells_source_and_id_as_a_cloudevent_does() -> None:
    log = ListLog()
    log.add("account/1", Deposited(1), tenant="acme")
    log.add("feed/shop", b"{}", type="order.paid", id="https://shop.example/eu 4 7")
    own, outside = rows(log, "events")
    assert (own["source"], own["id"], own["kind"]) == ("/acme/account/1", log.events[0].id, "account")
    assert (outside["source"], outside["id"]) == ("https://shop.example/eu", "4 7")
    assert (outside["position"], outside["type"], outside["time"]) == (2, "order.paid", log.events[1].recorded_at)


async def test_the_feed_is_searched_by_every_index(store: ReadModelStore) -> None:
    log = ListLog()
    for n in range(60):
        log.add(f"account/{n % 6}", Deposited(1), type=f"T{n % 3}", correlation=f"c{n % 20}")
    async with running(store, log, BY_NAME["events"]) as projector:
        await projector.wait("events", 60, 20)
    for column, value, count in (
        ("type", "T1", 20),
        ("stream", "account/5", 10),
        ("correlation", "c7", 3),
        ("id", log.events[9].id, 1),
        ("source", "/default/account/2", 10),
    ):
        page = await store.query("events", Query("default", where=[Filter(column, "=", value)]))
        assert [r["position"] for r in page.rows] == sorted(r["position"] for r in page.rows)
        assert len(page.rows) == count


# -- throughput


def test_throughput_counts_by_tenant_type_and_minute() -> None:
    log = ListLog()
    minute = 1_700_000_040_000_000
    for at, kind, tenant in (
        (0, "A", "default"),
        (59_999_999, "A", "default"),
        (60_000_000, "A", "default"),
        (1, "B", "default"),
        (1, "A", "acme"),
    ):
        log.add("x/1", b"{}", type=kind, tenant=tenant, recorded_at=minute + at)
    assert [(r["tenant"], r["type"], r["minute"], r["events"]) for r in rows(log, "throughput")] == [
        ("acme", "A", minute, 1),
        ("default", "A", minute, 2),
        ("default", "A", minute + 60_000_000, 1),
        ("default", "B", minute, 1),
    ]


# -- inbox


def inbox(log: ListLog) -> dict[str, Row]:
    return {r["item"]: r for r in rows(log, "inbox")}


def test_the_inbox_opens_what_needs_a_person_and_closes_what_was_resolved() -> None:
    log = ListLog()
    log.add("account/1", ActorParked("m1", "Deposit", "ValueError", "trace", 3))
    log.add("mail/1", EffectUnknown("e1", "send", 1, "host lost"))
    log.add("router/x", DeadLettered("m2", "Deposit", "ghost/1", "no such kind"))
    found = inbox(log)
    assert {(r["kind"], r["open"], r["subject"]) for r in found.values()} == {
        ("parked", True, "m1"),
        ("unknown-effect", True, "e1"),
        ("dead-letter", True, "m2"),
    }
    log.add("account/1", ActorResumed("ada", "fixed", "m1"))
    resolved = log.add("mail/1", EffectResolved("e1", "send", "succeeded", "eve"))
    found = inbox(log)
    parked, effect = found["parked:account/1"], found["effect:e1"]
    assert (parked["open"], parked["closed_by"], parked["resolution"]) == (False, "ada", "skipped: fixed")
    assert (effect["open"], effect["closed_at"], effect["resolution"]) == (False, resolved.recorded_at, "succeeded")
    assert found["dead:router/x:m2"]["open"]


@pytest.mark.parametrize("status", ["retried", "dismissed"])
def test_a_dead_letter_is_closed_by_what_a_person_did_about_it(status: str) -> None:
    log = ListLog()
    letter = log.add("router/x", DeadLettered("m2", "Deposit", "ghost/1", "no such kind"))
    log.add("router/y", DeadLettered("m2", "Deposit", "ghost/1", "no such kind"))
    resolved = DeadLetterResolved(letter.id, "router/x", "m2", status, "ada", "mended")
    at = log.add("feed/dead-letters", resolved).recorded_at
    found = inbox(log)
    item = found["dead:router/x:m2"]
    assert (item["open"], item["closed_at"], item["closed_by"], item["resolution"]) == (
        False, at, "ada", f"{status}: mended",
    )  # fmt: skip
    assert found["dead:router/y:m2"]["open"]


def test_the_same_trouble_again_is_one_item_open_again() -> None:
    log = ListLog()
    for _ in range(3):
        log.add("account/1", ActorParked("m1", "Deposit", "no"))
        log.add("account/1", ActorResumed("ada"))
    log.add("account/1", ActorParked("m9", "Deposit", "again"))
    (item,) = inbox(log).values()
    assert (item["times"], item["open"], item["closed_by"], item["subject"]) == (4, True, None, "m9")


def test_what_was_resolved_without_being_open_needs_nobody() -> None:
    log = ListLog()
    log.add("mail/1", EffectResolved("e1", "send", "succeeded", "eve"))
    log.add("account/1", ActorResumed("ada"))
    assert inbox(log) == {}


def test_an_error_of_any_length_and_text_is_shown() -> None:
    log = ListLog()
    log.add("account/1", ActorParked("m1", "Deposit", "a\0" * 5_000, "x" * 100_000))
    (item,) = inbox(log).values()
    assert (len(item["reason"]), len(item["detail"])) == (4_000, 4_000)
    assert "\0" not in item["reason"]


# -- lineage


def family() -> ListLog:
    """1 came from outside; 2 and 3 came of it, 4 of 3, 5 and 6 of 4; 7 is a stranger with a cycle to 8."""
    log = ListLog()
    causes = ["message-1", 1, 1, 3, 4, 4, 8, 7]
    for n, cause in enumerate(causes, start=1):
        causation = cause if isinstance(cause, str) else f"018f0000-0000-7000-8000-{cause:012x}"
        log.add(f"account/{n % 3}", Deposited(n), causation=causation, correlation="c")
    return log


@pytest.fixture
async def tree(store: ReadModelStore) -> ReadModelStore:
    log = family()
    log.add("feed/a", b"{}", type="paid", id="shop 77", causation="x")
    log.add("feed/b", b"{}", type="paid", id="bank 77", causation="shop 77")
    log.add("feed/b", b"{}", type="paid", id="bank 78", causation="bank 77")
    log.add("account/1", Deposited(1), tenant="acme", causation=log.events[0].id)
    async with running(store, log, BY_NAME["lineage"]) as projector:
        await projector.wait("lineage", 12, 20)
    return store


async def walk(store: ReadModelStore, position: int, **limits: Any) -> Lineage:
    return await lineage(store, "default", f"018f0000-0000-7000-8000-{position:012x}", **limits)


def places(nodes: list[Any]) -> list[tuple[int, int]]:
    return [(n.position, n.depth) for n in nodes]


async def test_lineage_goes_up_to_the_root_and_down_to_the_leaves(tree: ReadModelStore) -> None:
    middle = await walk(tree, 3)
    assert places(middle.up) == [(1, -1)]
    assert places(middle.down) == [(4, 1), (5, 2), (6, 2)]
    assert places(middle.roots) == [(1, -1)]
    assert middle.roots[0].parent == "message-1"
    assert not middle.truncated
    top = await walk(tree, 1)
    assert (places(top.up), places(top.roots)) == ([], [(1, 0)])
    assert places(top.down) == [(2, 1), (3, 1), (4, 2), (5, 3), (6, 3)]
    leaf = await walk(tree, 6)
    assert (places(leaf.up), places(leaf.down)) == ([(4, -1), (3, -2), (1, -3)], [])


async def test_lineage_stops_at_its_limits_and_says_so(tree: ReadModelStore) -> None:
    shallow = await walk(tree, 1, down=1)
    assert (places(shallow.down), shallow.truncated) == ([(2, 1), (3, 1)], True)
    few = await walk(tree, 1, nodes=3)
    assert (len(few.down), few.truncated) == (3, True)
    exactly = await walk(tree, 1, nodes=5, down=3)
    assert (len(exactly.down), exactly.truncated) == (5, False)
    low = await walk(tree, 6, up=2)
    assert (places(low.up), low.truncated, low.roots) == ([(4, -1), (3, -2)], True, [])
    nothing = await walk(tree, 6, up=0, down=0)
    assert (nothing.up, nothing.down, nothing.truncated) == ([], [], True)
    with pytest.raises(InvalidData, match="down=-1"):
        await walk(tree, 1, down=-1)


async def test_a_cycle_is_walked_once(tree: ReadModelStore) -> None:
    cycle = await walk(tree, 7)
    assert (places(cycle.up), places(cycle.down), cycle.truncated) == ([(8, -1)], [(8, 1)], False)


async def test_outside_events_are_found_by_their_own_id_when_it_is_not_ambiguous(tree: ReadModelStore) -> None:
    by_log = await lineage(tree, "default", "shop 77")
    assert (places(by_log.down), by_log.event.type) == ([(10, 1), (11, 2)], "paid")
    assert (await lineage(tree, "default", "77", source="bank")).event.position == 10
    assert (await lineage(tree, "default", "78")).event.id == "bank 78"
    with pytest.raises(Conflict, match="2 events have id '77'") as error:
        await lineage(tree, "default", "77")
    assert "bank, shop" in error.value.hint
    with pytest.raises(NotFound):
        await lineage(tree, "default", "77", source="nobody")


async def test_our_own_events_are_found_with_their_source_too(tree: ReadModelStore) -> None:
    id = "018f0000-0000-7000-8000-000000000003"
    assert (await lineage(tree, "default", id, source="/default/account/0")).event.position == 3
    with pytest.raises(NotFound):
        await lineage(tree, "default", id, source="/default/account/1")


async def test_lineage_stays_within_the_tenant(tree: ReadModelStore) -> None:
    with pytest.raises(NotFound):
        await lineage(tree, "acme", "018f0000-0000-7000-8000-000000000001")
    own = await lineage(tree, "acme", "018f0000-0000-7000-8000-00000000000c")
    assert (own.up, own.down) == ([], [])
    assert len((await walk(tree, 1)).down) == 5


async def test_a_wide_and_a_deep_lineage_are_walked_whole(store: ReadModelStore) -> None:
    log = ListLog()
    log.add()
    for _ in range(2_500):
        log.add(causation=log.events[0].id)
    for _ in range(300):
        log.add(causation=log.events[-1].id)
    async with running(store, log, BY_NAME["lineage"]) as projector:
        await projector.wait("lineage", 2_801, 20)
    found = await lineage(store, "default", log.events[0].id, nodes=10_000)
    assert (len(found.down), found.truncated) == (2_800, False)
    deep = await lineage(store, "default", log.events[-1].id)
    assert (len(deep.up), deep.roots[0].position) == (301, 1)
