"""GET /v1/events: the log by position, filtered, page by page."""

from __future__ import annotations

import pytest

from events.store import EventStore
from gateway.http.events import version_at
from gateway.tokens import create_token
from infra.memory.tokens import MemoryTokens
from tests.gateway.site import Site, event, serving


async def fill(site: Site) -> None:
    """Positions 1 … 30: three sources in turn, two types."""
    for n in range(30):
        await site.publish(
            event(str(n), "Even" if n % 2 == 0 else "Odd", source=f"/s{n % 3}", correlationid=f"c{n % 5}")
        )


async def test_an_event_shows_all_that_was_promised(site: Site) -> None:
    await site.publish(event("a", time="2020-02-29T12:00:00Z", extra="x"))
    status, answer = await site.ask("counter/one", {"amount": 5}, key="k")
    assert status == 200
    page = await site.get("/v1/events")
    foreign, own = page["events"]
    assert (
        foreign.items()
        >= {
            "position": 1,
            "id": "a",
            "source": "/test",
            "type": "Noticed",
            "tenant": "default",
            "stream": "feed/test",
            "version": 1,
            "schema": 1,
            "time": "2020-02-29T12:00:00Z",
            "data": {"n": 1},
            "extensions": {"extra": "x"},
        }.items()
    )
    assert own["source"] == "/default/counter/one"
    assert own["data"] == {"amount": 5}
    assert own["causation"] == own["correlation"] == answer["id"]
    assert own["time"] == own["recorded"]
    assert (page["next"], page["more"], page["head"]) == (2, False, 2)


async def test_after_is_exclusive_and_next_goes_on_without_gap_or_double(site: Site) -> None:
    await fill(site)
    seen: list[int] = []
    after, more = 0, True
    while more:
        page = await site.get("/v1/events", params={"after": after, "limit": 7})
        assert len(page["events"]) <= 7
        seen += [e["position"] for e in page["events"]]
        after, more = page["next"], page["more"]
    assert seen == list(range(1, 31))
    page = await site.get("/v1/events", params={"after": after})
    assert (page["events"], page["next"]) == ([], 30)


@pytest.mark.parametrize("limit", [1, 4, 100])
@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"type": ["Even"]}, lambda n: n % 2 == 0),
        ({"type": ["Even", "Odd"]}, lambda n: True),
        ({"type": ["Never"]}, lambda n: False),
        ({"stream": ["feed/s1"]}, lambda n: n % 3 == 1),
        ({"stream": ["feed/s1"], "type": ["Odd"]}, lambda n: n % 3 == 1 and n % 2 == 1),
        ({"correlation": ["c2"]}, lambda n: n % 5 == 2),
        ({"correlation": ["c2"], "type": ["Even"]}, lambda n: n % 5 == 2 and n % 2 == 0),
        ({"correlation": ["c2"], "stream": ["feed/s0"]}, lambda n: n % 5 == 2 and n % 3 == 0),
        ({"stream": ["feed/nowhere"]}, lambda n: False),
    ],
)
async def test_filters_page_through_exactly_what_they_name(site: Site, limit: int, filters: dict, wanted) -> None:
    await fill(site)
    for start in (0, 7, 29, 30):
        found: list[int] = []
        after, more = start, True
        while more:
            pairs = [(name, value) for name, values in filters.items() for value in values]
            page = await site.get("/v1/events", params=[*pairs, ("after", after), ("limit", limit)])
            assert page["next"] >= after
            found += [e["position"] for e in page["events"]]
            after, more = page["next"], page["more"]
        assert found == [n + 1 for n in range(30) if wanted(n) and n + 1 > start]


async def test_a_filter_that_little_passes_answers_in_parts() -> None:
    async with serving(max_scan=10) as site:
        await fill(site)
        tokens = [await site.get("/v1/events", params={"type": "Never", "after": after}) for after in (0, 10)]
        assert [page["events"] for page in tokens] == [[], []]
        found, after, more, pages = [], 0, True, 0
        while more:
            page = await site.get("/v1/events", params={"after": after, "limit": 3})
            found += page["events"]
            after, more, pages = page["next"], page["more"], pages + 1
        assert [e["position"] for e in found] == list(range(1, 31))


async def test_what_is_acknowledged_is_found_by_its_correlation_at_once(site: Site) -> None:
    for n in range(20):
        await site.publish(event(str(n), correlationid=f"x{n}"))
        page = await site.get("/v1/events", params={"correlation": f"x{n}"})
        assert [e["id"] for e in page["events"]] == [str(n)]


async def test_the_version_at_a_position_is_found_by_halving(site: Site) -> None:
    await fill(site)
    store: EventStore = site.store  # pyright: ignore[reportAssignmentType]
    for position in range(32):
        expected = sum(1 for n in range(30) if n % 3 == 0 and n + 1 <= position)
        assert await version_at(store, "default", "feed/s0", position) == expected
        assert await version_at(store, "default", "feed/nowhere", position) == 0


async def test_one_event_is_found_by_its_position(site: Site) -> None:
    await site.publish(event("a"))
    assert (await site.get("/v1/events/1"))["id"] == "a"
    status, _, body = await site.call("GET", "/v1/events/2")
    assert (status, body["code"]) == (404, "not-found")
    status, _, body = await site.call("GET", "/v1/events/0")
    assert (status, body["code"]) == (400, "invalid-data")


async def test_a_tenant_sees_its_own_events_only() -> None:
    tokens = MemoryTokens()
    ada, _ = await create_token(tokens, "ada", ["admin"], tenant="acme")
    bob, _ = await create_token(tokens, "bob", ["admin"], tenant="zoo")
    async with serving(tokens, max_scan=5) as site:
        for n in range(20):
            headers = {"Authorization": f"Bearer {bob if n % 4 else ada}"}
            status, _ = await site.publish(event("same", source=f"/s{n}", correlationid="c"))
            status, _, _ = await site.call(
                "POST",
                "/v1/events",
                json=event("same", source=f"/s{n}", correlationid="c"),
                headers=headers | {"Content-Type": "application/cloudevents+json"},
            )
            assert status == 200
        headers = {"Authorization": f"Bearer {ada}"}
        for filters in ({}, {"type": "Noticed"}, {"correlation": "c"}):
            found, after, more = [], 0, True
            while more:
                page = await site.get("/v1/events", params={"after": after, "limit": 3, **filters}, headers=headers)
                found += page["events"]
                after, more = page["next"], page["more"]
            assert [e["source"] for e in found] == [f"/s{n}" for n in range(0, 20, 4)]
            assert {e["tenant"] for e in found} == {"acme"}
        page = await site.get("/v1/events", params={"stream": "feed/s1"}, headers=headers)
        assert page["events"] == []
        mine = found[0]["position"]
        assert (await site.call("GET", f"/v1/events/{mine}", headers=headers))[0] == 200
        assert (await site.call("GET", f"/v1/events/{mine}", headers={"Authorization": f"Bearer {bob}"}))[0] == 404
        assert (await site.call("GET", "/v1/actors/feed/s1", headers=headers))[0] == 404
        actors = await site.get("/v1/actors", params={"wait": await site.store.head()}, headers=headers)
        assert {row["address"] for row in actors["actors"]} == {f"feed/s{n}" for n in range(0, 20, 4)}


async def test_a_page_of_large_events_ends_before_it_fills_the_memory(site: Site) -> None:
    for n in range(20):
        await site.publish(event(str(n), data="x" * 900_000, correlationid="c"))
    for filters in ({}, {"type": "Noticed"}, {"stream": "feed/test"}, {"correlation": "c"}):
        found, after, more, sizes = [], 0, True, []
        while more:
            page = await site.get("/v1/events", params={"after": after, "limit": 1000, **filters})
            sizes.append(len(page["events"]))
            found += [e["position"] for e in page["events"]]
            after, more = page["next"], page["more"]
        assert found == list(range(1, 21))
        assert max(sizes) == 10
