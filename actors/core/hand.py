"""The durable mark of the message in hand: what a host was deciding when it died.

One page of a memory-mapped file, written without a system call before each decision. The page cache outlives the
process, so a kill -9 (or a decide that takes the process with it) leaves the mark for the next start on this machine.
"""

from __future__ import annotations

import mmap
import os
import resource
import struct
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

SIZE = 4096
_HEAD = struct.Struct("<HHH")

EXIT_HUNG = 75
"""Exit status of a host whose decide did not return in time."""
EXIT_GREW = 76
"""Exit status of a host whose decide took too much memory."""
_TICK = 0.1
_UNIT = 1 if sys.platform == "darwin" else 1024


class InHand(NamedTuple):
    """What was being decided."""

    tenant: str
    address: str
    message: str


class Hand:
    """Marks and clears the message in hand.

    With `hang_after` seconds, or `grow_limit` bytes, a thread ends the process when one decision takes longer, or more
    memory than the process ever had: the mark then names it, and the supervisor starts the host again.
    """

    marks = True
    """Whether it is of any use to call it."""

    def __init__(self, path: Path, hang_after: float = 0.0, grow_limit: int = 0) -> None:
        self.path = path
        path.touch(mode=0o600)
        with path.open("r+b") as file:
            if os.fstat(file.fileno()).st_size < SIZE:
                file.truncate(SIZE)
            self._map = mmap.mmap(file.fileno(), SIZE)
        self.found = self._read()
        """What the previous process left in hand, or None."""
        self._map[0] = 0
        self._count = 0
        self._hang_after = hang_after
        self._grow_limit = grow_limit
        self._closed = threading.Event()
        if hang_after > 0 or grow_limit > 0:
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def __enter__(self) -> Hand:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._map[0] = 0

    def take(self, tenant: str, address: str, message: str) -> None:
        """Mark the message that is about to be decided."""
        t, a, m = tenant.encode(), address.encode(), message.encode()[:1024]
        page = self._map
        end = 7 + len(t) + len(a) + len(m)
        page[1:end] = _HEAD.pack(len(t), len(a), len(m)) + t + a + m
        page[0] = 1
        self._count += 1

    def put(self) -> None:
        """Nothing is in hand."""
        self._map[0] = 0

    def _read(self) -> InHand | None:
        page = self._map
        if page[0] != 1:
            return None
        t, a, m = _HEAD.unpack(page[1:7])
        data = page[7 : 7 + t + a + m]
        try:
            return InHand(data[:t].decode(), data[t : t + a].decode(), data[t + a :].decode())
        except UnicodeDecodeError:
            return None

    def _watch(self) -> None:
        last, since, size = -1, 0.0, 0
        while not self._closed.wait(min(_TICK, (self._hang_after or 1.0) / 4)):
            now = time.monotonic()
            if self._map[0] != 1 or self._count != last:
                last, since, size = self._count, now, _largest()
            elif 0 < self._hang_after < now - since:
                os._exit(EXIT_HUNG)
            elif 0 < self._grow_limit < _largest() - size:
                os._exit(EXIT_GREW)


def _largest() -> int:
    """The most memory this process had so far, in bytes.

    Linux counts what the process that started us had into `ru_maxrss`, so that is asked elsewhere only.
    """
    try:
        with open("/proc/self/status", "rb") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(b"VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


class NoHand:
    """Marks nothing: for tests and for hosts without a directory of their own."""

    found: InHand | None = None
    marks = False

    def take(self, tenant: str, address: str, message: str) -> None:
        """Do nothing."""

    def put(self) -> None:
        """Do nothing."""
