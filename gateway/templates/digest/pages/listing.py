"""Which files there are, and what is in them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from msgspec import Struct

import actors
from actors.workflows.tasks import TaskError

WORKSPACE = Path(__file__).parents[1]

PACKAGES = ("actors", "events", "gateway", "infra", "projections")
"""Of Thespis: their Markdown is read when no folder is named."""


class Folder(Struct):
    """Where to look, and for what; what is below `without` is left out."""

    folder: str = ""
    pattern: str = "**/*.md"
    without: str = ""


class File(Struct):
    """A file by its path below the root, and its content by its hash."""

    path: str
    sha256: str


class Listing(Struct):
    """What was found, by path."""

    root: str
    files: list[File]


def list_files(where: Folder) -> Listing:
    """The files of a folder that fit the pattern, with the hash of what is in them."""
    own = (WORKSPACE / where.without).resolve() if where.without else None
    if where.folder:
        root = (WORKSPACE / where.folder).resolve()
        if not root.is_dir():
            raise TaskError(f"there is no folder {root}", kind="not-found")
        paths = {path for path in root.glob(where.pattern) if path.is_file()}
    else:
        root = Path(actors.__file__).resolve().parents[1]
        paths = {path for name in PACKAGES for path in (root / name).glob(where.pattern) if path.is_file()}
    kept = [path for path in paths if own is None or not path.resolve().is_relative_to(own)]
    found = sorted(path.relative_to(root).as_posix() for path in kept)
    return Listing(str(root), [File(path, sha256((root / path).read_bytes()).hexdigest()) for path in found])
