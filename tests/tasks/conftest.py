"""Performers that are stopped at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.workflows.tasks import Catalogue, Task
from infra.memory.blobs import MemoryBlobs
from infra.tasks.local import Executor
from tests.tasks.calls import Make


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Executor] = []

    def begin(*tasks: Task, **said: Any) -> Executor:
        made.append(Executor(Catalogue(tasks), said.pop("blobs", MemoryBlobs()), worker="w", **said))
        return made[-1]

    yield begin
    for executor in made:
        await executor.stop()
