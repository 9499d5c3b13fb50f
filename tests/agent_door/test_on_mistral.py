"""The librarian with a key: the same host, files, rules and talk, on Mistral's API; and with what goes wrong there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.cli.templates import write_template
from tests.agent_door.world import Place, Site, door
from tests.fakes.faults import Fault, Say
from tests.fakes.mistral import MistralFake
from tests.models.conftest import has_spec
from tests.servers import Nats

pytestmark = pytest.mark.timeout(180)

MODEL = "mistral:mistral-small-latest"
ANSWER = "A book may be borrowed for four weeks. `loans.md:3-3`"


def reads_and_writes(body: dict[str, Any]) -> Say:
    """Looks up what it is asked about loans, reads it, answers; writes what it is told to."""
    said, last = next(m for m in reversed(body["messages"]) if m["role"] == "user")["content"], body["messages"][-1]
    if last["role"] == "user":
        if said.startswith("write "):
            name, _, text = said.removeprefix("write ").partition(": ")
            arguments = {"path": name, "content": text}
            return Say("", [("files_write", msgspec.json.encode(arguments).decode())])
        return Say("", [("files_search", '{"query": "borrowed"}')]) if "borrowed" in said else Say(f"You said: {said}")
    if last["name"] == "files_search":
        assert "loans.md:3" in last["content"]
        return Say("Let me read it.", [("files_read", '{"path": "loans.md", "first": 1, "last": 5}')])
    return Say(ANSWER if last["name"] == "files_read" else "It is written.")


@dataclass
class Library:
    site: Site
    fake: MistralFake
    notes: Path


@pytest.fixture
async def library(postgres_url: str, nats_server: Nats, tmp_path: Path) -> AsyncIterator[Library]:
    has_spec()
    workspace = tmp_path / "library"
    write_template("librarian", workspace)
    async with MistralFake(reads_and_writes) as fake:
        settings = {"MISTRAL_API_KEY": fake.key, "MISTRAL_SERVER_URL": fake.url}
        place = Place(
            tmp_path / "host", database_url=postgres_url, nats_url=nats_server.host_url, relay_url=nats_server.url,
            workspace=workspace, settings=settings,
        )  # fmt: skip
        async with place, door(place.url) as site:
            await site.until("/v1/agents/librarian", holds=lambda found: found["state"] == "ready")
            yield Library(site, fake, workspace / "notes")
        assert fake.key not in (tmp_path / "host" / "host.log").read_text()


async def turns(site: Site, conversation: str) -> list[Any]:
    return (await site.get(f"/v1/conversations/{conversation}"))["turns"]


async def answered(site: Site, conversation: str) -> list[Any]:
    """`ModelAnswered` in their order."""
    found = await site.get(f"/v1/events?stream=conversation/{conversation}&type=ModelAnswered&limit=100")
    return [event["data"] for event in found["events"]]


async def test_the_librarian_reads_cites_and_writes_with_agreement_on_mistral(library: Library) -> None:
    site, fake = library.site, library.fake
    conversation = await site.begin("librarian")
    said = await site.say(conversation, "How long may a book be borrowed?")
    assert (said["status"], said["text"], said["models"], said["stand_in"]) == ("replied", ANSWER, [MODEL] * 3, False)
    assert ("loans.md", [3, 3]) in [(one["path"], one["lines"]) for one in said["citations"]]
    assert fake.work == 3
    costs = [Decimal(one["cost"]) for one in await answered(site, conversation)]
    assert all(costs)
    assert Decimal(said["cost"]) == sum(costs)
    assert [one["price"]["source"] for one in await answered(site, conversation)] == ["genai-prices"] * 3

    path = f"/v1/conversations/{conversation}"
    await site.post(f"{path}/messages", {"text": "write closed.md: The house is closed on Monday."}, status=202)
    held = await site.until(path, holds=lambda found: len(found["turns"]) == 2 and found["turns"][1]["tools"])
    held = await site.until(path, holds=lambda found: found["turns"][1]["tools"][0]["approval"])
    assert not (library.notes / "closed.md").exists()
    approval = held["turns"][1]["tools"][0]["approval"]
    await site.until(f"/v1/approvals/{approval}", holds=lambda found: found["status"] == "waiting")
    await site.post(f"/v1/approvals/{approval}/approve", {})
    await site.until(path, holds=lambda found: not found["turn"])
    assert (await turns(site, conversation))[1]["text"] == "It is written."
    assert (library.notes / "closed.md").read_text() == "The house is closed on Monday."
    log = await site.get("/v1/events?limit=1000")
    assert fake.key not in msgspec.json.encode(log).decode()


async def test_what_goes_wrong_on_the_way_costs_time_and_what_stays_wrong_is_said(library: Library) -> None:
    site, fake = library.site, library.fake
    conversation = await site.begin("librarian")
    for faults, kinds, worked in (
        ((Fault(status=429, retry_after="1"), Fault(cut=600)), ["rate-limit", "network"], 2),
        ((Fault(reset="after"), Fault(garble=True)), ["network", "server"], 3),
        ((Fault(reset="before"), Fault(wrong={"nothing": 1})), ["network", "server"], 2),
    ):
        before = fake.work
        fake.script(*faults)
        said = await site.say(conversation, "hello")
        assert (said["text"], said["models"]) == ("You said: hello", [MODEL])
        (*_, last) = await answered(site, conversation)
        assert [one["failure"]["kind"] for one in last["tries"]] == kinds
        assert fake.work - before == worked, "what was worked out and lost was asked for again, within one call"
    fake.script(Fault(usage="missing"))
    said = await site.say(conversation, "hello")
    assert (said["text"], said["cost"]) == ("You said: hello", None), "nobody knows what it cost"
    await site.until(
        "/v1/projections/inbox", holds=lambda found: any(row["kind"] == "unknown-price" for row in found["rows"])
    )
    fake.script(*[Fault(status=500)] * 3)
    said = await site.say(conversation, "hello")
    assert (said["models"], said["stand_in"]) == (["scripted:files"], True)
    *_, last = await turns(site, conversation)
    assert last["unanswered"][MODEL].startswith("server: status 500")
