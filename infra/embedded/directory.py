"""The data directory: who holds it, its secrets, the ports its servers had."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from time import time
from typing import TypeVar

import msgspec

from events.errors import Conflict, StoreUnavailable

T = TypeVar("T")


class Holder(msgspec.Struct, frozen=True):
    """Who holds a data directory: its process, since when (seconds since 1970) and where it serves, once it does."""

    pid: int
    since: float
    url: str = ""


class Secrets(msgspec.Struct, frozen=True):
    """The passwords of the embedded servers, made once, kept in a file only its owner may read."""

    postgres: str
    postgres_admin: str
    nats_relay: str
    nats_host: str
    nats_client: str


class Ports(msgspec.Struct, frozen=True):
    """The ports the servers had last, so that they can have them again."""

    postgres: int | None = None
    nats: int | None = None


class DataDirectory:
    """A data directory that is ours for as long as `hold` lasts."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._holder = Holder(os.getpid(), time())
        self.serve_at("")

    def serve_at(self, url: str) -> None:
        """Tell those who come later where we serve."""
        self._holder = msgspec.structs.replace(self._holder, url=url)
        content = msgspec.json.encode(self._holder)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, content, 0)

    def secrets(self) -> Secrets:
        """The passwords; made the first time."""
        path = self.path / "secrets.json"
        found = _read(path, Secrets)
        if found is None:
            found = Secrets(*(f"t{secrets.token_urlsafe(24)}" for _ in range(5)))
            write_private(path, msgspec.json.encode(found))
        return found

    def ports(self) -> Ports:
        """The ports of last time."""
        with suppress(StoreUnavailable):
            return _read(self.path / "ports.json", Ports) or Ports()
        return Ports()

    def remember(self, ports: Ports) -> None:
        """Keep the ports for the next time."""
        write_private(self.path / "ports.json", msgspec.json.encode(ports))


@contextmanager
def hold(path: Path) -> Generator[DataDirectory]:
    """Hold a data directory, making it first if need be.

    The lock is the kernel's: it ends with our process, however that ends, so a file left behind blocks nobody. Raises
    Conflict naming who holds it, StoreUnavailable when it cannot be written to.
    """
    path = path.absolute()
    try:
        path.mkdir(0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unusable(path, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(path, os.pread(lock, 4096, 0)) from None
        except OSError as error:
            raise unusable(path, error) from error
        try:
            directory = DataDirectory(path, lock)
            if not (path / ".gitignore").exists():
                (path / ".gitignore").write_text("*\n")
        except OSError as error:
            raise unusable(path, error) from error
        yield directory
    finally:
        os.close(lock)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read, all of it or none. Raises StoreUnavailable."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise unusable(path.parent, error) from error


def unusable(path: Path, error: OSError) -> StoreUnavailable:
    """The error for a data directory that cannot be written to."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreUnavailable(
            f"the disk of {path} is full", hint="make room, or choose another directory: --data DIR"
        )
    return StoreUnavailable(
        f"the data directory {path} cannot be used: {error.strerror or error}",
        hint="choose a directory that you may write to: --data DIR",
    )


def full(path: Path) -> StoreUnavailable:
    """The error for a disk without room."""
    return StoreUnavailable(f"the disk of {path} is full", hint="make room, or choose another directory: --data DIR")


def _held(path: Path, content: bytes) -> Conflict:
    try:
        holder = msgspec.json.decode(content, type=Holder)
    except msgspec.MsgspecError:
        return Conflict(f"{path} is in use by another process", hint="stop it, or choose another directory: --data DIR")
    since = datetime.fromtimestamp(holder.since).astimezone().isoformat(sep=" ", timespec="seconds")
    where = f", serving on {holder.url}" if holder.url else ""
    return Conflict(
        f"{path} is in use by process {holder.pid} since {since}{where}",
        hint="use that one, stop it, or choose another directory: --data DIR",
    )


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(path.parent, error) from error
    except msgspec.MsgspecError as error:
        raise StoreUnavailable(
            f"{path} is damaged: {error}", hint="restore it; what it protects is in that directory"
        ) from None
