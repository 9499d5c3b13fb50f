from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

MODULE = "infra.eventsourcing"


@pytest.fixture
def environment(postgres_url: str) -> Iterator[dict[str, str]]:
    """The environment of applications that store into an empty log; `os.environ` says so too."""
    said = {"PERSISTENCE_MODULE": MODULE, "DATABASE_URL": postgres_url}
    os.environ.update(said)
    try:
        yield said
    finally:
        for name in said:
            os.environ.pop(name, None)
