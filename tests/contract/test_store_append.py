"""The contract of `EventStore.append`: positions, versions and verdicts, held by every adapter."""

from __future__ import annotations

import pytest

from events.errors import Invalid, InvalidData
from events.store import EventStore, Status
from tests.contract.store_harness import ALL, event, first_answer, handled, put, statuses, tell, uid, write

W, FENCED, DUPLICATE, REUSED, GONE, CONFLICT = Status


async def test_positions_and_versions_have_no_gaps(store: EventStore) -> None:
    first = await put(store, write("a/1", 0, 2), write("a/2", 0, 1))
    second = await put(store, write("a/1", 2, 3))
    assert (first.before, first.head, second.before, second.head) == (0, 3, 3, 6)
    assert [v.position for v in first.verdicts] == [1, 3]
    log = await store.read(0, 100)
    assert [(e.position, e.stream, e.version) for e in log] == [
        (1, "a/1", 1), (2, "a/1", 2), (3, "a/2", 1), (4, "a/1", 3), (5, "a/1", 4), (6, "a/1", 5)
    ]  # fmt: skip


async def test_an_event_comes_back_as_it_went_in(store: EventStore) -> None:
    data = b'{"text":"\\u0000 \xc3\xa9"}\x00\xff'
    new = event(data, "Odd.Type_1-x", id="urn:x 42", schema=3, trace="00-ab-cd-01", meta=b"{}", hash=bytes(range(32)))
    appended = await put(store, write("a/1", 0, [new]))
    (got,) = await store.read(0, 10)
    assert (got.id, got.type, got.schema, got.data, got.trace, got.meta, got.hash) == (
        "urn:x 42", "Odd.Type_1-x", 3, data, "00-ab-cd-01", b"{}", bytes(range(32))
    )  # fmt: skip
    assert (got.tenant, got.stream, got.version, got.causation, got.correlation) == ("default", "a/1", 1, "c", "k")
    assert got.epoch == 0
    assert got.recorded_at == appended.recorded_at


async def test_an_empty_batch_writes_nothing(store: EventStore) -> None:
    await put(store, write("a/1", 0))
    appended = await store.append([])
    assert (appended.verdicts, appended.before, appended.head) == ([], 1, 1)


async def test_an_append_without_events_is_written_and_points_at_the_head(store: EventStore) -> None:
    appended = await put(store, write("a/1", 0, 2), write("a/2", 0, 0, handled=[handled("m", outcome="refused")]))
    assert [v.position for v in appended.verdicts] == [1, 2]
    assert appended.head == 2
    answer = await first_answer(store, uid("m"))
    assert answer is not None
    assert (answer.outcome, answer.position, answer.version, answer.duplicate) == ("refused", 2, 0, True)


@pytest.mark.parametrize("expected", [0, 1, 3, 100, -1])
async def test_a_stream_at_another_version_is_a_conflict(store: EventStore, expected: int) -> None:
    await put(store, write("a/1", 0, 2))
    appended = await store.append([write("a/1", expected)])
    assert statuses(appended) == [CONFLICT]
    assert (appended.head, appended.verdicts[0].position) == (2, 2)
    assert await store.head() == 2


async def test_a_missing_stream_is_at_version_zero(store: EventStore) -> None:
    assert statuses(await store.append([write("a/1", 1)])) == [CONFLICT]
    assert statuses(await store.append([write("a/1", 0)])) == [W]


async def test_tenants_do_not_share_streams(store: EventStore) -> None:
    await put(store, write("a/1", 0), write("a/1", 0, tenant="other"))
    assert [(e.tenant, e.version) for e in await store.read(0, 9)] == [("default", 1), ("other", 1)]


async def test_each_append_of_a_batch_has_its_own_verdict(store: EventStore) -> None:
    await put(store, write("a/1", 0, handled=[handled("m1")]))
    appended = await store.append(
        [
            write("b/1", 0, 2),
            write("b/2", 5),
            write("b/3", 0, handled=[handled("m1")]),
            write("b/4", 0, 3, mail=[tell("c/1")]),
            write("b/5", 0, handled=[handled("m1", b"other body")]),
            write("b/6", 0, 0),
            write("b/7", 0, 1, handled=[handled("m7")]),
        ]
    )
    assert statuses(appended) == [W, CONFLICT, DUPLICATE, W, REUSED, W, W]
    assert [v.position for v in appended.verdicts] == [2, 7, 7, 4, 7, 7, 7]
    assert (appended.before, appended.head) == (1, 7)
    assert [(e.position, e.stream) for e in await store.read(1, 9)] == [
        (2, "b/1"), (3, "b/1"), (4, "b/4"), (5, "b/4"), (6, "b/4"), (7, "b/7")
    ]  # fmt: skip
    mail, _ = await store.mail(ALL, 0, 10)
    assert [(m.stream, m.position) for m in mail] == [("c/1", 4)]
    (row,) = await store.messages("default", "b/7")
    assert (row.version, row.position) == (1, 7)


async def test_what_is_not_written_leaves_no_trace(store: EventStore) -> None:
    await put(store, write("a/1", 0))
    refused = write("a/1", 0, 1, handled=[handled("m")], mail=[tell("b/1")])
    assert statuses(await store.append([refused, write("a/2", 0, 0)])) == [CONFLICT, W]
    assert await first_answer(store, uid("m")) is None
    assert await store.mail(ALL, 0, 10) == ([], 1)
    assert statuses(await store.append([write("a/1", 1, handled=[handled("m")])])) == [W]


async def test_a_message_is_handled_once_and_its_first_answer_comes_back(store: EventStore) -> None:
    await put(store, write("x/1", 0, 3))
    await put(store, write("a/1", 0, 2, handled=[handled("m", answer=b'{"n":1}')]))
    await put(store, write("x/1", 3))
    again = await store.append([write("a/1", 2, 1, handled=[handled("m", answer=b'{"n":2}')])])
    (verdict,) = again.verdicts
    assert (verdict.status, verdict.message) == (DUPLICATE, uid("m"))
    assert verdict.first is not None
    assert (verdict.first.data, verdict.first.position, verdict.first.version) == (b'{"n":1}', 5, 2)
    assert (verdict.first.outcome, verdict.first.duplicate) == ("handled", True)
    assert await first_answer(store, uid("m")) == verdict.first


async def test_the_same_id_with_another_body_is_told_apart(store: EventStore) -> None:
    await put(store, write("a/1", 0, handled=[handled("m", b"one")]))
    (verdict,) = (await store.append([write("a/1", 1, handled=[handled("m", b"two")])])).verdicts
    assert (verdict.status, verdict.message) == (REUSED, uid("m"))
    assert verdict.first is not None


async def test_a_message_is_handled_once_whichever_stream_asks(store: EventStore) -> None:
    await put(store, write("a/1", 0, handled=[handled("m")]))
    assert statuses(await store.append([write("a/2", 0, handled=[handled("m")])])) == [DUPLICATE]


async def test_one_repeated_message_holds_back_the_whole_append(store: EventStore) -> None:
    await put(store, write("a/1", 0, handled=[handled("m2")]))
    (verdict,) = (await store.append([write("a/1", 1, 2, handled=[handled("m1"), handled("m2")])])).verdicts
    assert (verdict.status, verdict.message) == (DUPLICATE, uid("m2"))
    assert await first_answer(store, uid("m1")) is None


async def test_each_message_of_an_append_has_its_own_place(store: EventStore) -> None:
    await put(store, write("x/1", 0, 4))
    messages = [handled("m1", upto=1), handled("m2", upto=1, outcome="refused"), handled("m3", upto=3)]
    await put(store, write("a/1", 0, 3, handled=messages))
    answers = [await first_answer(store, uid(m)) for m in ("m1", "m2", "m3")]
    assert [(a.position, a.version) for a in answers if a] == [(5, 1), (5, 1), (7, 3)]
    assert [m.id for m in await store.messages("default", "a/1")] == [uid("m1"), uid("m2"), uid("m3")]


async def test_two_appends_of_a_batch_cannot_handle_one_message(store: EventStore) -> None:
    appended = await store.append(
        [
            write("a/1", 0, 1, handled=[handled("m", answer=b"1")]),
            write("a/2", 0, 1),
            write("a/3", 0, 1, handled=[handled("m", answer=b"2")]),
            write("a/4", 0, 1, handled=[handled("m", b"other")]),
            write("a/5", 0, 2),
        ]
    )
    assert statuses(appended) == [W, W, DUPLICATE, REUSED, W]
    assert [v.position for v in appended.verdicts] == [1, 2, 4, 4, 3]
    first = appended.verdicts[2].first
    assert first is not None
    assert (first.data, first.position) == (b"1", 1)
    assert (appended.before, appended.head) == (0, 4)
    assert [e.stream for e in await store.read(0, 9)] == ["a/1", "a/2", "a/5", "a/5"]


async def test_a_rival_in_the_batch_wins_when_the_first_is_not_written(store: EventStore) -> None:
    batch = [write("a/1", 9, handled=[handled("m")]), write("a/2", 0, handled=[handled("m")])]
    assert statuses(await store.append(batch)) == [CONFLICT, W]


async def test_a_stream_appears_once_in_a_batch(store: EventStore) -> None:
    appended = await store.append([write("a/1", 0), write("a/1", 1), write("a/2", 0), write("a/1", 0)])
    assert statuses(appended) == [W, CONFLICT, W, CONFLICT]
    assert [e.stream for e in await store.read(0, 9)] == ["a/1", "a/2"]


async def test_an_append_that_names_a_message_twice_is_never_written(store: EventStore) -> None:
    appended = await store.append([write("a/1", 0, handled=[handled("m"), handled("m")]), write("a/2", 0)])
    assert statuses(appended) == [CONFLICT, W]


async def test_a_stale_epoch_is_fenced_before_anything_else(store: EventStore) -> None:
    await store.join("h1", 60, b"")
    epochs = await store.claim("h1", ALL)
    at = write("a/1", 0).partition
    await put(store, write("a/1", 0, epoch=epochs[at], handled=[handled("m")]))
    (recorded,) = await store.read(0, 9)
    assert recorded.epoch == epochs[at] == 1
    batch = [
        write("a/1", 7, epoch=epochs[at] + 1, handled=[handled("m")]),
        write("a/2", 0, epoch=0),
        write("a/3", 0, epoch=1),
        write("a/4", 0),
    ]
    assert statuses(await store.append(batch)) == [FENCED, FENCED, W, W]


async def test_a_repetition_is_recognised_before_a_conflict(store: EventStore) -> None:
    await put(store, write("a/1", 0, handled=[handled("m")]))
    assert statuses(await store.append([write("a/1", 0, handled=[handled("m")])])) == [DUPLICATE]


async def test_time_never_goes_back_along_the_log(store: EventStore) -> None:
    for n in range(20):
        await put(store, write("a/1", n))
    times = [e.recorded_at for e in await store.read(0, 100)]
    assert times == sorted(times)


async def test_mail_without_an_event_is_refused_and_nothing_is_written(store: EventStore) -> None:
    with pytest.raises(InvalidData, match=r"append 1 .*a/2.* mail without an event"):
        await store.append([write("a/1", 0), write("a/2", 0, 0, mail=[tell("b/1")])])
    with pytest.raises(InvalidData, match="two tells under one ordinal"):
        await store.append([write("a/1", 0, 1, mail=[tell("b/1", 0), tell("b/2", 0)])])
    assert await store.head() == 0


async def test_a_bulk_append_is_written_and_judged_like_any_other(store: EventStore) -> None:
    await put(store, write("a/1", 0))
    big = b"x" * 100_000
    appended = await store.bulk([write("a/1", 1, 50), write("a/2", 3), write("a/3", 0, [event(big)]), write("a/3", 1)])
    assert statuses(appended) == [W, CONFLICT, W, CONFLICT]
    assert [v.position for v in appended.verdicts] == [2, 52, 52, 52]
    assert (appended.before, appended.head) == (1, 52)
    log = await store.read(0, 100)
    assert [e.position for e in log] == list(range(1, 53))
    assert log[-1].data == big


async def test_only_imported_events_keep_their_time_and_never_from_the_future(store: EventStore) -> None:
    old, future = event(recorded_at=5), event(recorded_at=2**60)
    appended = await store.bulk([write("a/1", 0, [old, future, event()])])
    now = appended.recorded_at
    assert [e.recorded_at for e in await store.read(0, 9)] == [5, now, now]
    appended = await store.append([write("a/2", 0, [event(recorded_at=5)])])
    assert (await store.read(3, 9))[0].recorded_at == appended.recorded_at >= now


async def test_a_bulk_append_takes_events_only(store: EventStore) -> None:
    with pytest.raises(Invalid, match="only events"):
        await store.bulk([write("a/1", 0, handled=[handled()])])
    assert (await store.bulk([])).verdicts == []


async def test_a_bulk_append_is_fenced(store: EventStore) -> None:
    await store.join("h1", 60, b"")
    await store.claim("h1", ALL)
    assert statuses(await store.bulk([write("a/1", 0, epoch=1), write("a/2", 0, epoch=2)])) == [W, FENCED]
