"""Workflows over HTTP, on a real host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.host import HostProcess
from tests.servers import Postgres
from tests.workflows.world import Door, door, host

pytestmark = pytest.mark.timeout(180)

REVIEW = """
name: review
steps:
  draft: {value: {text: hello}}
  ask: {needs: [draft], approve: {what: "${ steps.draft.output }", title: Publish this?}}
  done: {needs: [ask], value: 1}
"""


@pytest.fixture(scope="module")
def served(postgres_shared: Postgres, workplace: Path) -> Iterator[HostProcess]:
    with host(postgres_shared, workplace) as process:
        yield process


@pytest.fixture
async def site(served: HostProcess) -> AsyncIterator[Door]:
    async with door(served.url) as found:
        await found.until("/v1/workflows", holds=lambda page: page["workflows"] and page["broken"])
        yield found


async def test_a_workspace_brings_its_definitions_and_a_broken_one_tells_everything(site: Door) -> None:
    found = await site.get("/v1/workflows")
    assert "doubling" in [one["name"] for one in found["workflows"]]
    (broken,) = found["broken"]
    assert broken["file"].endswith("broken.workflow.yaml")
    assert {(one["line"], one["column"] > 0) for one in broken["problems"]} == {(3, True), (4, True)}


async def test_a_run_is_started_and_waited_for(site: Door) -> None:
    run = await site.start("doubling", n=3)
    assert (run["status"], run["outputs"], run["inputs"], run["error"]) == (
        "succeeded",
        {"n": 12},
        {"n": 3, "most": 100},
        None,
    )
    assert run["steps"] == {"succeeded": 2}
    shown = await site.get(f"/v1/runs/{run['run']}")
    assert shown["outputs"] == {"n": 12}
    listed = await site.get("/v1/runs?workflow=doubling&status=succeeded")
    assert run["run"] in [one["run"] for one in listed["runs"]]
    assert listed["counts"]["succeeded"] >= 1


async def test_a_run_begins_with_the_context_variables_it_is_given_and_its_fork_goes_on_with_what_its_steps_set(
    site: Door,
) -> None:
    source = """
name: toned
variables: {tone: {type: string, default: plain}, seen: {type: array, merge: append}}
steps:
  look: {task: variables.set, with: {values: {seen: [one]}}}
  done: {needs: [look], value: 1}
"""
    await site.publish(source)
    body = {"variables": {"tone": "warm"}, "wait": 30}
    run = await site.post("/v1/workflows/toned/runs", body)
    assert run["status"] == "succeeded"
    actor = await site.get(f"/v1/actors/run/{run['run']}")
    assert actor["state"]["variables"]["values"] == {"tone": "warm", "seen": ["one"]}
    fork = await site.post(f"/v1/runs/{run['run']}/fork", {"from": "done"})
    await site.until(f"/v1/runs/{fork['run']}", holds=lambda found: found["status"] == "succeeded")
    forked = await site.get(f"/v1/actors/run/{fork['run']}")
    assert forked["state"]["variables"]["values"] == {"tone": "warm", "seen": ["one"]}
    wrong = await site.post("/v1/workflows/toned/runs", {"variables": {"tone": 3}}, status=422)
    assert (wrong["reason_code"], "variables.tone" in wrong["detail"]) == ("variables", True)


async def test_without_waiting_the_run_is_answered_as_it_stands_and_watched_to_its_end(site: Door) -> None:
    status, _, run = await site.call("POST", "/v1/workflows/doubling/runs", json={"inputs": {"n": 1}})
    assert (status, run["status"] in ("queued", "running")) in ((202, True), (200, False))
    events = await site.events(f"/v1/runs/{run['run']}/watch")
    assert (events[-1][1], events[-1][2]["status"]) == ("end", "succeeded")
    last = {data["step"]: data["status"] for _, name, data in events if name == "step"}
    assert last == {"once": "succeeded", "again": "succeeded"}
    # Whoever comes back gets what changed since, and the end again.
    again = await site.events(f"/v1/runs/{run['run']}/watch", **{"Last-Event-ID": events[-1][0]})
    assert [name for _, name, _ in again] == ["run", "end"]
    status, _, body = await site.call("GET", f"/v1/runs/{run['run']}/watch", headers={"Last-Event-ID": "x"})
    assert (status, body["code"]) == (400, "invalid-data")


async def test_the_timeline_tells_who_did_what_when(site: Door) -> None:
    run = await site.start("doubling", n=2)
    found = await site.get(f"/v1/runs/{run['run']}/timeline")
    assert [step["step"] for step in found["steps"]] == ["once", "again"]
    for step in found["steps"]:
        assert (step["status"], step["task"], step["attempt"]) == ("succeeded", "math.double@1", 1)
        states = [interval["state"] for interval in step["intervals"]]
        assert states in (["queued", "running"], ["running"])
        assert step["intervals"][-1]["to"] == step["ended"]
    first = await site.get(f"/v1/runs/{run['run']}/timeline?limit=1")
    rest = await site.get(f"/v1/runs/{run['run']}/timeline", params={"limit": 1, "after": first["next"]})
    assert [step["step"] for step in (*first["steps"], *rest["steps"])] == ["once", "again"]


async def test_the_graph_has_the_status_of_every_step(site: Door) -> None:
    run = await site.start("doubling", n=2)
    graph = await site.get(f"/v1/runs/{run['run']}/graph")
    assert {node["id"]: node["status"] for node in graph["nodes"]} == {"once": "succeeded", "again": "succeeded"}
    assert graph["edges"] == [{"from": "once", "to": "again"}]


async def test_a_run_is_shown_as_it_was(site: Door) -> None:
    run = await site.start("doubling", n=2)
    then = await site.get(f"/v1/runs/{run['run']}?at=3")
    assert (then["status"], then["at"], then["outputs"]) == ("running", 3, None)
    assert [(node["step"], node["status"]) for node in then["nodes"]] == [("once", "queued")]
    status, _, body = await site.call("GET", f"/v1/runs/{run['run']}?at=1000")
    assert (status, body["code"]) == (404, "not-found")


async def test_a_wrong_definition_is_refused_with_everything_that_is_wrong(site: Door) -> None:
    source = "name: wrong\nsteps:\n  a: {value: 1, need: [b]}\n  c: {task: math.dubble, needs: [d]}\n"
    found = await site.publish(source, status=422, params={"file": "my.yaml"})
    assert (found["code"], len(found["problems"]) >= 3) == ("definition", True)
    for problem in found["problems"]:
        assert (problem["file"], problem["line"] >= 3, problem["column"] > 0) == ("my.yaml", True, True)
        assert problem["message"]
    assert any("math.double" in problem["hint"] for problem in found["problems"])
    for source in ("", "[", "name: x\n", "- 1\n", "name: x\nsteps: {a: {value: 1}}\nname: y\n", "\t: {"):
        found = await site.publish(source, status=422)
        assert found["problems"], source
    latin = await site.call("POST", "/v1/workflows", data=b"name: \xff", headers={"Content-Type": "text/yaml"})
    assert (latin[0], latin[2]["code"]) == (400, "invalid-data")
    image = await site.call("POST", "/v1/workflows", data=b"{}", headers={"Content-Type": "image/png"})
    assert (image[0], image[2]["code"]) == (415, "unsupported-media-type")


async def test_json_is_a_definition_too_and_the_same_again_changes_nothing(site: Door) -> None:
    source = '{"name": "jsonic", "steps": {"a": {"value": 1}}}'
    headers = {"Content-Type": "application/json", "Idempotency-Key": "publish jsonic".replace(" ", "-")}
    first = await site.publish(source, headers=headers)
    assert (first["version"], first["published"], first["duplicate"]) == (1, True, False)
    again = await site.publish(source, headers=headers)
    assert (again["version"], again["published"], again["duplicate"]) == (1, True, True)
    same = await site.publish(source)
    assert (same["version"], same["published"]) == (1, False)
    newer = await site.publish(source.replace("1", "2"))
    assert newer["version"] == 2
    shown = await site.get("/v1/workflows/jsonic")
    assert [version["version"] for version in shown["versions"]] == [2, 1]
    assert (await site.get("/v1/workflows/jsonic/versions/1"))["source"] == source
    for path in ("/v1/workflows/none", "/v1/workflows/jsonic/versions/3", "/v1/workflows/jsonic/versions/99999999999"):
        assert (await site.call("GET", path))[0] == 404
    old = await site.post("/v1/workflows/jsonic/runs", {"version": 1, "wait": 20})
    assert old["version"] == 1
    assert (await site.post("/v1/workflows/jsonic/runs", {"version": 7}, status=404))["code"] == "not-found"


async def test_wrong_requests_for_a_run_are_named(site: Door) -> None:
    refused = await site.post("/v1/workflows/doubling/runs", {"inputs": {"n": "two", "most": []}}, status=422)
    assert (refused["code"], refused["reason_code"]) == ("refused", "inputs")
    assert "inputs.n" in refused["detail"]
    assert "inputs.most" in refused["detail"]
    nowhere = await site.post("/v1/workflows/none/runs", {}, status=404)
    assert nowhere["hint"] == "`GET /v1/workflows` lists them"
    bodies: list[Any] = [
        {"inputs": []}, {"input": {}}, {"version": 0}, {"version": "1"}, {"wait": -1}, {"wait": 61}, {"priority": 10},
        {"labels": {"a": 1}},
    ]  # fmt: skip
    for body in bodies:
        assert (await site.post("/v1/workflows/doubling/runs", body, status=400))["code"] == "invalid-data", body
    for query in ("status=done", "limit=0", "after=x", "workflows=a"):
        assert (await site.call("GET", f"/v1/runs?{query}"))[0] == 400, query


async def test_the_same_key_starts_one_run_even_at_once(site: Door) -> None:
    body = {"inputs": {"n": 7}, "wait": 20}
    found = await asyncio.gather(*(site.post("/v1/workflows/doubling/runs", body, key="at-once") for _ in range(5)))
    assert len({run["run"] for run in found}) == 1
    other = await site.post("/v1/workflows/doubling/runs", {"inputs": {"n": 8}}, key="at-once", status=409)
    assert other["code"] == "key-reused"


async def test_a_workflow_with_no_room_left_says_when_to_come_back(site: Door) -> None:
    await site.publish("name: narrow\nlimits: {runs: 1, queue: 1}\nsteps: {a: {wait: 1h}}\n")
    first = await site.post("/v1/workflows/narrow/runs", {}, status=202)
    second = await site.post("/v1/workflows/narrow/runs", {}, status=202)
    waiting = await site.get(f"/v1/runs/{second['run']}")
    assert (waiting["status"], waiting["waiting"][0]["reason"]) == ("queued", "its turn among the runs of narrow")
    headers = {"Idempotency-Key": "third"}
    for _ in range(2):
        status, answered, body = await site.call("POST", "/v1/workflows/narrow/runs", json={}, headers=headers)
        assert (status, body["code"], answered["Retry-After"]) == (429, "overloaded", "5")
    # One in line never begins; then there is room for the key that was refused.
    await site.post(f"/v1/runs/{second['run']}/cancel", {"reason": "not needed"})
    gone = await site.until(f"/v1/runs/{second['run']}", holds=lambda run: run["status"] == "cancelled")
    assert gone["started_at"] <= gone["finished_at"]
    third = await site.call("POST", "/v1/workflows/narrow/runs", json={}, headers=headers)
    assert (third[0], third[2]["status"]) == (202, "queued")
    await site.post(f"/v1/runs/{first['run']}/cancel", {})
    for run in (first, third[2]):
        if run is not first:
            await site.until(f"/v1/runs/{run['run']}", holds=lambda found: found["status"] == "running")
            await site.post(f"/v1/runs/{run['run']}/cancel", {})
        await site.until(f"/v1/runs/{run['run']}", holds=lambda found: found["status"] == "cancelled")


async def test_a_run_is_paused_and_goes_on(site: Door) -> None:
    await site.publish(
        "name: pausing\nsteps:\n  hold: {wait: {event: Go}}\n  next: {needs: [hold], task: math.double, with: {n: 1}}\n"
    )
    run = await site.post("/v1/workflows/pausing/runs", {}, status=202)
    path = f"/v1/runs/{run['run']}"
    held = await site.until(path, holds=lambda found: found["waiting"])
    assert (held["waiting"][0]["step"], "Go" in held["waiting"][0]["reason"]) == ("hold", True)
    paused = await site.post(f"{path}/pause", {"reason": "lunch"}, key="lunch")
    again = await site.post(f"{path}/pause", {"reason": "lunch"}, key="lunch")
    assert (paused["status"], paused["duplicate"], again["duplicate"]) == ("paused", False, True)
    assert (await site.post(f"{path}/signal", {"type": "Other"}))["matched"] == 0
    assert (await site.post(f"{path}/signal", {"type": "Go", "data": {"a": 1}}))["matched"] == 1
    waits = await site.until(path, holds=lambda found: any(w["step"] == "next" for w in found["waiting"]))
    assert (waits["paused"], "paused" in waits["waiting"][0]["reason"]) == (True, True)
    await site.post(f"{path}/resume")
    done = await site.until(path, holds=lambda found: found["status"] == "succeeded")
    assert done["paused"] is False
    for verb in ("pause", "resume"):
        assert (await site.post(f"{path}/{verb}", status=422))["reason_code"] == "not-running"
    await site.post(f"{path}/signal", {}, status=400)
    for verb in ("cancel", "pause", "resume", "retry"):
        await site.post(f"/v1/runs/none/{verb}", status=404)
        await site.post(f"/v1/runs/none/{verb}", {"nonsense": 1}, status=400)


async def test_items_of_a_large_map_are_steps_of_their_run(site: Door) -> None:
    await site.publish(
        "name: large\ninputs: {l: {type: array}}\nsteps:\n  m: {map: '${ inputs.l }', value: '${ item }'}\n"
    )
    run = await site.start("large", l=list(range(1200)))
    assert (run["status"], run["steps"]) == ("succeeded", {"succeeded": 1201})
    assert [one["run"] for one in (await site.get("/v1/runs?workflow=large"))["runs"]] == [run["run"]]
    names: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = await site.get(f"/v1/runs/{run['run']}/timeline", params={"limit": 1000, **after})
        names += [step["step"] for step in page["steps"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert sorted(names) == sorted(["m", *(f"m[{n}]" for n in range(1200))])
    graph = await site.get(f"/v1/runs/{run['run']}/graph")
    assert graph["nodes"][0]["counts"] == {"succeeded": 1200}


async def test_a_fork_takes_over_what_does_not_hang_on_the_step(site: Door) -> None:
    run = await site.start("doubling", n=3)
    path = f"/v1/runs/{run['run']}/fork"
    fork = await site.post(path, {"from": "again"}, key="fork")
    same = await site.post(path, {"from": "again"}, key="fork")
    assert (fork["reused"], fork["forked_from"], same["run"]) == (["once"], run["run"], fork["run"])
    done = await site.until(f"/v1/runs/{fork['run']}", holds=lambda found: found["status"] == "succeeded")
    assert (done["outputs"], done["forked_from"]) == ({"n": 12}, run["run"])
    steps = {s["step"]: s for s in (await site.get(f"/v1/runs/{fork['run']}/timeline"))["steps"]}
    assert (steps["once"]["cached"], steps["again"]["cached"]) == (run["run"], None)
    wrong = await site.post(path, {"from": "agin"}, status=400)
    assert "once, again" in wrong["hint"]
    assert "begin with once" in (await site.post(path, {"from": "once/inner"}, status=400))["hint"]
    assert (await site.post(path, {"from": "once", "inputs": {"n": "x"}}, status=422))["reason_code"] == "inputs"


async def test_approvals_are_given_in_the_name_of_the_token(site: Door) -> None:
    await site.publish(REVIEW)
    run = await site.post("/v1/workflows/review/runs", {}, status=202)
    page = await site.until(f"/v1/approvals?run={run['run']}", holds=lambda found: found["approvals"])
    (asked,) = page["approvals"]
    assert (asked["status"], asked["what"], asked["step"]) == ("waiting", {"text": "hello"}, "ask")
    waiting = (await site.get(f"/v1/runs/{run['run']}"))["waiting"]
    assert (waiting[0]["step"], waiting[0]["ref"]) == ("ask", f"approval/{asked['approval']}")
    path = f"/v1/approvals/{asked['approval']}"
    assert (await site.post(f"{path}/approve", {"digest": "other"}, status=422))["reason_code"] == "digest"
    both = await asyncio.gather(
        *(site.post(f"{path}/approve", {"digest": asked["digest"]}, key="yes") for _ in range(2))
    )
    assert sorted(answer["duplicate"] for answer in both) == [False, True]
    assert [answer["given"] for answer in both] == [["local"], ["local"]]
    await site.until(f"/v1/runs/{run['run']}", holds=lambda found: found["status"] == "succeeded")
    assert (await site.get(path))["given"][0]["by"] == "local"
    assert (await site.post(f"{path}/deny", status=422))["reason_code"] == "reached"
    for verb in ("approve", "deny"):
        await site.post(f"/v1/approvals/none/{verb}", status=404)
    assert (await site.call("GET", "/v1/approvals/none"))[0] == 404


KITCHEN = """
name: kitchen
inputs: {n: {type: integer}}
steps:
  raw: {task: math.double, with: {n: "${ inputs.n }"}, produces: raw}
  cooked:
    consumes: [raw]
    task: math.double
    with: {n: "${ steps.raw.output.n }"}
    produces: [{asset: cooked, checks: [{name: large, expression: "output.n > 1000", blocking: false}]}]
"""


async def test_assets_have_versions_and_lineage_and_say_why_they_are_stale(site: Door) -> None:
    await site.publish(KITCHEN)
    run = await site.start("kitchen", n=1)
    assert run["status"] == "succeeded"
    cooked = await site.until("/v1/assets/cooked", holds=lambda found: found["checks"])
    assert (cooked["version"], cooked["run"], cooked["step"]) == (1, run["run"], "cooked")
    assert [(check["name"], check["passed"]) for check in cooked["checks"]] == [("large", False)]
    lineage = await site.get("/v1/assets/cooked/lineage")
    raw = await site.get("/v1/assets/raw")
    assert [(node["asset"], node["depth"], node["content"]) for node in lineage["up"]] == [("raw", -1, raw["content"])]
    assert cooked["inputs"]["asset raw"] == raw["content"]
    down = await site.get("/v1/assets/raw/lineage")
    assert [(node["asset"], node["depth"], node["of"]) for node in down["down"]] == [("cooked", 1, ["raw@1"])]
    assert (await site.get("/v1/assets/cooked/stale"))["stale"] is False
    # The same inputs again: recorded results, no new version.
    again = await site.start("kitchen", n=1)
    steps = (await site.get(f"/v1/runs/{again['run']}/timeline"))["steps"]
    assert all(step["cached"] for step in steps)
    listed = await site.until("/v1/assets?asset=raw", holds=lambda found: found["assets"][0]["reused"] == 1)
    assert listed["assets"][0]["version"] == 1
    # Another definition of a step makes what it produces stale, and all that is made from it.
    await site.publish(KITCHEN.replace('{n: "${ inputs.n }"}', '{n: "${ inputs.n + 1 }"}'))
    stale = await site.get("/v1/assets/raw/stale")
    assert (stale["stale"], stale["why"]) == (True, "the definition of its step changed")
    above = await site.get("/v1/assets/cooked/stale")
    assert (above["stale"], above["because"][0]["address"]) == (True, "raw")
    for path in ("/v1/assets/none", "/v1/assets/none/lineage", "/v1/assets/none/stale", "/v1/assets/raw?version=9"):
        assert (await site.call("GET", path))[0] == 404, path


async def test_the_read_models_built_again_come_back_equal(site: Door) -> None:
    await site.start("doubling", n=1)
    for name, table in (
        ("runs", "runs"), ("runs", "steps"), ("runs", "run_progress"), ("runs", "run_counts"), ("assets", "assets"),
        ("workflows", "workflows"), ("approvals", "approvals"),
    ):  # fmt: skip
        rows = f"/v1/projections/{name}?table={table}&limit=1000"
        before = await site.get(rows)
        if table in ("runs", "assets", "workflows", "approvals"):
            await site.post(f"/v1/projections/{name}/rebuild", status=202)
            live = before["build"]
            await site.until(rows, holds=lambda page, live=live: page["build"] > live)
        assert (await site.get(rows))["rows"] == before["rows"], table
