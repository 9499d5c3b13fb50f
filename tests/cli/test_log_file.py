"""An export holds the whole log and an import brings it back as it was, or nothing at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.envelope import Event
from events.errors import Conflict, InvalidData
from gateway.cli.exporting import End, end_line, export, from_line, to_line
from gateway.cli.importing import BATCH, _batches, check, resumable, write
from infra.memory.store import MemoryStore
from tests.cli.history import with_history


async def exported(store: MemoryStore) -> list[bytes]:
    lines = [to_line(event) async for page in export(store) for event in page]
    return [*lines, end_line(len(lines), len(lines))]


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return with_history(exported)


def event(data: bytes, meta: bytes | None = None) -> Event:
    return Event(1, "default", "feed/x", 1, "/x 1", "T", 1, data, "", "c", 3, 17, None, meta, bytes(32))


@given(st.binary(min_size=1), st.none() | st.binary(min_size=1))
def test_every_event_comes_back_byte_for_byte_from_one_line(data: bytes, meta: bytes | None) -> None:
    line = to_line(event(data, meta))
    assert line.count(b"\n") == 1
    assert from_line(line) == event(data, meta)


@pytest.mark.parametrize(
    "data",
    [b"null", b'{"a":1}', b'{ "a" : 1 }', b'{"a":\n1}', b" 1", b"1 ", b'"\xff"', b"{", b"1e999", b'{"a":1,"a":2}'],
)
def test_odd_data_comes_back_as_it_is(data: bytes) -> None:
    assert from_line(to_line(event(data))) == event(data)


def test_data_that_is_plain_json_can_be_read_in_the_file() -> None:
    assert b'"data":{"amount":5}' in to_line(event(b'{"amount":5}'))


def test_an_import_gives_the_same_log(lines: list[bytes]) -> None:
    assert check(lines) == len(lines) - 1

    async def import_() -> tuple[list[Event], list[bytes]]:
        store = MemoryStore()
        assert await write(store, lines) == len(lines) - 1
        for stream in ("account/1b", "account/1c", "account/1d"):
            assert [e.version for e in await store.read_stream("default", stream)][:3] == [1, 2, 3]
        return await store.read(0, 10_000), await exported(store)

    events, again = asyncio.run(import_())
    originals = [from_line(line) for line in lines[:-1]]
    for found, original in zip(events, originals, strict=True):
        assert isinstance(original, Event)
        expected = msgspec.structs.replace(original, epoch=0)
        if found.type == "Forked":
            expected = msgspec.structs.replace(expected, recorded_at=found.recorded_at)
        assert found == expected
    assert check(again) == len(events)


def test_neighbours_of_one_stream_go_into_one_append_and_order_is_kept(lines: list[bytes]) -> None:
    events = [e for line in lines[:-1] if isinstance(e := from_line(line), Event)]
    plain = [e for e in events if e.stream not in ("account/1b", "account/1c", "account/1d")]
    batches = list(_batches((e, None) for e in plain))
    ids = [new.id for batch in batches for append in batch for new in append.events]
    assert ids == [e.id for e in plain]
    for batch in batches:
        assert len({append.stream for append in batch}) == len(batch)
        assert sum(len(append.events) for append in batch) <= BATCH
    assert max(len(append.events) for batch in batches for append in batch) >= 150


def damaged(lines: list[bytes], number: int, change: Callable[[Event], Event]) -> list[bytes]:
    found = from_line(lines[number - 1])
    assert isinstance(found, Event)
    return [*lines[: number - 1], to_line(change(found)), *lines[number:]]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda ls: ls[:-1], "breaks off after line"),
        (lambda ls: [], "breaks off after line 0"),
        (lambda ls: [*ls, ls[0]], "there is more after the end"),
        (lambda ls: [*ls[:7], *ls[8:]], "line 8: position 9 where 8 is due"),
        (lambda ls: [*ls[:7], b"nonsense\n", *ls[8:]], "line 8: not a line of an export"),
        (lambda ls: [*ls[:7], b"\xff\n", *ls[8:]], "line 8: not a line of an export"),
        (lambda ls: [*ls[:7], ls[7][:-20], *ls[8:]], "line 8: not a line of an export"),
        (lambda ls: [*ls[:-1], end_line(5, 5)], "the end says 5 events"),
        (
            lambda ls: damaged(ls, 12, lambda e: msgspec.structs.replace(e, data=b'{"amount":1000000}')),
            "line 12: .* does not follow from what is before it",
        ),
        (lambda ls: damaged(ls, 12, lambda e: msgspec.structs.replace(e, version=9)), "line 12: .* version 9"),
        (lambda ls: damaged(ls, 12, lambda e: msgspec.structs.replace(e, stream="No Address")), "line 12: .*address"),
    ],
)
def test_a_damaged_export_is_refused_with_the_line_before_anything_is_written(
    lines: list[bytes], damage: Callable[[list[bytes]], list[bytes]], message: str
) -> None:
    with pytest.raises(InvalidData, match=message):
        check(damage(lines))


def test_a_log_that_is_the_beginning_of_the_export_can_be_gone_on_with(lines: list[bytes]) -> None:
    async def script() -> tuple[bool, bool, list[bytes]]:
        store = MemoryStore()
        await write(store, [*lines[:100], end_line(100, 100)])
        same = await resumable(store, lines, 100)
        await write(store, lines, after=100)
        other = MemoryStore()
        await write(other, [*lines[:99], end_line(99, 99)])
        return same, await resumable(other, lines[1:], 99), await exported(store)

    same, other, again = asyncio.run(script())
    assert (same, other) == (True, False)
    assert [msgspec.json.decode(line)["hash"] for line in again[:-1]] == [
        msgspec.json.decode(line)["hash"] for line in lines[:-1]
    ]


def test_somebody_else_writing_meanwhile_is_noticed(lines: list[bytes]) -> None:
    async def script() -> None:
        store = MemoryStore()
        await write(store, [*lines[:100], end_line(100, 100)])
        await write(store, lines)

    with pytest.raises(Conflict, match="somebody else writes to this log"):
        asyncio.run(script())


def test_the_end_is_told_from_an_event() -> None:
    assert from_line(end_line(7, 7)) == End(7, 7)
