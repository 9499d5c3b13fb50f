"""Every command against the real door: kernel, log and projections in memory, the command line in its own process."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gateway.settings import Settings
from infra.memory.tokens import MemoryTokens
from tests.cli.conftest import Thespis
from tests.gateway.site import Site, serving

Run = Callable[..., Awaitable["subprocess.CompletedProcess[bytes]"]]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving(page=3, max_scan=1000) as found:
        yield found


@pytest.fixture
def run(site: Site, thespis: Thespis) -> Run:
    async def command(*arguments: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
        return await asyncio.to_thread(thespis, *arguments, **{"THESPIS_URL": site.url, **how})

    return command


async def read(run: Run, *arguments: str) -> Any:
    done = await run(*arguments, "-o", "json")
    assert (done.returncode, done.stderr) == (0, b"")
    return json.loads(done.stdout)


async def filled(run: Run) -> None:
    for amount in (5, 3, -2):
        assert (await read(run, "ask", "counter/a", "Add", json.dumps({"amount": amount})))["outcome"] == "handled"


async def test_ask_answers_after_the_commit_and_again_the_same(run: Run) -> None:
    first = await read(run, "ask", "counter/a", "Add", '{"amount": 5}', "--key", "k")
    again = await read(run, "ask", "counter/a", "Add", '{"amount": 5}', "--key", "k")
    assert (first["reply"], first["duplicate"], again["duplicate"]) == ({"total": 5}, False, True)
    assert {**again, "duplicate": False} == first
    told = await read(run, "tell", "counter/a", "Add", '{"amount": 1}')
    assert (told["version"], "reply" in told) == (2, False)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["ask", "counter/a", "Add", '{"amount": -5}'], 5, "error[refused]: only 0 there"),
        (["ask", "counter/a", "Add", '{"amount": "x"}'], 4, "error[invalid-data]: "),
        (["ask", "counter/a", "Subtract", "{}"], 4, "error[unknown-type]: "),
        (["ask", "counter/a", "Add", "{"], 4, "error[invalid-data]: BODY is not JSON"),
        (["ask", "counter", "Add", "{}"], 4, "error[invalid-name]: 'counter' is not an address"),
        (["ask", "nobody/a", "Add", "{}"], 6, "error[unserved]: "),
        (["ask", "counter/a", "No Type", "{}"], 4, "error[invalid-name]: "),
        (["actors", "show", "counter/none"], 3, "error[not-found]: "),
        (["events", "show", "99"], 3, "error[not-found]: "),
        (["projections", "show", "nothing"], 3, "error[not-found]: "),
        (["projections", "show", "actors", "--where", "colour=red"], 4, "error["),
        (["lineage", "nothing"], 3, "error[not-found]: "),
        (["actors", "fork", "counter/none", "--at", "1", "--as", "counter/b"], 3, "error[not-found]: "),
        (["replay", "counter/none"], 3, "error[not-found]: "),
        (["replay"], 2, "error[usage]: give ADDRESS, or --verify"),
    ],
)
async def test_bad_input_is_one_clear_line_a_hint_and_a_stable_status(
    run: Run, arguments: list[str], status: int, said: str
) -> None:
    wait = ["--timeout", "1"] if arguments[0] in ("ask", "tell") else []
    done = await run(*arguments, *wait)
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (status, b"")
    assert lines[0].startswith(said)
    assert len(lines) == 2
    assert lines[1].startswith("hint: ")


async def test_events_are_listed_over_pages_filtered_and_shown(run: Run) -> None:
    await filled(run)
    await run("publish", "--type", "Noticed", "--source", "/shop", "--id", "9", "--data", "[1]")
    assert [event["position"] for event in await read(run, "events", "list")] == [1, 2, 3, 4]
    assert [event["position"] for event in await read(run, "events", "list", "--after", "1", "--limit", "2")] == [2, 3]
    assert [event["type"] for event in await read(run, "events", "list", "--type", "Noticed")] == ["Noticed"]
    assert len(await read(run, "events", "list", "--stream", "counter/a")) == 3
    shown = await read(run, "events", "show", "4")
    assert (shown["id"], shown["source"], shown["data"]) == ("9", "/shop", [1])
    assert await read(run, "events", "show", "/shop 9") == shown


@pytest.mark.parametrize("output", ["table", "json", "jsonl", "yaml"])
async def test_every_format_of_a_list_holds_every_event(run: Run, output: str) -> None:
    await filled(run)
    done = await run("events", "list", "-o", output)
    text = done.stdout.decode()
    assert text.count("Added") == 3
    if output == "jsonl":
        assert [json.loads(line)["version"] for line in text.splitlines()] == [1, 2, 3]
    if output == "table":
        assert text.splitlines()[0].split() == ["POSITION", "TIME", "STREAM", "VERSION", "TYPE", "DATA"]


async def test_tail_follows_what_is_committed(run: Run, thespis: Thespis, site: Site) -> None:
    await filled(run)
    running = thespis.start("events", "tail", "--after", "1", "--limit", "3", "-o", "jsonl", THESPIS_URL=site.url)
    assert running.stdout is not None
    first = await asyncio.to_thread(running.stdout.readline)
    await run("tell", "counter/b", "Add", '{"amount": 1}')
    rest = await asyncio.to_thread(running.stdout.read)
    _, errors = await asyncio.to_thread(running.communicate, timeout=30)
    found = [json.loads(line) for line in (first + rest).splitlines()]
    assert [(event["position"], event["stream"]) for event in found] == [
        (2, "counter/a"),
        (3, "counter/a"),
        (4, "counter/b"),
    ]
    assert (running.returncode, errors) == (0, b"")


async def test_an_actor_is_seen_now_and_as_it_was(run: Run) -> None:
    await filled(run)
    assert (await read(run, "actors", "show", "counter/a"))["state"] == {"total": 6}
    assert (await read(run, "actors", "show", "counter/a", "--at", "2"))["state"] == {"total": 8}
    head = str((await read(run, "events", "list"))[-1]["position"])
    await read(run, "projections", "show", "actors", "--wait", head)
    assert [actor["address"] for actor in await read(run, "actors", "list", "--kind", "counter")] == ["counter/a"]


async def test_a_replay_shows_every_event_with_what_it_changed(run: Run) -> None:
    await filled(run)
    done = await run("replay", "counter/a", "--from", "2")
    assert [line.strip() for line in done.stdout.decode().splitlines() if "total" in line] == [
        "~ total: 5 → 8",
        "~ total: 8 → 6",
    ]
    steps = await read(run, "replay", "counter/a", "--to", "2", "--speed", "1000000")
    assert [(step["event"]["version"], step["state"]) for step in steps] == [(1, {"total": 5}), (2, {"total": 8})]


async def test_a_fork_has_its_sources_past_and_its_own_future(run: Run) -> None:
    await filled(run)
    await read(run, "actors", "fork", "counter/a", "--at", "2", "--as", "counter/what-if")
    await read(run, "ask", "counter/what-if", "Add", '{"amount": 100}')
    assert (await read(run, "actors", "show", "counter/what-if"))["state"] == {"total": 108}
    assert (await read(run, "actors", "show", "counter/a"))["state"] == {"total": 6}
    steps = await read(run, "replay", "counter/what-if")
    assert [(step["event"]["type"], step["state"]["total"]) for step in steps] == [
        ("Added", 5),
        ("Added", 8),
        ("Forked", 8),
        ("Added", 108),
    ]
    assert [
        s["event"]["version"] for s in await read(run, "replay", "counter/what-if", "--from", "2", "--to", "3")
    ] == [
        2,
        3,
    ]


async def test_a_parked_actor_waits_until_it_is_resumed(run: Run) -> None:
    await filled(run)
    await read(run, "actors", "park", "counter/a", "--reason", "looks odd")
    assert (await read(run, "actors", "show", "counter/a"))["parked"] == "looks odd"
    refused = await run("ask", "counter/a", "Add", '{"amount": 1}', "--timeout", "2")
    assert refused.returncode == 5
    assert refused.stderr.startswith(b"error[parked]: ")
    await read(run, "actors", "resume", "counter/a", "--reason", "it is fine")
    assert (await read(run, "ask", "counter/a", "Add", '{"amount": 1}'))["reply"] == {"total": 7}


async def test_projections_are_listed_queried_and_rebuilt(run: Run) -> None:
    await filled(run)
    assert {"actors", "events", "lineage"} <= {item["name"] for item in await read(run, "projections", "list")}
    rows = await read(run, "projections", "show", "events", "--wait", "3", "--sort=-position", "--limit", "2")
    assert [row["position"] for row in rows] == [3, 2]
    assert (await run("projections", "rebuild", "events")).returncode == 0


async def test_lineage_is_drawn_from_causes_to_effects(run: Run) -> None:
    await run("publish", "--type", "Noticed", "--source", "/shop", "--id", "9", "--data", "[1]")
    done = await run("lineage", "9")
    assert done.returncode == 0
    assert "* Noticed" in done.stdout.decode()
    assert (await read(run, "lineage", "9", "--source", "/shop"))["event"]["stream"] == "feed/shop"
    assert await read(run, "lineage", "1") == await read(run, "lineage", "9")  # nothing has that id: the position
    assert (await run("lineage", "2")).returncode == 3


async def test_doctor_looks_at_the_instance_and_says_what_waits(run: Run) -> None:
    await filled(run)
    await run("actors", "park", "counter/a", "--reason", "looks odd")
    await read(run, "projections", "show", "inbox", "--wait", "4")
    done = await run("doctor", "-o", "json")
    found = {finding["check"]: finding for finding in json.loads(done.stdout)}
    assert found["instance"]["status"] == "ok"
    assert found["projections"]["status"] == "ok"
    assert (found["inbox"]["status"], "counter/a" in found["inbox"]["detail"]) == ("warning", True)
    assert "thespis inbox show" in found["inbox"]["way_out"]
    assert found["postgres"]["status"] == "skipped"
    assert [f for f in found.values() if f["status"] == "failed"] == []
    assert done.returncode == 0


async def test_where_tokens_are_required_one_without_is_told_so(thespis: Thespis) -> None:
    async with serving(MemoryTokens(), require_token=True) as site:
        done = await asyncio.to_thread(thespis, "events", "list", THESPIS_URL=site.url)
        assert done.returncode == 7
        assert done.stderr.startswith(b"error[unauthenticated]: ")
        wrong = await asyncio.to_thread(
            thespis, "events", "list", THESPIS_URL=site.url, THESPIS_TOKEN="ths_" + "a" * 12 + "_" + "b" * 43
        )
        assert wrong.returncode == 7


def test_the_page_of_a_command_is_never_larger_than_the_door_allows() -> None:
    from gateway.cli.reading import PAGE

    assert Settings().max_page >= PAGE


async def test_a_question_reads_and_records_nothing(run: Run) -> None:
    await filled(run)
    assert (await read(run, "actors", "query", "counter/a", "Above", '{"limit": 5}'))["answer"] == {"above": True}
    assert len(await read(run, "events", "list")) == 3


async def test_an_effect_that_is_not_there_cannot_be_settled(run: Run) -> None:
    done = await run("effects", "resolve", "nothing", "--status", "failed", "--reason", "looked")
    assert (done.returncode, done.stderr[:6]) == (3, b"error[")
