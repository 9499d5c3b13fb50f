"""What the tools are asked: their arguments."""

from __future__ import annotations

import msgspec


class List(msgspec.Struct, frozen=True):
    """What is in a folder; `depth` levels down."""

    path: str = "."
    depth: int = 1


class Find(msgspec.Struct, frozen=True):
    """Lines with all words of `query`, whatever their case; with `regex`, lines that match it. `path` is where."""

    query: str
    path: str = "."
    regex: bool = False


class Read(msgspec.Struct, frozen=True):
    """A text file, or lines of it: `first` counted from 1, `last` 0 for to the end."""

    path: str
    first: int = 1
    last: int = 0


class Write(msgspec.Struct, frozen=True):
    """A whole text file. `expect` is the hash it had when it was read: if it is another now, nothing is written;
    "absent": it must be new."""

    path: str
    content: str
    expect: str = ""


class Edit(msgspec.Struct, frozen=True):
    """Replace `old`, which must stand in the file exactly once, by `new`."""

    path: str
    old: str
    new: str
    expect: str = ""


class Move(msgspec.Struct, frozen=True):
    """Give a file another path, where nothing is yet."""

    path: str
    to: str
    expect: str = ""


class Delete(msgspec.Struct, frozen=True):
    """Take a file away."""

    path: str
    expect: str = ""


class Undo(msgspec.Struct, frozen=True):
    """Take back a change, by the id that it answered, unless the file was changed since."""

    id: str
