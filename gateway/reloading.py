"""Hot reload: agents and policies of workspaces are published again when their files change, while a host runs.

Files are looked at, not watched: that works on every file system, and in containers. One that changed is taken once it
has been the same for a whole look, because editors write in pieces. What is wrong stays unpublished, and is told as at
the start; the version before goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from events.errors import ThespisError

log = logging.getLogger("thespis.agents")

EVERY: Final = 0.5
"""Seconds between two looks."""

Find = Callable[[], Iterable[Path]]
Publish = Callable[[Sequence[Path]], Awaitable[None]]
_Mark = tuple[int, int, int]


class Files:
    """The files that `find` finds, with how they were when they were taken; at first: now."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._taken = self._seen = self._look()

    def changed(self) -> list[Path]:
        """Those that are new or others, and rest; each is taken by that."""
        before, self._seen = self._seen, self._look()
        found = [file for file, mark in self._seen.items() if mark == before.get(file) != self._taken.get(file)]
        self._taken = {file: self._seen[file] if file in found else self._taken.get(file) for file in self._seen}
        return found

    def _look(self) -> dict[Path, _Mark | None]:
        return {file: mark for file in self._find() if (mark := _mark(file)) is not None}


async def reload(watched: Sequence[tuple[Files, Publish]]) -> None:
    """Publish what changes, until cancelled."""
    while True:
        await asyncio.sleep(EVERY)
        for files, publish in watched:
            if changed := await asyncio.to_thread(files.changed):
                log.info("changed: %s", ", ".join(map(str, changed)))
                try:
                    await publish(changed)
                except ThespisError as error:
                    log.error("what changed was not published: %s", error)


def _mark(file: Path) -> _Mark | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
