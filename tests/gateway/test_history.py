"""The history of an actor: every version with its event and the state after it, in one go."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.gateway.site import Site


async def versions(site: Site, path: str, **how: Any) -> tuple[list[tuple[int, Any]], str]:
    """(id, state) of each version, and the last thing said."""
    status, headers, body = await site.call("GET", path, **how)
    assert (status, headers["Content-Type"]) == (200, "text/event-stream"), body
    found: list[tuple[int, Any]] = []
    *records, last, rest = body.decode().split("\n\n")
    assert rest == ""
    for record in records[1:]:
        id, data = record.split("\n")
        step = msgspec.json.decode(data.removeprefix("data: "))
        assert step["event"]["version"] == int(id.removeprefix("id: "))
        found.append((step["event"]["version"], step["state"]))
    return found, last


async def test_every_version_comes_with_its_state(site: Site) -> None:
    for amount in (5, 3, -2):
        await site.ask("counter/one", {"amount": amount})
    found, last = await versions(site, "/v1/actors/counter/one/history")
    assert found == [(1, {"total": 5}), (2, {"total": 8}), (3, {"total": 6})]
    assert last == "event: end\ndata: 3"
    found, last = await versions(site, "/v1/actors/counter/one/history", params={"from": "2", "to": "2"})
    assert (found, last) == ([(2, {"total": 8})], "event: end\ndata: 2")
    found, _ = await versions(site, "/v1/actors/counter/one/history", headers={"Last-Event-ID": "2"})
    assert found == [(3, {"total": 6})]


async def test_a_history_longer_than_a_page_is_whole(site: Site) -> None:
    for n in range(1203):
        await site.ask("counter/long", {"amount": 1}, key=str(n))
    found, _ = await versions(site, "/v1/actors/counter/long/history")
    assert found == [(n, {"total": n}) for n in range(1, 1204)]
    found, _ = await versions(site, "/v1/actors/counter/long/history", params={"from": "999", "to": "1001"})
    assert found == [(n, {"total": n}) for n in range(999, 1002)]


async def test_a_fork_shows_its_sources_past(site: Site) -> None:
    for amount in (5, 3, -2):
        await site.ask("counter/one", {"amount": amount})
    await site.call("POST", "/v1/actors/counter/one/fork", json={"version": 2, "to": "counter/two"})
    await site.ask("counter/two", {"amount": 100})
    found, _ = await versions(site, "/v1/actors/counter/two/history")
    assert [state["total"] for _, state in found] == [5, 8, 8, 108]


async def test_what_is_not_there_is_a_problem_and_no_stream(site: Site) -> None:
    await site.ask("counter/one", {"amount": 5})
    for path, status, code in (
        ("counter/none/history", 404, "not-found"),
        ("counter/one/history?from=2", 404, "not-found"),
        ("counter/one/history?from=2&to=1", 400, "invalid-data"),
        ("counter/one/history?from=0", 400, "invalid-data"),
    ):
        found, _, problem = await site.call("GET", f"/v1/actors/{path}")
        assert (found, problem["code"]) == (status, code), path


async def test_an_actor_may_be_called_history(site: Site) -> None:
    await site.ask("counter/of%2Fhistory", {"amount": 5})
    assert (await site.get("/v1/actors/counter/of%2Fhistory"))["address"] == "counter/of/history"
    found, _ = await versions(site, "/v1/actors/counter/of%2Fhistory/history")
    assert found == [(1, {"total": 5})]
