"""What a server whose owner was killed leaves behind: its processes.

Only the holder of the data directory's lock comes here, so nothing that still runs on it is anybody's. Processes are
known by their command lines, which can be read whoever they run as; a pid in a file is never trusted, because after a
crash it may be somebody else's.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from time import monotonic

import psutil

from events.errors import Unavailable

Matches = Callable[[str, Sequence[str]], bool]
"""Whether a process with this name and command line is one of ours."""


def find(matches: Matches) -> list[psutil.Process]:
    """The running processes that match."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["name", "cmdline"]):
        words: list[str] | None = process.info["cmdline"]
        if words and matches(process.info["name"] or "", words):
            found.append(process)
    return found


async def end(what: str, matches: Matches, *steps: tuple[signal.Signals, float]) -> None:
    """End them: each signal, and that many seconds of patience. Raises Unavailable when they cannot be ended."""
    for number, patience in (*steps, (signal.SIGKILL, 5.0)):
        if not (left := find(matches)):
            return
        for process in left:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied as error:
                raise Unavailable(f"{what} still runs as process {process.pid}, which is not ours to stop") from error
        deadline = monotonic() + patience
        while find(matches):
            if monotonic() > deadline:
                break
            await asyncio.sleep(0.02)
    if find(matches):
        raise Unavailable(f"{what} still runs and does not end")
