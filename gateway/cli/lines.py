"""NDJSON from a file or a pipe: lines as they arrive, gathered into batches, without blocking the event loop."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import BinaryIO, Final

import msgspec

CHUNK: Final = 1 << 18
MAX_LINE: Final = 16 << 20
"""Bytes; what is longer is a bad line, and read past without being kept."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """A line with its number (from 1). `text` is None for one that is too long to be kept."""

    number: int
    text: bytes | None


class Splitter:
    """Cuts chunks into numbered lines; blank ones are counted and left out."""

    def __init__(self) -> None:
        self.number = 0
        self._rest = b""
        self._too_long = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines completed by a chunk."""
        *done, self._rest = (self._rest + chunk).split(b"\n")
        for text in done:
            yield from self._line(text)
        if len(self._rest) > MAX_LINE:
            self._rest, self._too_long = b"", True

    def end(self) -> Iterator[Line]:
        """The last line, when it does not end with a newline."""
        if self._rest or self._too_long:
            yield from self._line(self._rest)
            self._rest = b""

    def _line(self, text: bytes) -> Iterator[Line]:
        self.number += 1
        if self._too_long or len(text) > MAX_LINE:
            self._too_long = False
            yield Line(self.number, None)
        elif text.strip():
            yield Line(self.number, text.strip())


async def arriving(file: BinaryIO) -> AsyncIterator[list[Line]]:
    """Lines of a file or a pipe in groups, each as soon as it is there. A daemon thread does the reading."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(8)

    def read() -> None:
        try:
            while True:
                room.acquire()
                try:
                    chunk: bytes | OSError = os.read(file.fileno(), CHUNK)
                except OSError as error:
                    chunk = error
                loop.call_soon_threadsafe(queue.put_nowait, chunk)
                if not chunk or isinstance(chunk, OSError):
                    return
        except RuntimeError:
            return  # the loop is closed: nobody wants the rest

    threading.Thread(target=read, name="reader", daemon=True).start()
    splitter = Splitter()
    while True:
        chunk = await queue.get()
        room.release()
        if isinstance(chunk, OSError):
            raise chunk
        if not chunk:
            yield list(splitter.end())
            return
        yield list(splitter.feed(chunk))


def count(file: BinaryIO) -> int | None:
    """How many lines are left in a file, without reading it away; None for a pipe or a terminal."""
    descriptor = file.fileno()
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    at, found, last = os.lseek(descriptor, 0, os.SEEK_CUR), 0, b"\n"
    while chunk := os.pread(descriptor, CHUNK, at):
        found += chunk.count(b"\n")
        last = chunk
        at += len(chunk)
    return found + (not last.endswith(b"\n"))


def batches(lines: Iterable[Line], most: int, most_bytes: int) -> Iterator[list[Line]]:
    """Cut a group into batches of at most `most` lines and `most_bytes` bytes (a longer line is a batch alone)."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        length = len(line.text or b"") + 1
        if batch and (len(batch) >= most or size + length > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += length
    if batch:
        yield batch
