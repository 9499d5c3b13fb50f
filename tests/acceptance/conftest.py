from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.torture.real import Stage
from tests.acceptance.cluster import Cluster
from tests.servers import Nats, Postgres


@pytest.fixture
async def cluster(postgres_server: Postgres, nats_server: Nats, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster(postgres_server, nats_server, tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def stage(postgres_server: Postgres, nats_server: Nats, tmp_path: Path) -> AsyncIterator[Stage]:
    """Servers and a wire between them; hosts are to be added."""
    async with Stage(postgres_server, nats_server.embedded, tmp_path) as stage:
        yield stage
