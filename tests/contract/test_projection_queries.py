"""The contract of `ReadModelStore.query`: filters, orders, pages. Held by every adapter."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any, cast

import msgspec
import pytest

from events.errors import InvalidData, NotFound
from projections import Filter, Order, Query, ReadModelStore, parse_filter, parse_order
from projections.core.port import Commit
from tests.contract.read_models import committed, names, opened, puts, thing


@pytest.fixture
def store(read_models: ReadModelStore) -> ReadModelStore:
    return read_models


@pytest.fixture
async def shelf(store: ReadModelStore) -> ReadModelStore:
    rows = [
        thing("a", size=3, note="x%y", rank=1),
        thing("b", size=1, note=None, rank=None, good=False),
        thing("B", size=2, note="x_y", rank=3),
        thing("c", size=2, note="X", rank=2, weight=-1.0),
        thing("é", size=2, note="x", rank=None),
        thing("other", tenant="acme", size=2),
    ]
    await committed(store, await opened(store), Commit(9, [puts(*rows)]))
    return store


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size=2", "B c é"),
        ("size != 2", "a b"),
        ("size<2", "b"),
        ("size<=2", "B b c é"),
        ("size>2", "a"),
        ("size>=2", "B a c é"),
        ("size in 1,3", "a b"),
        ("name in a,zzz", "a"),
        ("note=x", "é"),
        ("note=null", "b"),
        ("note!=null", "B a c é"),
        ("note!=x", "B a b c"),
        ("rank=null", "b é"),
        ("rank>1", "B c"),
        ("rank!=1", "B b c é"),
        ("note^=x", "B a é"),
        ("note^=x%", "a"),
        ("note^=", "B a c é"),
        ("note*=_", "B"),
        ("note*=y", "B a"),
        ("good=false", "b"),
        ("weight<0", "c"),
        ("weight=0.5", "B a b é"),
        ("name>b", "c é"),
    ],
)
async def test_filters_select(shelf: ReadModelStore, text: str, expected: str) -> None:
    assert await names(shelf, where=[parse_filter(text)]) == sorted(expected.split())


async def test_filters_all_hold_at_once_and_bytes_compare(shelf: ReadModelStore) -> None:
    both = [parse_filter("size=2"), parse_filter("note^=x"), Filter("blob", "=", b"\x00\xff")]
    assert await names(shelf, where=both) == ["B", "é"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("name", "B a b c é"),
        ("-name", "é c b a B"),
        ("size,name", "b B c é a"),
        ("-size,name", "a B c é b"),
        ("-size", "a é c B b"),
        ("rank,-name", "a c B é b"),
        ("-rank,name", "b é B c a"),
        ("good,-size,name", "b a B c é"),
    ],
)
async def test_rows_are_ordered_and_pages_join_without_gap_or_double(
    shelf: ReadModelStore, order: str, expected: str
) -> None:
    assert await names(shelf, order=parse_order(order)) == expected.split()
    for limit in (1, 2, 3, 5):
        found: list[str] = []
        place: str | None = None
        while True:
            query = Query("default", "things", order=parse_order(order), limit=limit, after=place)
            page = await shelf.query("things", query)
            found += [r["name"] for r in page.rows]
            place = page.next
            if place is None:
                break
        assert found == expected.split()


async def test_pages_may_be_counted_off_instead(shelf: ReadModelStore) -> None:
    assert await names(shelf, limit=2, offset=1) == ["a", "b"]
    page = await shelf.query("things", Query("default", "things", limit=2, offset=3))
    assert ([r["name"] for r in page.rows], page.next) == (["c", "é"], None)


async def test_tenants_see_their_own_rows_only(shelf: ReadModelStore) -> None:
    assert await names(shelf, tenant="acme") == ["other"]
    assert await names(shelf, tenant="nobody") == []
    assert await names(shelf, tenant="acme", where=[parse_filter("tenant=default")]) == []
    assert len(await names(shelf, tenant=None)) == 6


async def test_a_page_says_how_far_its_rows_are(shelf: ReadModelStore) -> None:
    page = await shelf.query("things", Query("nobody", "things"))
    assert (page.rows, page.next, page.cursor, page.version) == ([], None, 9, 1)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (Query("default"), "which table"),
        (Query("default", "nothing"), "'nothing'"),
        (Query("default", "things", limit=0), "limit 0"),
        (Query("default", "things", limit=100_000), "limit 100000"),
        (Query("default", "things", offset=-1), "offset -1"),
        (Query("default", "things", where=[Filter("colour", "=", 1)]), "'colour'"),
        (Query("default", "things", where=[Filter("extra", "=", "{}")]), "extra"),
        (Query("default", "things", where=[Filter("size", "=", "big")]), "'big'"),
        (Query("default", "things", where=[Filter("size", "=", True)]), "True"),
        (Query("default", "things", where=[Filter("size", "=", 2**70)]), "size"),
        (Query("default", "things", where=[Filter("size", "=", None)]), "None"),
        (Query("default", "things", where=[Filter("size", "^=", "1")]), "text"),
        (Query("default", "things", where=[Filter("size", "in", "1")]), "list"),
        (Query("default", "things", where=[Filter("name", "=", "a\0b")]), "not text"),
        (Query("default", "things", where=[Filter("name", "=", "\ud800")]), "not text"),
        (Query("default", "things", where=[Filter("name", cast("Any", "~"), "x")]), "'~'"),
        (Query("default", "things", where=[Filter("name", "=", "x")] * 30), "30 filters"),
        (Query("default", "things", order=[Order("extra")]), "extra"),
        (Query("default", "things", order=[Order("x; drop table")]), "drop table"),
        (Query("default", "things", after="!!"), "place"),
        (Query("default", "things", after="WyJzaXplIixbMV1d"), "place"),
    ],
)
async def test_a_query_that_does_not_fit_is_refused_by_name(shelf: ReadModelStore, query: Query, says: str) -> None:
    with pytest.raises(InvalidData, match=says):
        await shelf.query("things", query)


@pytest.mark.parametrize("text", ["", "size", "=3", "size~3", "a b=3", "Size=1"])
def test_what_is_not_a_filter_is_refused(text: str) -> None:
    with pytest.raises(InvalidData, match="not a filter"):
        parse_filter(text)


@pytest.mark.parametrize("text", ["", ",", "-", "name,,size"])
def test_what_is_not_an_order_is_refused(text: str) -> None:
    with pytest.raises(InvalidData, match="not an order"):
        parse_order(text)


async def test_a_page_of_another_order_does_not_continue_this_one(shelf: ReadModelStore) -> None:
    page = await shelf.query("things", Query("default", "things", order=[Order("size")], limit=1))
    with pytest.raises(InvalidData, match="place"):
        await shelf.query("things", Query("default", "things", order=[Order("size", True)], after=page.next))


async def test_an_unknown_projection_is_not_found(store: ReadModelStore) -> None:
    with pytest.raises(NotFound, match="'nothing'"):
        await store.query("nothing", Query("default"))


async def test_a_forged_place_is_a_value_not_a_command(shelf: ReadModelStore) -> None:
    token = urlsafe_b64encode(msgspec.json.encode([1, 1, "tenant,name", ["default", "'; drop table x; --"]])).decode()
    assert await names(shelf, after=token) == ["B", "a", "b", "c", "é"]
