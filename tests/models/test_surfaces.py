"""Models as one sees them: over HTTP, in the terminal, and wired into a host."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from actors.models.port import MODEL_CALL
from gateway.models import HostModels
from infra.models.scripted import Scripted
from tests.cli.conftest import Thespis
from tests.fakes.faults import Fault, Say
from tests.fakes.openai import OpenAIFake
from tests.gateway.site import serving


class Nowhere:
    """A bus nobody listens to."""

    def send(self, subject: str, data: bytes) -> None:
        pass


@pytest.fixture
def thespis(tmp_path: Path) -> Thespis:
    return Thespis(tmp_path)


async def run(thespis: Thespis, *arguments: str, **environment: str) -> Any:
    return await asyncio.to_thread(thespis, *arguments, **environment)


async def test_the_models_of_a_host_are_listed_by_provider_and_the_stand_in_is_called_one(thespis: Thespis) -> None:
    models = HostModels(Nowhere(), {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})  # pyright: ignore
    async with serving() as site:
        site.door.providers = models.listed
        found = await site.get("/v1/models")
        assert (found["object"], found["data"]) == ("list", [])
        openai, scripted = found["providers"]
        assert openai["error"].startswith("network: ")
        assert "not a language model" in scripted["note"]
        done = await run(thespis, "models", "list", THESPIS_URL=site.url)
        assert done.returncode == 0, done.stderr
        assert b"scripted:files" in done.stdout
        assert done.stderr.startswith(b"openai: network: ")
        done = await run(thespis, "models", "list", "--provider", "scripted", "-o", "json", THESPIS_URL=site.url)
        assert [row["model"] for row in json.loads(done.stdout)] == ["scripted:echo", "scripted:files"]
    await models.close()


async def test_a_model_is_asked_from_the_terminal_with_what_it_used_and_cost(thespis: Thespis) -> None:
    async with OpenAIFake(lambda _: Say("Good day.")) as fake:
        environment = {"OPENAI_BASE_URL": fake.url, "OPENAI_API_KEY": fake.key}
        done = await run(thespis, "models", "test", "openai:local", "hi", **environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(b"Good day.\n")
        assert b"unknown: genai-prices" in done.stdout
        assert b" in (" in done.stdout
        assert fake.calls[0].body["messages"] == [{"role": "user", "content": "hi"}]
        assert fake.key.encode() not in done.stdout + done.stderr


async def test_without_a_key_the_stand_in_answers_and_says_so(thespis: Thespis) -> None:
    done = await run(thespis, "models", "test", "scripted:echo", "one two", "-o", "json")
    said = json.loads(done.stdout)
    assert (said["answer"]["text"], said["answer"]["model"]) == ("one two", "scripted:echo")
    assert (said["cost"]["usd"], said["cost"]["price"]["source"]) == ("0", "thespis")
    done = await run(thespis, "models", "test", "scripted:echo", "one two")
    assert b"scripted:echo" in done.stdout
    assert b"$0" in done.stdout


async def test_a_model_that_does_not_answer_is_told_with_its_reason(thespis: Thespis) -> None:
    async with OpenAIFake() as fake:
        fake.script(Fault(status=401))
        done = await run(thespis, "models", "test", "openai:m", OPENAI_BASE_URL=fake.url, OPENAI_API_KEY=fake.key)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.startswith(b"openai:m: auth: status 401")
    done = await run(thespis, "models", "test", "mistral:m")
    assert b"there is no provider 'mistral' here" in done.stderr


async def test_a_workspaces_provider_goes_before_that_of_the_environment() -> None:
    brought = Scripted({})
    models = HostModels(Nowhere(), {"OPENAI_API_KEY": "k"}, [brought])  # pyright: ignore
    assert [provider.name for provider in models.providers] == ["scripted", "openai"]
    assert models.providers[0] is brought
    assert [kind.name for kind in models.effects] == [MODEL_CALL]
    await models.close()
