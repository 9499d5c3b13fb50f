"""Every store, for tests of what runs on top of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.memory.projections import MemoryReadModels
from infra.postgres.migrate import migrate
from infra.postgres.projections import open_read_models
from projections import ReadModelStore


@pytest.fixture(params=["memory", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else None


@pytest.fixture
async def store(url: str | None) -> AsyncIterator[ReadModelStore]:
    if url is None:
        yield MemoryReadModels()
        return
    await migrate(url)
    async with open_read_models(url) as (_, models):
        yield models
