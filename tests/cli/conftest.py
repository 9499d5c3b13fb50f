from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fake import FakeInstance, serving

ROOT = Path(__file__).parents[2]


class Thespis:
    """Runs the real command line in a process of its own."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("THESPIS", "DATABASE", "NATS"))
        }
        self.environment |= {"PYTHONPATH": str(ROOT), "COLUMNS": "100"}

    def __call__(
        self, *arguments: str, input: bytes | None = None, **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "gateway.main", *arguments],
            cwd=self.cwd,
            env=self.environment | environment,
            input=input,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.main", *arguments],
            cwd=self.cwd,
            env=self.environment | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


@pytest.fixture
def thespis(tmp_path: Path) -> Thespis:
    return Thespis(tmp_path)


@pytest.fixture
def instance() -> Iterator[FakeInstance]:
    with serving() as fake:
        yield fake
