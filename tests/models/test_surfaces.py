"""Models as one sees them: over HTTP and in the terminal."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.models import Listed
from infra.models.providers import providers_from_environment
from tests.cli.conftest import Thespis
from tests.fakes.faults import Fault, Say
from tests.fakes.mistral import MistralFake
from tests.fakes.openai import OpenAIFake
from tests.gateway.site import serving
from tests.models.conftest import has_spec


@pytest.fixture
def thespis(tmp_path: Path) -> Thespis:
    return Thespis(tmp_path)


async def run(thespis: Thespis, *arguments: str, **environment: str) -> Any:
    return await asyncio.to_thread(thespis, *arguments, **environment)


async def test_the_models_of_a_host_are_listed_by_provider_and_the_stand_in_is_called_one(thespis: Thespis) -> None:
    providers = providers_from_environment({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    async with serving() as site:
        site.door.providers = Listed(providers).read
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
    for provider in providers:
        await provider.close()


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


async def test_mistral_is_asked_where_the_environment_says(thespis: Thespis) -> None:
    has_spec()
    async with MistralFake() as fake:
        environment = {"MISTRAL_API_KEY": fake.key, "MISTRAL_SERVER_URL": fake.url}
        done = await run(thespis, "models", "test", "mistral:mistral-small-latest", "hi", **environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(b"You said: hi\n")
        assert b"mistral/mistral-small-latest in genai-prices" in done.stdout
        assert (len(fake.calls), fake.key.encode() in done.stdout + done.stderr) == (1, False)
