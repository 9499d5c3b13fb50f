from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.gateway.site import Site, serving


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as found:
        yield found
