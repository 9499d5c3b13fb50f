"""One host for all that does not kill it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.agent_door.world import Place, Site, door, host
from tests.servers import Postgres, run


async def _ready(url: str) -> None:
    async with door(url) as site:
        await site.ready()


@pytest.fixture(scope="module")
def served(postgres_shared: Postgres, workplace: Path) -> Iterator[Place]:
    with host(postgres_shared, workplace) as process:
        run(_ready(process.url))
        yield process


@pytest.fixture
async def site(served: Place) -> AsyncIterator[Site]:
    async with door(served.url) as found:
        yield found


@pytest.fixture
def mortal(postgres_shared: Postgres, workplace: Path) -> Iterator[Place]:
    """A host of one's own, to be killed and started again."""
    with host(postgres_shared, workplace) as process:
        yield process


@pytest.fixture
def restless(postgres_shared: Postgres, workplace: Path) -> Iterator[Place]:
    """A host that looks after its streams all the time, and does not wait long for a completion."""
    with host(postgres_shared, workplace, THESPIS_HEARTBEAT="0.05", THESPIS_COMPLETION_WAIT="0.3") as process:
        yield process


@pytest.fixture
def short_of_patience(postgres_shared: Postgres, workplace: Path) -> Iterator[Place]:
    """A host that waits for no client."""
    with host(postgres_shared, workplace, THESPIS_SLOW_CLIENT="0.3") as process:
        yield process
