"""Fixtures everybody may use. Servers start when first asked for, and each worker of pytest-xdist has its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from tests.servers import Nats, Postgres, run

KEEP = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "CI", "SHARED_DIR", "VIRTUAL_ENV", "PYTHONPATH"}
"""What of the environment reaches the tests: nothing a developer happens to have set may decide how they go."""


def pytest_configure() -> None:
    for name in list(os.environ):
        if name not in KEEP and not name.startswith(("PYTEST", "COVERAGE")):
            del os.environ[name]


@pytest.fixture(scope="session")
def workplace() -> Iterator[Path]:
    """A directory for servers. Its name is short, because Postgres puts a socket into it."""
    path = Path(tempfile.mkdtemp(prefix="thespis-"))
    yield path
    rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_shared(workplace: Path) -> Iterator[Postgres]:
    """One Postgres for all tests of a worker: fast, without the safety of fsync. See `postgres_url`."""
    server = Postgres(workplace / "shared", safe=False)
    run(server.start())
    try:
        yield server
    finally:
        run(server.stop())


@pytest.fixture
def postgres_url(postgres_shared: Postgres) -> Iterator[str]:
    """The DSN of a new, empty database."""
    url = run(postgres_shared.create())
    yield url
    run(postgres_shared.drop(url))


@pytest.fixture(scope="session")
def postgres_seed(workplace: Path) -> Path:
    """A cluster just created, to copy."""
    server = Postgres(workplace / "seed", safe=False)
    run(server.start())
    run(server.stop())
    return server.directory


@pytest.fixture
def postgres_server(workplace: Path, postgres_seed: Path) -> Iterator[Postgres]:
    """A Postgres of one's own, as safe as in production, to be killed and restarted."""
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir=workplace))
    server = Postgres(directory / "server", safe=True, seed=postgres_seed)
    try:
        run(server.start())
        yield server
    finally:
        run(server.stop())
        rmtree(directory, ignore_errors=True)


@pytest.fixture
def nats_server(workplace: Path) -> Iterator[Nats]:
    """A NATS server of one's own, to be killed, wiped and restarted."""
    directory = Path(tempfile.mkdtemp(prefix="nats-", dir=workplace))
    server = Nats(directory / "server")
    try:
        run(server.start())
        yield server
    finally:
        run(server.stop())
        rmtree(directory, ignore_errors=True)


@pytest.fixture
def nats_url(nats_server: Nats) -> str:
    """The URL of a NATS server of one's own, as its most powerful user."""
    return nats_server.url
