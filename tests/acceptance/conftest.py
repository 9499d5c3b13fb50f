from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.cluster import Cluster
from tests.servers import Nats, Postgres


@pytest.fixture
async def cluster(postgres_server: Postgres, nats_server: Nats, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster(postgres_server, nats_server, tmp_path) as cluster:
        yield cluster
