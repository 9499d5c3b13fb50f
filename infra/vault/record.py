"""Erasures beside the database: a file that outlives a restore of an older dump, read at every start."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from events.errors import Corrupt, StoreUnavailable


class Recorded(msgspec.Struct, frozen=True):
    """One erasure: the ids of the keys that must not come back. No subject is named."""

    id: str
    tenant: str
    keys: list[str]
    by: str
    reason: str
    at: int


class Record:
    """Lines of JSON, only ever added to. Several processes may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, erasure: Recorded) -> None:
        """Write a line to the disk itself. Raises StoreUnavailable when that is not possible."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write(msgspec.json.encode(erasure) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreUnavailable(
                f"the record of erasures {self.path} cannot be written: {error.strerror}",
                hint="nothing was erased; make room, or name another file with THESPIS_ERASURES_FILE",
            ) from error

    def all(self) -> list[Recorded]:
        """Every erasure so far. A last line that was cut off by a crash was not acted upon. Raises Corrupt."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found: list[Recorded] = []
        for number, line in enumerate(lines, 1):
            try:
                if line:
                    found.append(msgspec.json.decode(line, type=Recorded))
            except msgspec.MsgspecError as error:
                if number < len(lines):
                    # After a torn line another one may have been added: what it says must not be lost.
                    start = line.rfind(b'{"id":')
                    try:
                        found.append(msgspec.json.decode(line[start:], type=Recorded))
                        continue
                    except msgspec.MsgspecError:
                        pass
                    raise Corrupt(f"{self.path}, line {number}: {error}", hint="restore the file") from error
        return found
