"""A host process to be killed and started again, by the demo and by the acceptance tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

import aiohttp

from events.errors import Unavailable
from infra.embedded import ports
from infra.embedded.process import Process, how_it_ended, start

LEDGER = Path(__file__).parents[1] / "examples" / "ledger"
"""The workspace of the example."""

ROOT = Path(__file__).parents[2]
"""Where the packages are imported from."""

START_TIMEOUT = 60.0


class HostProcess:
    """`thespis host` on one port, run after run. Its log and its marks are kept in `directory`.

    Call `start` in the main thread: the process is killed when the thread that started it ends.
    """

    def __init__(
        self,
        directory: Path,
        *,
        database_url: str,
        nats_url: str,
        relay_url: str,
        workspace: Path = LEDGER,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.port = ports.free()
        self.url = f"http://{ports.LOOPBACK}:{self.port}"
        self.process: Process | None = None
        self._workspace = workspace
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
            "PYTHONPATH": os.pathsep.join(paths),
            "DATABASE_URL": database_url,
            "NATS_URL": nats_url,
            "NATS_RELAY_URL": relay_url,
            **(settings or {}),
        }

    async def __aenter__(self) -> HostProcess:
        self.start()
        try:
            await self.ready()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def start(self) -> None:
        """Start it; `ready` waits until it serves."""
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "gateway.main", "host", "--port", str(self.port)]
        self.process = start(
            [*command, "--workspace", str(self._workspace), "--data", str(self.directory)],
            name="the host",
            log=self.directory / "host.log",
            environment=self._environment,
            directory=ROOT,
            on_death=signal.SIGKILL,
        )

    async def ready(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until it serves. Raises Unavailable when it ends before, or takes longer than `timeout` seconds."""
        deadline = monotonic() + timeout
        process = self._running()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while process.status is None and monotonic() < deadline:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{self.url}/readyz") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.03)
        how = "is not ready" if process.status is None else how_it_ended(process.status)
        raise Unavailable(f"the host {how}: {process.last_words(2)}", hint=f"see {process.log}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._running().send(number)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.status is None

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        await self._running().kill()

    async def stop(self) -> int:
        """SIGTERM: it hands over and ends; returns its exit status. One that does not is killed."""
        return await self._running().stop((signal.SIGCONT, 0.0), (signal.SIGTERM, 15.0))

    def _running(self) -> Process:
        assert self.process is not None, "start it first"
        return self.process
