from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from gateway.demo.host import ROOT, HostProcess
from tests.servers import Nats, Postgres, run
from tests.wfinstances.recording import Recording, read

HERE = Path(__file__).parent
WORKSPACE = HERE / "workspace"
SHARED = Path(os.environ.get("SHARED_DIR") or HERE.parents[2] / "shared")


class Published:
    """Recordings that were published to a host, with the acknowledgements."""

    def __init__(self, host: HostProcess, nats_url: str, paths: dict[str, Path], database_url: str) -> None:
        self.host = host
        self.database_url = database_url
        self.recordings: dict[str, Recording] = {name: read(path) for name, path in paths.items()}
        self._nats_url = nats_url
        self._paths = paths
        self.answers = self.publish(*paths)

    def publish(self, *names: str) -> list[dict[str, str | int]]:
        """Publish recordings from a process of its own; returns its acknowledgements."""
        lines = _run(str(HERE / "publisher.py"), *(str(self._paths[name]) for name in names), NATS_URL=self._nats_url)
        return [json.loads(line) for line in lines.splitlines()]

    def thespis(self, *arguments: str) -> str:
        """What a command prints."""
        return _run("-m", "gateway.main", *arguments, PYTHONPATH=str(ROOT), DATABASE_URL=self.database_url)


def _run(*arguments: str, **environment: str) -> str:
    environment["PATH"] = os.environ["PATH"]
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def published(postgres_shared: Postgres, workplace: Path) -> Iterator[Published]:
    paths = {path.stem: path for path in sorted((SHARED / "data" / "wfinstances").glob("*.json"))}
    if not paths:
        pytest.skip(f"there are no recorded executions in {SHARED / 'data' / 'wfinstances'}")
    directory = Path(mkdtemp(prefix="wf-", dir=workplace))
    server = Nats(directory / "server")
    database_url = run(postgres_shared.create())
    run(server.start())
    host = HostProcess(
        directory / "host",
        database_url=database_url,
        nats_url=server.host_url,
        relay_url=server.url,
        workspace=WORKSPACE,
    )
    try:
        run(host.__aenter__())
        yield Published(host, server.client_url, paths, database_url)
    finally:
        run(host.stop())
        run(server.stop())
        run(postgres_shared.drop(database_url))
        rmtree(directory, ignore_errors=True)
