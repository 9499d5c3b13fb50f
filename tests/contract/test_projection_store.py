"""The contract of `ReadModelStore`: builds, rows, cursors and parked keys. Held by every adapter."""

from __future__ import annotations

import pytest

from events.errors import BadDefinition, Conflict, InvalidData, NotFound
from projections import Filter, Query, ReadModelStore
from projections.core.port import Commit, Decision, Held, Poisoned
from projections.core.rows import Change
from tests.contract.read_models import NAMES, THINGS, committed, inserts, names, opened, puts, switched, thing, things


@pytest.fixture
def store(read_models: ReadModelStore) -> ReadModelStore:
    return read_models


# -- builds


async def test_the_first_build_is_live_at_once_and_opening_again_changes_nothing(store: ReadModelStore) -> None:
    first = await opened(store)
    again = await store.open(things())
    assert (first.state, first.cursor, first.revision, first.version) == ("live", 0, 0, 1)
    assert again == [first] == await store.builds("things") == await store.builds()
    assert first.tables == things().layouts


async def test_a_higher_version_builds_beside_the_live_one_and_a_lower_one_makes_nothing(store: ReadModelStore) -> None:
    live = await opened(store)
    both = await store.open(things(2))
    assert [(b.version, b.state) for b in both] == [(1, "live"), (2, "building")]
    assert await store.open(things(2)) == both
    assert await switched(store, both[1])
    assert [b.state for b in await store.builds("things")] == ["standby", "live"]
    assert [b.version for b in await store.open(things(1))] == [1, 2]
    await store.drop("things", live.number)
    assert [b.version for b in await store.open(things(1))] == [2]
    assert live.number != both[1].number


async def test_a_version_abandoned_half_way_is_dropped_for_the_next(store: ReadModelStore) -> None:
    await opened(store)
    await store.open(things(2))
    assert [(b.version, b.state) for b in await store.open(things(3))] == [(1, "live"), (3, "building")]
    assert len(await store.builds("things")) == 2


async def test_changed_tables_need_a_new_version(store: ReadModelStore) -> None:
    await opened(store)
    with pytest.raises(BadDefinition, match="version is still 1"):
        await store.open(things(tables=(THINGS,)))
    assert len(await store.open(things(2, tables=(THINGS,)))) == 2


async def test_a_rebuild_is_one_at_a_time_and_starts_empty(store: ReadModelStore) -> None:
    live = await committed(store, await opened(store), Commit(5, [puts(thing("a"))]))
    fresh = await store.rebuild(things())
    assert (fresh.state, fresh.cursor, fresh.version) == ("building", 0, 1)
    assert await store.rebuild(things()) == fresh
    assert await store.load(fresh, "things", [("default", "a")]) == []
    assert [r["name"] for r in await store.load(live, "things", [("default", "a")])] == ["a"]


async def test_the_live_build_cannot_be_dropped_and_the_others_can(store: ReadModelStore) -> None:
    live = await opened(store)
    with pytest.raises(Conflict, match="is live"):
        await store.drop("things", live.number)
    fresh = await store.rebuild(things())
    await store.drop("things", fresh.number)
    with pytest.raises(NotFound):
        await store.drop("things", fresh.number)
    assert await store.commit(fresh, Commit(1)) is None
    assert await store.builds("things") == [live]


async def test_an_older_code_does_not_rebuild_what_is_live(store: ReadModelStore) -> None:
    await opened(store, things(2))
    with pytest.raises(Conflict, match="version 2"):
        await store.rebuild(things(1))


async def test_indexes_are_made_once_and_rows_stay(store: ReadModelStore) -> None:
    build = await committed(store, await opened(store), Commit(1, [puts(thing("a"), thing("b"))]))
    assert not build.indexed
    await store.index(build)
    assert (await store.builds("things"))[0].indexed
    assert await names(store, where=[Filter("size", "=", 1)]) == ["a", "b"]


# -- rows and cursor


async def test_rows_come_back_as_they_were_put(store: ReadModelStore) -> None:
    build = await opened(store)
    full = thing("ü\U0001f600", size=-(2**63), weight=1e300, good=False, note="", rank=2**63 - 1, tags=[1, "two", None])
    await committed(store, build, Commit(1, [puts(full, thing("bare"))]))
    keys = [("default", "ü\U0001f600"), ("default", "bare"), ("default", "nobody")]
    rows = await store.load(build, "things", keys)
    assert sorted(map(repr, (tuple(r.values()) for r in rows))) == sorted(map(repr, [full, thing("bare")]))
    page = await store.query("things", Query("default", "things"))
    assert sorted(map(repr, page.rows)) == sorted(map(repr, rows))


async def test_a_later_put_overwrites_and_a_delete_removes(store: ReadModelStore) -> None:
    build = await committed(store, await opened(store), Commit(1, [puts(thing("a"), thing("b"))]))
    change = Change(THINGS.layout(), [], [thing("a", size=9)], [("default", "b"), ("default", "nobody")])
    await committed(store, build, Commit(2, [change]))
    page = await store.query("things", Query("default", "things"))
    assert [(r["name"], r["size"]) for r in page.rows] == [("a", 9)]


async def test_a_table_of_nothing_but_its_key_can_be_put_twice(store: ReadModelStore) -> None:
    build = await opened(store)
    for cursor in (1, 2):
        build = await committed(store, build, Commit(cursor, [Change(NAMES.layout(), [], [("ada",)], [])]))
    assert (await store.query("things", Query("default", "names"))).rows == [{"name": "ada"}]


@pytest.mark.parametrize("count", [3, 500])
async def test_many_rows_are_inserted_and_an_existing_one_stops_all_of_them(store: ReadModelStore, count: int) -> None:
    build = await opened(store)
    rows = [("default", n, f"text {n}") for n in range(count)]
    build = await committed(store, build, Commit(count, [inserts(*rows)]))
    with pytest.raises(InvalidData):
        await store.commit(build, Commit(count + 1, [puts(thing("a")), inserts(("default", count, "new"), rows[1])]))
    assert await names(store) == []
    page = await store.query("things", Query("default", "log", limit=1000))
    assert (len(page.rows), page.cursor) == (count, count)
    assert await store.commit(build, Commit(count + 1)) is not None


async def test_a_row_that_does_not_fit_stops_the_whole_commit(store: ReadModelStore) -> None:
    build = await opened(store)
    with pytest.raises(InvalidData):
        await store.commit(build, Commit(1, [inserts(("default", 1, "twice"), ("default", 1, "twice"))]))
    assert (await store.builds("things"))[0] == build


async def test_the_cursor_is_compared_and_set_with_the_rows(store: ReadModelStore) -> None:
    build = await opened(store)
    moved = await committed(store, build, Commit(3, [puts(thing("mine"))]))
    assert (moved.cursor, moved.revision) == (3, 1)
    assert await store.commit(build, Commit(3, [puts(thing("theirs"))])) is None
    assert await names(store) == ["mine"]
    assert await store.builds("things") == [moved]


# -- parked keys


async def test_a_parked_key_holds_events_until_they_are_released(store: ReadModelStore) -> None:
    build = await opened(store)
    first = Commit(3, poisoned=[Poisoned("k", 2, "ValueError: no")], held=[Held("k", 2), Held("k", 3)])
    build = await committed(store, build, first)
    build = await committed(store, build, Commit(5, held=[Held("k", 5)]))
    parked = (await store.parked(build))[0]
    assert (parked.key, parked.position, parked.error, parked.held) == ("k", 2, "ValueError: no", 3)
    assert parked.since > 1_600_000_000_000_000
    assert build.parked == 1 == (await store.builds("things"))[0].parked
    assert await store.held(build, "k", 2) == [2, 3]
    again = Commit(5, poisoned=[Poisoned("k", 3, "still no")], released=[Held("k", 2)])
    build = await committed(store, build, again)
    assert [(p.position, p.error, p.held, p.since) for p in await store.parked(build)] == [
        (3, "still no", 2, parked.since)
    ]
    rest = Commit(5, released=[Held("k", 3), Held("k", 5)], decision=Decision("k", "discard", "ada", "junk", 2))
    build = await committed(store, build, rest)
    assert (await store.parked(build), await store.held(build, "k", 10), build.parked) == ([], [], 0)
    assert [d for _, d in await store.decisions("things")] == [rest.decision]


async def test_parked_keys_belong_to_their_build(store: ReadModelStore) -> None:
    live = await committed(
        store, await opened(store), Commit(1, poisoned=[Poisoned("k", 1, "no")], held=[Held("k", 1)])
    )
    fresh = await store.rebuild(things())
    assert (fresh.parked, await store.parked(fresh)) == (0, [])
    await switched(store, await committed(store, fresh, Commit(1)))
    await store.drop("things", live.number)
    assert await store.parked(live) == []


@pytest.mark.parametrize("kind", ["put", "insert", "nothing", "many", "both", "names"])
async def test_every_shape_of_commit_is_compared_and_set(store: ReadModelStore, kind: str) -> None:
    changes = {
        "put": [puts(thing("a"))],
        "insert": [inserts(("default", 1, "x"))],
        "nothing": [],
        "many": [inserts(*(("default", n, "x") for n in range(300)))],
        "both": [puts(thing("a")), inserts(("default", 1, "x"))],
        "names": [Change(NAMES.layout(), [], [("ada",)], [])],
    }[kind]
    build = await opened(store)
    await committed(store, build, Commit(1))
    assert await store.commit(build, Commit(2, changes)) is None
    assert (await store.builds("things"))[0].cursor == 1
    for table in ("things", "log", "names"):
        assert (await store.query("things", Query("default", table))).rows == []
    current = (await store.builds("things"))[0]
    stored = await committed(store, current, Commit(3, changes))
    assert (stored.cursor, stored.revision) == (3, 2)
    written = [
        len((await store.query("things", Query("default", t, limit=1000))).rows) for t in ("things", "log", "names")
    ]
    assert sum(written) == {"nothing": 0, "many": 300, "both": 2}.get(kind, 1)
