"""The inbox on the command line: what needs a person, and each item's way out, against the real door."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.test_commands import Run, read, run, site
from tests.gateway.site import Site
from tests.gateway.test_letters import HEADERS, bury

__all__ = ["run", "site"]


async def inbox(run: Run, site: Site, *more: str) -> list[dict[str, Any]]:
    await site.projector.wait("inbox", await site.store.head(), 20)
    return await read(run, "inbox", "list", *more)


async def test_an_empty_inbox_says_so(run: Run) -> None:
    done = await run("inbox", "list")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"nothing waits for a person\n")


async def test_a_dead_letter_is_listed_shown_with_its_ways_out_and_closed(run: Run, site: Site) -> None:
    position = str(await bury(site, {}, b"no CloudEvent"))
    assert [str(item["opened_position"]) for item in await inbox(run, site)] == [position]
    shown = await read(run, "inbox", "show", position)
    assert shown["event"]["headers"] == {}
    assert [way.split(" # ")[0].split("--")[1].split()[0] for way in shown["ways_out"]] == ["retry", "dismiss"]
    text = (await run("inbox", "show", position)).stdout.decode()
    assert f"→ thespis inbox resolve {position} --retry --reason WHY" in text
    failed = await run("inbox", "resolve", position, "--retry", "--reason", "hope")
    assert (failed.returncode, failed.stderr[:20]) == (4, b"error[invalid-data]:")
    mended = json.dumps({name[3:]: value for name, value in HEADERS.items()} | {"data": 5})
    closed = await read(run, "inbox", "resolve", position, "--retry", "--reason", "mended", "--with", mended)
    assert (closed["status"], closed["sent"][0]["to"]) == ("retried", "feed/till")
    assert await inbox(run, site) == []
    assert (await read(run, "inbox", "show", position))["ways_out"] == []
    [row] = await inbox(run, site, "--all")
    assert (row["open"], row["resolution"]) == (False, "retried: mended")


async def test_a_parked_actor_is_resumed_by_its_item(run: Run, site: Site) -> None:
    await read(run, "ask", "counter/a", "Add", '{"amount": 5}')
    await read(run, "actors", "park", "counter/a", "--reason", "looks odd")
    [item] = await inbox(run, site)
    wrong = await run("inbox", "resolve", item["item"], "--dismiss", "--reason", "no")
    assert wrong.returncode == 4
    assert wrong.stderr == (
        b"error[invalid]: --dismiss is no way out of an item of the kind parked\nhint: choose --resume or --skip\n"
    )
    await read(run, "inbox", "resolve", item["item"], "--resume", "--reason", "it is fine")
    assert (await read(run, "actors", "show", "counter/a"))["parked"] is None
    assert await inbox(run, site) == []


async def test_what_is_missing_is_said(run: Run) -> None:
    done = await run("inbox", "show", "12")
    assert (done.returncode, done.stderr.splitlines()[0]) == (3, b"error[not-found]: there is no item 12 in the inbox")
    done = await run("inbox", "resolve", "12", "--reason", "why")
    assert done.returncode == 2
    assert b"say what to do" in done.stderr
