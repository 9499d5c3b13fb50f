"""Files of a workspace that change while a host runs: the next turn is taken by what they say now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from tests.agent_door.world import PLACE, Place, Site, door, host
from tests.servers import Postgres

pytestmark = pytest.mark.timeout(180)

ADA = "ada.agent.md"


@pytest.fixture
def edited(postgres_shared: Postgres, workplace: Path, tmp_path: Path) -> Iterator[tuple[Place, Path]]:
    """A host whose workspace may be edited."""
    folder = tmp_path / "place"
    copytree(PLACE, folder)
    with host(postgres_shared, workplace, folder) as process:
        yield process, folder


async def version(site: Site, agent: str, least: int) -> None:
    await site.until(f"/v1/agents/{agent}", holds=lambda found: found["current"] >= least)


async def test_a_file_that_changes_is_a_new_version_and_a_turn_under_way_ends_on_the_one_before(
    edited: tuple[Place, Path],
) -> None:
    place, folder = edited
    file = folder / ADA
    async with door(place.url) as site:
        await site.ready()
        conversation = await site.begin()
        await site.post(f"/v1/conversations/{conversation}/messages", {"text": "tale 600"}, status=202)
        text = file.read_text()
        file.write_text(text.replace("You are Ada.", "You are another Ada."))
        await version(site, "ada", 2)
        running = (await site.get(f"/v1/conversations/{conversation}"))["turns"][0]
        assert (running["status"], running["version"]) == ("running", 1)
        await site.say(conversation, "hello")
        turns = (await site.get(f"/v1/conversations/{conversation}"))["turns"]
        assert [(turn["status"], turn["version"]) for turn in turns] == [("replied", 1), ("replied", 2)]

        file.write_text("---\nname: ada\nmodle: birds:parrot\n---\nYou are broken.\n")
        broken = (await site.until("/v1/agents", holds=lambda found: found["broken"]))["broken"]
        assert [Path(one["file"]).name for one in broken] == [ADA]
        assert "did you mean model?" in broken[0]["problems"][0]["hint"]
        await site.say(conversation, "still there?")
        assert (await site.get(f"/v1/conversations/{conversation}"))["turns"][-1]["version"] == 2

        file.write_text(text.replace("You are Ada.", "You are well again."))
        await version(site, "ada", 3)
        assert (await site.get("/v1/agents"))["broken"] == []
        (folder / "eve.agent.md").write_text("---\nname: eve\n---\nYou have no model.\n")
        told = await site.until("/v1/agents", holds=lambda found: found["broken"])
        missing = await site.post("/v1/conversations", {"agent": "eve"}, status=404)
        assert told["broken"][0]["problems"][0]["message"] in missing["detail"]
        (folder / "eve.agent.md").write_text("---\nname: eve\nmodel: birds:parrot\n---\nYou are new.\n")
        await site.until("/v1/agents", holds=lambda found: any(one["name"] == "eve" for one in found["agents"]))


async def test_rules_about_tools_that_change_hold_for_the_next_call(edited: tuple[Place, Path]) -> None:
    place, folder = edited
    async with door(place.url) as site:
        await site.ready()
        before = await site.until("/v1/policies", holds=lambda found: found["policies"])
        assert [one["version"] for one in before["policies"]] == [1]
        (folder / "default.policy.yaml").write_text("name: default\ngrants: []\n")
        await site.until("/v1/policies", holds=lambda found: found["policies"][0]["version"] == 2)
        said = await site.say(await site.begin(), "note milk")
        assert "not granted" in said["text"]
