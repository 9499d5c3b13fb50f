"""The contract of mailboxes, effects and timers: what waits, and is consumed once. Held by every adapter."""

from __future__ import annotations

from typing import Any

import pytest

from events.address import partition_of
from events.store import EffectChange, EventStore, MailKey, NewEffect, NewTimer, Status
from tests.contract.store_harness import ALL, TENANT, first_answer, handled, put, statuses, tell, uid, write

W, _, _, _, GONE, CONFLICT = Status


def key(mail: Any) -> MailKey:
    return MailKey(mail.partition, mail.position, mail.ordinal)


def effect(id: str, **fields: Any) -> NewEffect:
    values: dict[str, Any] = {"effect_class": "keyed", "key": "k", "data": b"{}", "time": 7, "trace": "t"} | fields
    return NewEffect(id=id, kind="http", causation="c", correlation="r", **values)


def timer(name: str, due: int, id: str = "") -> NewTimer:
    return NewTimer(name, id or f"{name}-{due}", due, "Wake", 1, b"{}", "c", "k")


# -- mailboxes
async def test_a_tell_waits_in_its_receivers_mailbox_until_it_is_consumed(store: EventStore) -> None:
    sent = tell("b/1", 0, b'{"n":1}', trace="t", meta=b"{}")
    await put(store, write("a/1", 0, 2, mail=[sent]))
    assert sent.position == 1
    ((mail,), head) = await store.mail(ALL, 0, 10)
    assert (mail, head) == (sent, 2)
    assert await store.mail_of(TENANT, "b/1", None, 10) == [mail]
    await put(store, write("b/1", 0, 1, handled=[handled()], taken=[key(mail)]))
    assert await store.mail(ALL, 0, 10) == ([], 3)
    assert await store.mail_of(TENANT, "b/1", None, 10) == []


async def test_a_tell_is_consumed_once(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, mail=[tell("b/1")]))
    ((mail,), _) = await store.mail(ALL, 0, 10)
    batch = [write("b/1", 0, taken=[key(mail)]), write("b/2", 0, taken=[key(mail)]), write("b/3", 0)]
    assert statuses(await store.append(batch)) == [W, GONE, W]
    assert statuses(await store.append([write("b/1", 1, taken=[key(mail)])])) == [GONE]
    assert await store.head() == 3


async def test_a_tell_consumed_by_an_append_that_fails_still_waits(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, mail=[tell("b/1")]))
    ((mail,), _) = await store.mail(ALL, 0, 10)
    assert statuses(await store.append([write("b/1", 5, taken=[key(mail)])])) == [CONFLICT]
    assert await store.mail(ALL, 0, 10) == ([mail], 1)


async def test_gone_is_said_before_conflict(store: EventStore) -> None:
    assert statuses(await store.append([write("b/1", 5, taken=[MailKey(0, 1, 0)])])) == [GONE]


async def test_an_append_that_consumes_one_row_twice_is_never_written(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, mail=[tell("b/1")]))
    ((mail,), _) = await store.mail(ALL, 0, 10)
    assert statuses(await store.append([write("b/1", 0, taken=[key(mail), key(mail)])])) == [CONFLICT]


async def test_mail_comes_in_the_order_of_the_log_across_partitions(store: EventStore) -> None:
    for n in range(5):
        await put(store, write(f"a/{n}", 0, 2, mail=[tell(f"b/{n}-{o}", o) for o in range(4)]))
    mail, head = await store.mail(ALL, 0, 100)
    assert [(m.position, m.ordinal) for m in mail] == [(p, o) for p in (1, 3, 5, 7, 9) for o in range(4)]
    assert head == 10
    assert [(m.position, m.ordinal) for m in (await store.mail(ALL, 3, 6))[0]] == [
        (5, 0), (5, 1), (5, 2), (5, 3), (7, 0), (7, 1)
    ]  # fmt: skip
    some = sorted({m.partition for m in mail})[:2]
    assert [m for m in mail if m.partition in some] == (await store.mail(some, 0, 100))[0]
    assert await store.mail([], 0, 100) == ([], 10)


async def test_one_actors_mail_is_read_beyond_a_place(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, mail=[tell("b/1", 0), tell("b/2", 1), tell("b/1", 2)]))
    await put(store, write("a/1", 1, 1, mail=[tell("b/1", 0)]))
    places = [(m.position, m.ordinal) for m in await store.mail_of(TENANT, "b/1", None, 10)]
    assert places == [(1, 0), (1, 2), (2, 0)]
    after = MailKey(partition_of(TENANT, "b/1"), 1, 0)
    assert [(m.position, m.ordinal) for m in await store.mail_of(TENANT, "b/1", after, 1)] == [(1, 2)]
    assert await store.mail_of("other", "b/1", None, 10) == []


async def test_much_mail_comes_and_goes(store: EventStore) -> None:
    for n in range(40):
        await put(store, write("a/1", n, 1, mail=[tell(f"b/{o % 3}", o) for o in range(10)]))
        mail, _ = await store.mail(ALL, 0, 1000)
        assert len(mail) == 10
        await put(store, write("c/1", n, 1, taken=[key(m) for m in mail]))
    assert await store.mail(ALL, 0, 10) == ([], 80)


# -- effects
async def test_an_effect_is_open_until_its_outcome_is_delivered(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, effects=[effect("e1", data=b'{"x":1}')]))
    (row,) = await store.effects(ALL, "", 10)
    assert row == await store.effect("e1")
    assert (row.id, row.tenant, row.stream, row.partition) == ("e1", TENANT, "a/1", partition_of(TENANT, "a/1"))
    assert (row.kind, row.effect_class, row.key, row.data, row.time) == ("http", "keyed", "k", b'{"x":1}', 7)
    assert (row.causation, row.correlation, row.trace) == ("c", "r", "t")
    assert (row.status, row.attempt, row.outcome, row.delivered) == ("requested", "", None, False)
    await put(store, write("a/1", 1, 0, changes=[EffectChange("e1", "started", "1.1")]))
    await put(store, write("a/1", 1, 0, changes=[EffectChange("e1", "succeeded", "1.1", b"ok")]))
    assert [(e.status, e.attempt, e.outcome) for e in await store.effects(ALL, "", 10)] == [("succeeded", "1.1", b"ok")]
    await put(store, write("a/1", 1, 1, changes=[EffectChange("e1", "succeeded", "1.1", delivered=True)]))
    assert await store.effects(ALL, "", 10) == []
    done = await store.effect("e1")
    assert done is not None
    assert (done.status, done.outcome, done.delivered) == ("succeeded", b"ok", True)


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
async def test_a_delivered_effect_changes_no_more(store: EventStore, status: str) -> None:
    await put(store, write("a/1", 0, 1, effects=[effect("e1")]))
    await put(store, write("a/1", 1, 1, changes=[EffectChange("e1", status, "1.1", b"1", True)]))
    for other in ("started", "succeeded", "failed", "unknown", "cancelled"):
        assert statuses(await store.append([write("a/1", 2, 1, changes=[EffectChange("e1", other, "1.2")])])) == [GONE]


async def test_the_truth_about_an_unknown_effect_may_come_late(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, effects=[effect("e1")]))
    await put(store, write("a/1", 1, 1, changes=[EffectChange("e1", "unknown", "1.1", b"?", True)]))
    assert statuses(await store.append([write("a/1", 2, changes=[EffectChange("e1", "started", "1.2")])])) == [GONE]
    await put(store, write("a/1", 2, 0, changes=[EffectChange("e1", "succeeded", "1.1", b"late")]))
    (row,) = await store.effects(ALL, "", 10)
    assert (row.status, row.outcome, row.delivered) == ("succeeded", b"late", False)
    await put(store, write("a/1", 2, 1, changes=[EffectChange("e1", "succeeded", "1.1", b"late", True)]))
    assert statuses(await store.append([write("a/1", 3, changes=[EffectChange("e1", "failed", "1.1")])])) == [GONE]


@pytest.mark.parametrize(
    ("recorded", "attempt", "verdict"),
    [
        ("1.9", "1.9", W),  # the record of an attempt is repeated when its commit's outcome was unknown
        ("1.9", "1.10", W),  # the same owner goes on after a call that failed
        ("1.10", "1.9", GONE),
        ("1.9", "2.10", GONE),  # who takes over cannot know how far the lost call got
        ("2.1", "1.2", GONE),
        ("12.1", "1.22", GONE),
        ("0", "1", GONE),
        ("0", "0", W),
        ("1", "1.1", GONE),
    ],
)
async def test_an_attempt_is_never_started_on_top_of_a_lost_one(
    store: EventStore, recorded: str, attempt: str, verdict: Status
) -> None:
    await put(store, write("a/1", 0, 1, effects=[effect("e1")]))
    await put(store, write("a/1", 1, 0, changes=[EffectChange("e1", "started", recorded)]))
    again = write("a/1", 1, 1, handled=[handled("m")], changes=[EffectChange("e1", "started", attempt)])
    assert statuses(await store.append([again])) == [verdict]
    row = await store.effect("e1")
    assert row is not None
    assert (row.status, row.attempt) == ("started", attempt if verdict is W else recorded)
    assert (await store.head(), await first_answer(store, uid("m")) is None) == (
        (2, False) if verdict is W else (1, True)
    )


@pytest.mark.parametrize("status", ["succeeded", "failed", "unknown", "cancelled"])
async def test_what_has_an_outcome_is_not_started_again(store: EventStore, status: str) -> None:
    await put(store, write("a/1", 0, 1, effects=[effect("e1")]))
    await put(store, write("a/1", 1, 0, changes=[EffectChange("e1", status, "1.1")]))
    batch = [write("a/1", 1, changes=[EffectChange("e1", "started", n)]) for n in ("1.1", "1.2", "2.1")]
    assert [statuses(await store.append([a])) for a in batch] == [[GONE]] * 3


async def test_an_effect_of_another_tenant_or_none_is_gone(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, effects=[effect("e1")]))
    batch = [
        write("a/1", 0, tenant="other", changes=[EffectChange("e1", "failed", "1.1")]),
        write("a/1", 1, changes=[EffectChange("no", "failed", "1.1")]),
        write("a/2", 0, changes=[EffectChange("e1", "started", "1.1")]),
    ]
    assert statuses(await store.append(batch)) == [GONE, GONE, W]


async def test_two_appends_of_a_batch_cannot_both_settle_an_effect(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, effects=[effect("e1")]))
    batch = [write(f"a/{n}", 0, changes=[EffectChange("e1", "failed", str(n), None, True)]) for n in (2, 3)]
    assert statuses(await store.append(batch)) == [W, GONE]
    row = await store.effect("e1")
    assert row is not None
    assert row.attempt == "2"


async def test_an_effect_may_start_in_the_append_that_asks_for_it(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, effects=[effect("e1")], changes=[EffectChange("e1", "started", "1.1")]))
    (row,) = await store.effects(ALL, "", 10)
    assert (row.status, row.attempt) == ("started", "1.1")


async def test_of_several_changes_in_one_append_the_last_counts(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, effects=[effect("e1")]))
    changes = [EffectChange("e1", "started", "1.1"), EffectChange("e1", "failed", "1.1", b"no", True)]
    await put(store, write("a/1", 1, 1, changes=changes))
    row = await store.effect("e1")
    assert row is not None
    assert (row.status, row.outcome, row.delivered) == ("failed", b"no", True)


async def test_an_effect_id_is_used_once(store: EventStore) -> None:
    batch = [write(f"a/{n}", 0, 1, effects=[effect("e1")]) for n in range(2)]
    assert statuses(await store.append(batch)) == [W, CONFLICT]
    twice = write("a/5", 0, 1, effects=[effect("e2"), effect("e2")])
    assert statuses(await store.append([twice, write("a/6", 0, 1, effects=[effect("e3")])])) == [CONFLICT, W]


async def test_open_effects_are_paged_by_id_and_partition(store: EventStore) -> None:
    await put(store, *(write(f"a/{n}", 0, 1, effects=[effect(f"e{n}")]) for n in range(8)))
    assert [e.id for e in await store.effects(ALL, "", 3)] == ["e0", "e1", "e2"]
    assert [e.id for e in await store.effects(ALL, "e2", 3)] == ["e3", "e4", "e5"]
    one = partition_of(TENANT, "a/4")
    assert "e4" in [e.id for e in await store.effects([one], "", 10)]
    assert await store.effects([], "", 10) == []
    assert await store.effect("no") is None


# -- timers
async def test_a_timer_is_found_when_it_is_due_and_fires_once(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, timers=[timer("late", 300), timer("soon", 100)]))
    assert [t.name for t in await store.timers(ALL, 99, 10)] == []
    (due,) = await store.timers(ALL, 100, 10)
    assert (due.tenant, due.stream, due.partition) == (TENANT, "a/1", partition_of(TENANT, "a/1"))
    assert (due.name, due.id, due.due, due.type, due.schema, due.data) == ("soon", "soon-100", 100, "Wake", 1, b"{}")
    assert [t.name for t in await store.timers(ALL, 1000, 10)] == ["soon", "late"]
    await put(store, write("a/1", 1, 1, fired=[("soon", "soon-100")]))
    assert [t.name for t in await store.timers(ALL, 1000, 10)] == ["late"]
    assert statuses(await store.append([write("a/1", 2, 1, fired=[("soon", "soon-100")])])) == [GONE]


async def test_a_timer_set_again_replaces_the_one_before(store: EventStore) -> None:
    await put(store, write("a/1", 0, 1, timers=[timer("t", 100)]))
    await put(store, write("a/1", 1, 1, timers=[timer("t", 50), timer("t", 500)]))
    assert [(t.name, t.due) for t in await store.timers_of(TENANT, "a/1")] == [("t", 500)]
    assert await store.timers(ALL, 499, 10) == []
    assert statuses(await store.append([write("a/1", 2, 1, fired=[("t", "t-100")])])) == [GONE]
    await put(store, write("a/1", 2, 1, fired=[("t", "t-500")], timers=[timer("t", 700)]))
    assert [t.due for t in await store.timers_of(TENANT, "a/1")] == [700]


async def test_a_cancelled_timer_is_gone_and_cancelling_nothing_is_fine(store: EventStore) -> None:
    await put(
        store, write("a/1", 0, 1, timers=[timer("t", 100), timer("u", 100)]), write("a/2", 0, 1, timers=[timer("t", 1)])
    )
    await put(store, write("a/1", 1, 1, cancelled=["t", "never"]))
    assert [t.name for t in await store.timers_of(TENANT, "a/1")] == ["u"]
    assert [t.stream for t in await store.timers(ALL, 1000, 10)] == ["a/2", "a/1"]
    await put(store, write("a/1", 2, 1, cancelled=["u"], timers=[timer("u", 200)]))
    assert [t.due for t in await store.timers_of(TENANT, "a/1")] == [200]


async def test_timers_due_at_the_same_time_are_given_page_by_page(store: EventStore) -> None:
    await put(store, *(write(f"a/{n}", 0, 1, timers=[timer(name, 100) for name in "xyz"]) for n in range(7)))
    found: list[tuple[str, str]] = []
    after = None
    while page := await store.timers(ALL, 100, 4, after):
        found += [(t.stream, t.name) for t in page]
        after = (page[-1].due, page[-1].tenant, page[-1].stream, page[-1].name)
    assert found == [(f"a/{n}", name) for n in range(7) for name in "xyz"]


async def test_timers_are_given_earliest_first_up_to_the_limit(store: EventStore) -> None:
    await put(store, *(write(f"a/{n}", 0, 1, timers=[timer("t", 100 - n)]) for n in range(10)))
    assert [t.due for t in await store.timers(ALL, 1000, 4)] == [91, 92, 93, 94]
    assert [t.due for t in await store.timers(ALL, 1000, 4, (94, TENANT, "a/6", "t"))] == [95, 96, 97, 98]
    assert [t.due for t in await store.timers(ALL, 96, 4, (94, TENANT, "a/6", "s"))] == [94, 95, 96]
    mine = partition_of(TENANT, "a/3")
    assert 97 in [t.due for t in await store.timers([mine], 1000, 10)]
    assert await store.timers([], 1000, 4) == []
    assert await store.timers_of(TENANT, "no/1") == []
