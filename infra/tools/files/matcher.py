"""Matches a pattern against files for its parent: a program, because a pattern can take for ever and then is killed.

Read from standard input: the pattern, then files, each with its length in four bytes before it. Written for each file:
one line of JSON with up to `most` line numbers.
"""

from __future__ import annotations

import json
import re
import sys
from typing import BinaryIO


def _next(source: BinaryIO) -> str | None:
    size = source.read(4)
    return source.read(int.from_bytes(size, "big")).decode(errors="replace") if len(size) == 4 else None


def main(most: int) -> None:
    """Serve until there is no more."""
    source = sys.stdin.buffer
    pattern = re.compile(_next(source) or "")
    while (text := _next(source)) is not None:
        hits = [number for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]
        print(json.dumps(hits[:most]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
