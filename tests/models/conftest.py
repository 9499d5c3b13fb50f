from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actors.models.port import Provider
from infra.models.mistral import Mistral
from infra.models.openai import OpenAI
from infra.models.scripted import Scripted
from infra.models.scripts import SCRIPTS
from tests.fakes import spec
from tests.fakes.mistral import MistralFake
from tests.fakes.openai import OpenAIFake
from tests.models.said import like_the_fakes


def has_spec() -> None:
    if not spec.MISTRAL.exists():
        print(f"skipped: there is no {spec.MISTRAL}")
        pytest.skip(f"there is no {spec.MISTRAL}")


@pytest.fixture
async def mistral_fake() -> AsyncIterator[MistralFake]:
    has_spec()
    async with MistralFake() as fake:
        yield fake


@pytest.fixture
async def mistral(mistral_fake: MistralFake) -> AsyncIterator[Mistral]:
    provider = Mistral(mistral_fake.key, mistral_fake.url)
    yield provider
    await provider.close()


@pytest.fixture
async def openai_fake() -> AsyncIterator[OpenAIFake]:
    async with OpenAIFake() as fake:
        yield fake


@pytest.fixture
async def openai(openai_fake: OpenAIFake) -> AsyncIterator[OpenAI]:
    provider = OpenAI(openai_fake.url, key=openai_fake.key)
    yield provider
    await provider.close()


@pytest.fixture
def scripted() -> Scripted:
    return Scripted({**SCRIPTS, "like-the-fakes": like_the_fakes}, flags={"ada": "person"})


@pytest.fixture(params=["mistral", "openai", "scripted"])
def provider(request: pytest.FixtureRequest) -> Provider:
    return request.getfixturevalue(request.param)


MODELS = {"mistral": "mistral-small-latest", "openai": "gpt-4o-mini", "scripted": "like-the-fakes"}


@pytest.fixture
def model(provider: Provider) -> str:
    """A model that chats."""
    return MODELS[provider.name]
