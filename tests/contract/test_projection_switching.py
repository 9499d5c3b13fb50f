"""The contract of `ReadModelStore`: builds beside each other, compared and switched."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from events.errors import Conflict, NotFound
from projections import Query, ReadModelStore
from projections.core.port import Commit
from projections.core.rows import Change
from tests.contract.read_models import (
    NAMES,
    THINGS,
    a_switch,
    committed,
    names,
    opened,
    puts,
    switched,
    thing,
    things,
)


@pytest.fixture
def store(read_models: ReadModelStore) -> ReadModelStore:
    return read_models


async def test_readers_are_switched_where_both_stand_and_nowhere_else(store: ReadModelStore) -> None:
    await committed(store, await opened(store), Commit(5, [puts(thing("old"))]))
    fresh = await committed(store, await store.rebuild(things()), Commit(4, [puts(thing("new"))]))
    assert not await switched(store, fresh)
    assert await names(store) == ["old"]
    fresh = await committed(store, fresh, Commit(5))
    assert await switched(store, fresh)
    assert await names(store) == ["new"]
    assert not await switched(store, fresh)


async def test_what_was_on_its_way_to_either_build_is_not_stored(store: ReadModelStore) -> None:
    live = await committed(store, await opened(store), Commit(5))
    fresh = await committed(store, await store.rebuild(things()), Commit(5))
    await switched(store, fresh)
    assert await store.commit(live, Commit(6)) is None
    assert await store.commit(fresh, Commit(6)) is None
    old, new = await store.builds("things")
    assert (old.state, old.kept_until, new.state, new.kept_until) == ("standby", 77, "live", 0)
    assert await store.commit(old, Commit(6)) is not None
    assert await store.commit(new, Commit(6)) is not None


async def test_a_switch_is_written_down_until_the_log_was_told(store: ReadModelStore) -> None:
    await committed(store, await opened(store), Commit(5))
    for _ in range(2):
        await switched(store, await committed(store, await store.rebuild(things()), Commit(5)))
    newest, oldest = await store.switches("things")
    live = (await store.builds("things"))[-1]
    assert newest.to_build == live.number
    assert oldest == a_switch((await store.builds("things"))[0], (await store.builds("things"))[1])
    assert await store.switches("things", unrecorded=True) == [newest, oldest] == await store.switches()
    await store.recorded(oldest.id, 41)
    assert await store.switches("things", unrecorded=True) == [newest]
    assert await store.switches("things") == [newest, msgspec.structs.replace(oldest, recorded=41)]
    assert await store.switches("things", 1) == [newest]
    assert await store.switches("others") == []


async def test_leaving_without_a_switch_changes_nothing(store: ReadModelStore) -> None:
    before = await committed(store, await opened(store), Commit(5))
    async with store.frozen("things") as frozen:
        assert frozen.live == before
    with pytest.raises(ZeroDivisionError):
        async with store.frozen("things"):
            raise ZeroDivisionError
    assert await store.builds("things") == [before]
    assert await store.commit(before, Commit(6)) is not None


async def test_while_frozen_nothing_is_stored_in_the_live_build_and_readers_go_on(store: ReadModelStore) -> None:
    live = await committed(store, await opened(store), Commit(5, [puts(thing("a"))]))
    fresh = await store.rebuild(things())
    async with store.frozen("things") as frozen:
        late = asyncio.create_task(store.commit(live, Commit(6)))
        fresh = await committed(store, fresh, Commit(5, [puts(thing("b"))]))
        assert await names(store) == ["a"]
        assert not late.done()
        assert await frozen.switch(fresh.number, a_switch(frozen.live, fresh), kept_until=1, declined=0)
        assert not late.done()
    assert await late is None
    assert await names(store) == ["b"]


async def test_two_who_freeze_take_turns(store: ReadModelStore) -> None:
    await committed(store, await opened(store), Commit(5))
    fresh = await committed(store, await store.rebuild(things()), Commit(5))
    assert sorted(await asyncio.gather(*(switched(store, fresh) for _ in range(2)))) == [False, True]
    assert len(await store.switches("things")) == 1


async def test_there_is_nothing_to_freeze_in_a_projection_that_is_not_there(store: ReadModelStore) -> None:
    with pytest.raises(NotFound):
        async with store.frozen("things"):
            pass


async def test_a_version_switched_away_from_is_not_built_again_by_itself(store: ReadModelStore) -> None:
    first = await opened(store)
    second = (await store.open(things(2)))[-1]
    assert await switched(store, second)
    assert await switched(store, first, declined=2)
    await store.drop("things", second.number)
    (live,) = await store.open(things(2))
    assert (live.number, live.version, live.declined) == (first.number, 1, 2)
    assert [b.version for b in await store.open(things(3))] == [1, 3]
    assert (await store.rebuild(things(3))).version == 3


async def test_a_build_set_aside_says_why_and_makes_room_for_another(store: ReadModelStore) -> None:
    live = await opened(store)
    fresh = await store.rebuild(things())
    await store.set_aside(fresh, "it differs", 99)
    await store.set_aside(live, "nonsense", 99)
    found = await store.builds("things")
    assert [(b.state, b.note, b.kept_until) for b in found] == [("live", "", 0), ("standby", "it differs", 99)]
    again = await store.rebuild(things())
    assert (again.state, again.number == fresh.number) == ("building", False)


async def test_samples_are_the_same_keys_in_equal_tables_however_they_came_in(store: ReadModelStore) -> None:
    rows = [thing(f"n{n}", size=n) for n in range(300)]
    live = await committed(store, await opened(store), Commit(1, [puts(*rows)]))
    fresh = await store.rebuild(things())
    for cursor, row in enumerate(reversed(rows)):
        fresh = await committed(store, fresh, Commit(cursor, [puts(row)]))
    chosen = await store.sample(live, "things", 20)
    assert chosen == await store.sample(fresh, "things", 20)
    assert (len(chosen), len(set(chosen))) == (20, 20)
    assert len(await store.sample(live, "things", 1000)) == 300
    assert await store.sample(live, "log", 20) == []


async def test_digests_tell_rows_apart_by_the_columns_asked_for(store: ReadModelStore) -> None:
    live = await committed(store, await opened(store), Commit(1, [puts(thing("a"), thing("b"), thing("c"))]))
    fresh = await store.rebuild(things())
    fresh = await committed(store, fresh, Commit(1, [puts(thing("a"), thing("b", size=2), thing("d"))]))
    keys: list[Any] = [("default", name) for name in "abcd"]
    columns = tuple(THINGS.columns)
    one = await store.digests(live, "things", columns, keys)
    other = await store.digests(fresh, "things", columns, keys)
    assert (set(one), set(other)) == (set(keys[:3]), {keys[0], keys[1], keys[3]})
    assert (one[keys[0]] == other[keys[0]], one[keys[1]] == other[keys[1]]) == (True, False)
    narrow = [c for c in columns if c != "size"]
    assert len({(await store.digests(b, "things", narrow, keys))[keys[1]] for b in (live, fresh)}) == 1
    assert await store.digests(live, "things", columns, []) == {}


async def test_a_table_of_nothing_but_its_key_is_sampled_too(store: ReadModelStore) -> None:
    change = Change(NAMES.layout(), [], [("ada",), ("bob",)], [])
    build = await committed(store, await opened(store), Commit(1, [change]))
    assert sorted(await store.sample(build, "names", 9)) == [("ada",), ("bob",)]
    assert set(await store.digests(build, "names", ["name"], [("ada",), ("eve",)])) == {("ada",)}


# -- readers across a switch


async def test_pages_belong_to_the_build_of_the_first_one(store: ReadModelStore) -> None:
    first = await committed(store, await opened(store), Commit(1, [puts(*(thing(f"old{n}") for n in range(4)))]))
    second = (await store.open(things(2)))[-1]
    second = await committed(store, second, Commit(1, [puts(*(thing(f"new{n}") for n in range(4)))]))
    page = await store.query("things", Query("default", "things", limit=2))
    assert (page.build, page.state, page.version) == (first.number, "live", 1)
    assert await switched(store, second)
    rest = await store.query("things", Query("default", "things", limit=2, after=page.next))
    assert [r["name"] for r in [*page.rows, *rest.rows]] == ["old0", "old1", "old2", "old3"]
    assert (rest.build, rest.state, rest.version) == (first.number, "standby", 1)
    assert await names(store) == ["new0", "new1", "new2", "new3"]
    await store.drop("things", first.number)
    with pytest.raises(Conflict, match="is gone") as caught:
        await store.query("things", Query("default", "things", limit=2, after=page.next))
    assert "first page" in caught.value.hint


async def test_pages_of_a_build_that_is_gone_go_on_in_one_of_the_same_version(store: ReadModelStore) -> None:
    rows = [thing(f"n{n}") for n in range(5)]
    live = await committed(store, await opened(store), Commit(1, [puts(*rows)]))
    page = await store.query("things", Query("default", "things", limit=2))
    fresh = await committed(store, await store.rebuild(things()), Commit(1, [puts(*rows)]))
    assert await switched(store, fresh)
    await store.drop("things", live.number)
    rest = await store.query("things", Query("default", "things", after=page.next))
    assert [r["name"] for r in [*page.rows, *rest.rows]] == [f"n{n}" for n in range(5)]
    assert rest.build == fresh.number


async def test_a_build_that_is_not_live_yet_can_be_looked_at(store: ReadModelStore) -> None:
    await opened(store)
    fresh = await committed(store, await store.rebuild(things()), Commit(3, [puts(thing("new"))]))
    page = await store.query("things", Query("default", "things", build=fresh.number))
    assert ([r["name"] for r in page.rows], page.cursor, page.state) == (["new"], 3, "building")
    assert await names(store) == []
    with pytest.raises(NotFound, match="no build 4711"):
        await store.query("things", Query("default", "things", build=4711))
