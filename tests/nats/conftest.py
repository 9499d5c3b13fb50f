"""A connection for each test that wants one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.nats.connection import Connection, connect
from tests.servers import Nats


@pytest.fixture
async def connection(nats_server: Nats) -> AsyncIterator[Connection]:
    """As the relay's user, who may do everything."""
    opened = await connect(nats_server.url)
    yield opened
    await opened.close()
