"""Read models, lineage, health and metrics over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from events.errors import StoreUnavailable
from gateway.http import Check, Sample
from gateway.http.metrics import METRICS
from tests.gateway.site import Site, event, serving


async def fill(site: Site) -> int:
    await site.publish(*(event(str(n), source=f"/s{n}") for n in range(9)))
    return await site.store.head()


async def test_rows_are_filtered_sorted_and_paged(site: Site) -> None:
    head = await fill(site)
    params: list[tuple[str, Any]] = [("where", "position>2"), ("where", "position<=8"), ("sort", "-position")]
    page = await site.get("/v1/projections/events", params=[*params, ("wait", head), ("limit", 4)])
    assert [row["position"] for row in page["rows"]] == [8, 7, 6, 5]
    rest = await site.get("/v1/projections/events", params=[*params, ("limit", 4), ("after", page["next"])])
    assert [row["position"] for row in rest["rows"]] == [4, 3]
    assert (rest["next"], rest["position"], rest["projection"]) == (None, head, "events")


async def test_bad_questions_to_a_projection_are_named(site: Site) -> None:
    head = await fill(site)
    for params, says in (
        ({"where": "nonsense"}, "filter"),
        ({"where": "colour=red"}, "colour"),
        ({"sort": "colour"}, "colour"),
        ({"after": "garbage"}, "after"),
        ({"table": "other"}, "other"),
        ({"limit": "0"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"wait": "-1"}, "wait"),
        ({"offset": "x"}, "offset"),
    ):
        status, _, body = await site.call("GET", "/v1/projections/events", params={"wait": head, **params})
        assert (status, body["code"]) == (400, "invalid-data"), params
        assert says in body["detail"]
    status, _, body = await site.call("GET", "/v1/projections/none")
    assert (status, body["code"]) == (404, "not-found")
    status, _, body = await site.call("GET", "/v1/projections/none?wait=1")
    assert (status, body["code"]) == (404, "not-found")


async def test_waiting_for_a_position_that_does_not_come_ends(site: Site) -> None:
    headers = {"Prefer": "wait=0.1"}
    status, _, body = await site.call("GET", "/v1/projections/events?wait=1000", headers=headers)
    assert (status, body["code"]) == (504, "deadline-exceeded")


async def test_projections_are_listed_and_rebuilt(site: Site) -> None:
    head = await fill(site)
    await site.get(f"/v1/projections/events?wait={head}")
    listed = {row["name"]: row for row in (await site.get("/v1/projections"))["projections"]}
    assert {"actors", "events", "inbox", "lineage", "throughput"} <= set(listed)
    assert listed["events"]["position"] == head
    assert "position" in listed["events"]["tables"]["events"]
    status, _, body = await site.call("POST", "/v1/projections/events/rebuild")
    assert (status, body["name"]) == (202, "events")
    status, _, body = await site.call("POST", "/v1/projections/none/rebuild", json={})
    assert (status, body["code"]) == (404, "not-found")


async def test_lineage_goes_up_and_down_and_tells_sources_apart(site: Site) -> None:
    await site.publish(event("a"), event("b", source="/one"), event("b", source="/two"))
    found = await site.get("/v1/lineage/a")
    assert found["event"]["position"] == 1
    assert (found["event"]["id"], found["event"]["source"]) == ("a", "/test")
    await site.publish(event("c", causationid="/test a", source="/x"))
    found = await site.get("/v1/lineage/a")
    assert [node["id"] for node in found["down"]] == ["c"]
    found = await site.get("/v1/lineage/c")
    assert [node["id"] for node in found["up"]] == ["a"]
    status, _, body = await site.call("GET", "/v1/lineage/b")
    assert (status, body["code"]) == (409, "conflict")
    assert "/one" in body["hint"]
    assert (await site.get("/v1/lineage/b?source=/two"))["event"]["source"] == "/two"
    status, _, body = await site.call("GET", "/v1/lineage/none")
    assert (status, body["code"]) == (404, "not-found")


async def test_an_actors_event_is_found_by_its_own_id(site: Site) -> None:
    await site.ask("counter/one", {"amount": 1})
    (shown,) = (await site.get("/v1/events"))["events"]
    found = await site.get(f"/v1/lineage/{shown['id']}")
    assert (found["event"]["stream"], found["roots"][0]["id"]) == ("counter/one", shown["id"])


async def test_the_process_is_alive_and_ready(site: Site) -> None:
    assert await site.get("/healthz") == {"status": "ok"}
    assert await site.get("/readyz") == {"ready": True, "checks": {"store": {"ok": True, "detail": ""}}}


async def test_it_is_not_ready_when_a_check_fails_but_alive(site: Site) -> None:
    async def checks() -> Mapping[str, Check]:
        return {"bus": Check(False, "not connected")}

    site.door.checks = checks
    status, _, body = await site.call("GET", "/readyz")
    assert (status, body["ready"]) == (503, False)
    assert body["checks"]["bus"] == {"ok": False, "detail": "not connected"}

    class Gone:
        async def head(self) -> int:
            raise StoreUnavailable("Postgres does not answer")

    site.door.store = Gone()  # pyright: ignore[reportAttributeAccessIssue]
    status, _, body = await site.call("GET", "/readyz")
    assert (status, body["checks"]["store"]["ok"]) == (503, False)
    assert (await site.call("GET", "/healthz"))[0] == 200
    status, headers, body = await site.call("GET", "/v1/events")
    assert (status, body["code"]) == (503, "store-unavailable")
    assert headers["Retry-After"] == "1"


async def test_metrics_are_what_the_table_says(site: Site) -> None:
    await fill(site)
    site.door.samples = lambda: [Sample("thespis_other", "gauge", 'a "label"', 1.5, (("name", 'x"\n\\'),))]
    await site.get("/v1/events")
    status, headers, body = await site.call("GET", "/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = body.decode().splitlines()
    assert 'thespis_http_requests_total{route="/v1/events",method="GET",status="200"} 1' in lines
    assert "thespis_http_published_events_total 9" in lines
    assert "thespis_log_head 9" in lines
    assert 'thespis_other{name="x\\"\\n\\\\"} 1.5' in lines
    assert {line.split()[2] for line in lines if line.startswith("# TYPE")} == {*METRICS, "thespis_other"}
    count = next(line for line in lines if line.startswith('thespis_http_request_seconds_count{route="/v1/events"}'))
    assert count.endswith(" 2")


async def test_the_module_documents_every_metric() -> None:
    from gateway.http import metrics

    documented = [line for line in (metrics.__doc__ or "").splitlines() if line.startswith("| thespis_")]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in documented]
    assert [row[:3] for row in rows] == [(name, kind, ", ".join(labels)) for name, (kind, labels, _) in METRICS.items()]


async def test_everything_needs_its_scope() -> None:
    async with serving(require_token=True) as site:
        status, _, body = await site.call("GET", "/metrics")
        assert (status, body["code"]) == (401, "unauthenticated")
        assert (await site.call("GET", "/healthz"))[0] == 200
        assert (await site.call("GET", "/readyz"))[0] == 200


async def test_a_parked_key_is_listed_retried_and_let_go(site: Site) -> None:
    assert await site.get("/v1/projections/moody/parked") == {"parked": []}
    await site.publish(event("1", source="/good"), event("2", source="/bad"), event("3", source="/bad"))
    await site.get("/v1/projections/moody", params={"wait": await site.store.head()})
    (parked,) = (await site.get("/v1/projections/moody/parked"))["parked"]
    assert (parked["key"], parked["position"], parked["held"]) == ("default/feed/bad", 2, 2)
    assert "not in the mood" in parked["error"]

    async def free(action: str, key: str = "default/feed/bad", **more: str) -> tuple[int, Any]:
        body = {"key": key, "action": action, "reason": "mended"} | more
        status, _, out = await site.call("POST", "/v1/projections/moody/parked", json=body)
        return status, out

    status, out = await free("retry")
    assert (status, out["parked"]["key"], out["events"]) == (200, "default/feed/bad", 0)
    assert (await free("discard")) == (200, {"events": 2, "parked": None})
    assert await site.get("/v1/projections/moody/parked") == {"parked": []}
    assert (await free("retry"))[0] == 404
    assert (await free("forget"))[0] == 400
    assert (await site.call("GET", "/v1/projections/none/parked"))[0] == 404
