"""Builds of projections over HTTP, and who reads the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.http.door import Consumer
from projections.core.port import Build
from tests.gateway.site import Site, event
from tests.projections.scenes import eventually


async def fill(site: Site, first: int = 0) -> int:
    await site.publish(*(event(str(n), source=f"/s{n}") for n in range(first, first + 9)))
    head = await site.store.head()
    await site.get(f"/v1/projections/events?wait={head}")
    return head


async def rebuilt(site: Site) -> Build:
    """The projection `events` rebuilt; returns the build before."""
    (before,) = [b for b in await site.door.models.builds("events") if b.state == "live"]
    status, _, begun = await site.call("POST", "/v1/projections/events/rebuild")
    assert status == 202

    async def live() -> bool:
        builds = await site.door.models.builds("events")
        return any(b.number == begun["build"] and b.state == "live" for b in builds)

    await eventually(live)
    return before


async def test_builds_are_listed_switched_and_dropped(site: Site) -> None:
    head = await fill(site)
    before = await rebuilt(site)
    found = await site.get("/v1/projections/events/builds")
    old, new = found["builds"]
    assert (old["build"], old["state"], new["state"], new["position"]) == (before.number, "standby", "live", head)
    assert old["kept_until"] > new["created"] > 1_600_000_000_000_000
    (switch,) = found["switches"]
    assert (switch["by"], switch["position"], switch["comparison"]["compared"]) == ("projector", head, 9)
    assert (switch["comparison"]["differing"], switch["recorded"]) == (0, None)

    body = {"to": old["build"], "reason": "to see"}
    status, _, done = await site.call("POST", "/v1/projections/events/switch", json=body)
    assert (status, done["to_build"], done["reason"], done["position"]) == (200, old["build"], "to see", head)
    assert (await site.call("POST", "/v1/projections/events/switch", json=body))[2] == done
    status, _, out = await site.call("POST", "/v1/projections/events/drop", json={"build": old["build"]})
    assert (status, out["code"]) == (409, "conflict")
    status, _, out = await site.call("POST", "/v1/projections/events/drop", json={"build": new["build"]})
    assert (status, out) == (200, {"name": "events", "build": new["build"]})
    assert len((await site.get("/v1/projections/events/builds"))["builds"]) == 1


async def test_what_is_not_there_cannot_be_switched_or_dropped(site: Site) -> None:
    await fill(site)
    for path, body, expected in (
        ("events/switch", {"to": 4711, "reason": "x"}, 404),
        ("none/switch", {"to": 1, "reason": "x"}, 404),
        ("events/switch", {"to": 1}, 400),
        ("events/switch", {"to": "1", "reason": "x"}, 400),
        ("events/drop", {"build": 4711}, 404),
        ("none/drop", {"build": 1}, 404),
    ):
        status, _, out = await site.call("POST", f"/v1/projections/{path}", json=body)
        assert status == expected, out
    assert (await site.call("GET", "/v1/projections/none/builds"))[0] == 404
    assert (await site.call("GET", "/v1/projections/events?build=4711"))[0] == 404


async def test_pages_go_on_in_their_build_and_say_how_far_it_is(site: Site) -> None:
    head = await fill(site)
    first = await site.get("/v1/projections/events", params={"sort": "position", "limit": 4})
    before = await rebuilt(site)
    params: dict[str, Any] = {"sort": "position", "limit": 100, "after": first["next"], "wait": head}
    rest = await site.get("/v1/projections/events", params=params)
    assert [r["position"] for r in [*first["rows"], *rest["rows"]]] == list(range(1, head + 1))
    assert first["build"] == rest["build"] == before.number
    assert (rest["position"], rest["lag"], rest["stale_since"]) == (head, 0, None)
    later = await fill(site, 20)
    rest = await site.get("/v1/projections/events", params=params | {"wait": later})
    assert (rest["build"], rest["position"]) == (before.number, later)
    page = await site.get("/v1/projections/events", params={"build": before.number, "limit": 1})
    assert page["build"] == before.number


async def test_who_reads_the_log_is_shown_with_what_waits(site: Site) -> None:
    async def consumers() -> Sequence[Consumer]:
        return [
            Consumer("spool", "spool", 7, 3, True, "2 in hand"),
            Consumer("relay", "relay", None, None, False, "away"),
        ]

    site.door.consumers = consumers
    head = await fill(site)
    found = await site.get("/v1/consumers")
    shown = {c["name"]: c for c in found["consumers"]}
    assert (shown["spool"]["lag"], shown["spool"]["detail"], shown["relay"]["lag"]) == (3, "2 in hand", None)
    assert (shown["events"]["kind"], shown["events"]["position"], shown["events"]["here"]) == ("projection", head, True)
    _, _, text = await site.call("GET", "/metrics")
    lines = text.decode().splitlines()
    assert 'thespis_consumer_lag{consumer="spool"} 3' in lines
    assert not any(line.startswith('thespis_consumer_lag{consumer="relay"}') for line in lines)
