"""The pytest plugin: `run_system` as a fixture, seeded by the test's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

import pytest


@pytest.fixture(name="run_system")
def run_system_fixture(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run a script against an in-memory system: `run_system(plugin, script)`, ids seeded by the test's name."""
    from infra.memory.system import run_system

    seed = crc32(request.node.nodeid.encode())

    def run(plugin: Any, script: Any, *, hosts: int = 1, settings: Any = None) -> Any:
        return run_system(plugin, script, seed=seed, hosts=hosts, settings=settings)

    return run
