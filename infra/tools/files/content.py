"""What is in a file: read once, whole, hashed; text or refused."""

from __future__ import annotations

import difflib
import os
import stat
from hashlib import sha256
from typing import Final

import msgspec

from actors.tools.tool import ToolError
from infra.tools.files.confined import Confined, failure

LARGEST: Final = 4 << 20
"""Bytes of a file that is read or written."""
_LONGEST_DIFF: Final = 64 << 10
_SNIFFED: Final = 8192


class Content(msgspec.Struct, frozen=True):
    """A file as it was: bytes, mode bits, SHA-256, owners."""

    data: bytes
    mode: int
    hash: str
    owner: tuple[int, int]
    links: int


def hash_of(data: bytes) -> str:
    """SHA-256."""
    return sha256(data).hexdigest()


def load(confined: Confined, folder: int, name: str, path: str) -> Content | None:
    """A file of an open folder, None when it is not there. Raises ToolError."""
    try:
        opened = confined.file(folder, name, path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failure(error, path) from None
    with os.fdopen(opened, "rb") as file:
        found = os.fstat(file.fileno())
        data = file.read(LARGEST + 1) if found.st_size <= LARGEST else b"\0" * (LARGEST + 1)
    if len(data) > LARGEST:
        raise ToolError(f"{path} is larger than {LARGEST} bytes", code="too-large")
    owner = (found.st_uid, found.st_gid)
    return Content(data, stat.S_IMODE(found.st_mode), hash_of(data), owner, found.st_nlink)


def as_text(data: bytes, path: str) -> str:
    """UTF-8, or ToolError."""
    try:
        if b"\0" in data[:_SNIFFED]:
            raise ValueError
        return data.decode()
    except ValueError:
        raise ToolError(f"{path} is not text", code="binary") from None


def diff(path: str, before: bytes | None, after: bytes | None) -> str:
    """A unified diff, cut where it is too long; a line where one of them is not text."""
    try:
        lines = [as_text(data or b"", path).splitlines(keepends=True) for data in (before, after)]
    except ToolError:
        return f"{path}: {len(before or b'')} bytes → {len(after or b'')} bytes"
    names = (f"a/{path}" if before is not None else "/dev/null", f"b/{path}" if after is not None else "/dev/null")
    found = difflib.unified_diff(lines[0], lines[1], *names)
    text = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in found)
    return text if len(text) <= _LONGEST_DIFF else text[:_LONGEST_DIFF] + "\n[diff cut]\n"
