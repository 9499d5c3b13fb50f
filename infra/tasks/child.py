"""A child process that calls functions for its parent. Run as a script: what it may import, the parent says first."""

from __future__ import annotations

import os
import sys

import msgspec


def main() -> None:
    """Serve until standard input ends, as it does when the parent is gone."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a function prints goes where the parent's log goes
    size = int.from_bytes(source.read(4), "big")
    sys.path[:] = msgspec.msgpack.decode(source.read(size))["path"]

    from infra.tasks.serving import serve

    serve(source, sink)


if __name__ == "__main__":
    main()
