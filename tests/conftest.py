"""Fixtures everybody may use. Servers start when first asked for, and each worker of pytest-xdist has its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest
from hypothesis import settings

from tests.servers import Nats, Postgres, run, served

KEEP = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "CI", "SHARED_DIR", "VIRTUAL_ENV", "PYTHONPATH"}
"""What of the environment reaches the tests: nothing a developer happens to have set may decide how they go."""

settings.register_profile("thespis", deadline=None)  # no test asserts a time
settings.load_profile("thespis")

PLACE = "PYTEST_THESPIS_PLACE"
"""The variable by which the workers learn where to put their servers."""


def pytest_configure(config: pytest.Config) -> None:
    for name in list(os.environ):
        if name not in KEEP and not name.startswith(("PYTEST", "COVERAGE")):
            del os.environ[name]
    if not hasattr(config, "workerinput"):
        os.environ[PLACE] = tempfile.mkdtemp(prefix="thespis-")  # short, because Postgres puts a socket into it


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove everything, here because pytest-xdist gives its workers ten seconds at the end and no more."""
    if not hasattr(config, "workerinput"):
        rmtree(os.environ.pop(PLACE), ignore_errors=True)


@pytest.fixture(scope="session")
def workplace() -> Path:
    """A directory for servers, which is removed in the end."""
    return Path(tempfile.mkdtemp(dir=os.environ[PLACE]))


@pytest.fixture
def place(workplace: Path) -> Iterator[Path]:
    """A directory for servers, which is removed after the test."""
    path = Path(tempfile.mkdtemp(dir=workplace))
    yield path
    rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_shared(workplace: Path) -> Iterator[Postgres]:
    """One Postgres for all tests of a worker: fast, without the safety of fsync. See `postgres_url`."""
    with served(Postgres(workplace / "shared", safe=False)) as server:
        yield server


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
def postgres_server(place: Path, postgres_seed: Path) -> Iterator[Postgres]:
    """A Postgres of one's own, as safe as in production, to be killed and restarted."""
    with served(Postgres(place / "pg", safe=True, seed=postgres_seed)) as server:
        yield server


@pytest.fixture
def nats_server(place: Path) -> Iterator[Nats]:
    """A NATS server of one's own, to be killed, wiped and restarted."""
    with served(Nats(place / "nats")) as server:
        yield server


@pytest.fixture
def nats_url(nats_server: Nats) -> str:
    """The URL of a NATS server of one's own, as its most powerful user."""
    return nats_server.url
