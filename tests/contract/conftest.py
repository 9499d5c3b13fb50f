from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from events.store import EventStore
from infra.memory.projections import MemoryReadModels
from infra.postgres.migrate import migrate
from infra.postgres.projections import open_read_models
from projections import ReadModelStore
from tests.contract.store_harness import Archived, Harness, Memory, Postgres


@pytest.fixture(params=["memory", "postgres"])
def log_dsn(request: pytest.FixtureRequest) -> str | None:
    """None for memory, else a new database."""
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else None


@pytest.fixture(params=["memory", "postgres", "archived"])
def fresh_log(request: pytest.FixtureRequest) -> Harness:
    """A new log of each adapter, and one of which whatever can be in the archive is there."""
    if request.param == "memory":
        return Memory()
    return (Archived if request.param == "archived" else Postgres)(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def harness(fresh_log: Harness) -> AsyncIterator[Harness]:
    """An adapter of the log, every test once with each."""
    yield fresh_log
    await fresh_log.close()


@pytest.fixture
async def store(harness: Harness) -> EventStore:
    """The log as one host sees it."""
    return await harness.open()


@pytest.fixture
async def read_models(log_dsn: str | None) -> AsyncIterator[ReadModelStore]:
    """An adapter of the read models, every test once with each."""
    if log_dsn is None:
        yield MemoryReadModels()
        return
    await migrate(log_dsn)
    async with open_read_models(log_dsn, folders=2, readers=1) as (_, models):
        yield models
