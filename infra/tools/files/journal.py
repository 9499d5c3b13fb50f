"""What was done to files, kept outside of them: by the key of the call, with what was there before.

A record is written before the act and again after it. One that says only that something was meant is compared with
what is there, which tells whether it was done.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import msgspec

from actors.tools.tool import ToolError

_HEX: Final = frozenset("0123456789abcdef")


class Kept(msgspec.Struct, frozen=True):
    """One file's content, by its SHA-256, and its mode."""

    hash: str
    mode: int


class Record(msgspec.Struct, frozen=True):
    """A change of one file: from `before` to `after` (None: not there); a move has `to`. `temporary` is the name of a
    file that may be left. `value` is what was answered, once it was done."""

    id: str
    digest: str
    tool: str
    path: str
    before: Kept | None = None
    after: Kept | None = None
    to: str = ""
    temporary: str = ""
    done: bool = False
    value: dict[str, Any] = {}


class Journal:
    """Records and contents in a private folder, which is made when first needed."""

    def __init__(self, private: Path) -> None:
        self._private = private

    @contextmanager
    def alone(self) -> Generator[None]:
        """Nobody else changes files by this journal meanwhile, in any process."""
        for folder in (self._private, self._private / "records", self._private / "contents"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._private / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    @staticmethod
    def id_of(key: str) -> str:
        """The id of a change: from the key of the call, or drawn."""
        return sha256(key.encode()).hexdigest()[:24] if key else token_hex(12)

    def find(self, id: str) -> Record | None:
        """A record. Raises ToolError for what is no id."""
        if len(id) != 24 or not set(id) <= _HEX:
            raise ToolError(f"{id!r} is no id of a change", code="not-found")
        try:
            return msgspec.json.decode((self._private / "records" / id).read_bytes(), type=Record)
        except FileNotFoundError:
            return None

    def put(self, record: Record) -> None:
        """Write a record, durably."""
        self._write("records", record.id, msgspec.json.encode(record))

    def keep(self, content: bytes) -> None:
        """Keep what a file had in it, durably."""
        name = sha256(content).hexdigest()
        if not (self._private / "contents" / name).exists():
            self._write("contents", name, content)

    def content(self, hash: str) -> bytes:
        """What was kept. Raises ToolError."""
        try:
            return (self._private / "contents" / hash).read_bytes()
        except FileNotFoundError:
            raise ToolError("what was there before is no longer kept", code="not-found") from None

    def _write(self, folder: str, name: str, data: bytes) -> None:
        place = os.open(self._private / folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            temporary = f".{name}.{token_hex(4)}"
            fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=place)
            with os.fdopen(fd, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            os.rename(temporary, name, src_dir_fd=place, dst_dir_fd=place)
            os.fsync(place)
        finally:
            os.close(place)
