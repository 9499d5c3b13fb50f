"""Memory with an end: what was used last is kept, the rest is forgotten or written to files."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Generic, TypeVar

V = TypeVar("V")

BUCKETS: Final = 64
PIECE: Final = 16_384
"""Numbers of a bucket in memory before they go to its file."""


class Recent(Generic[V]):
    """A dictionary of the `window` to 2 × `window` keys used last.

    Two generations: when the young one is full it becomes the old one, and what nobody asked for meanwhile is gone.
    """

    __slots__ = ("forgotten", "old", "window", "young")

    def __init__(self, window: int) -> None:
        self.window = window
        self.young: dict[str, V] = {}
        self.old: dict[str, V] = {}
        self.forgotten = 0
        """How many generations were dropped; 0: everything there ever was is still here."""

    def get(self, key: str) -> V | None:
        """What is remembered under the key."""
        found = self.young.get(key)
        return found if found is not None or not self.old else self.old.get(key)

    def put(self, key: str, value: V) -> None:
        """Remember."""
        self.young[key] = value
        if len(self.young) >= self.window:
            self.forgotten += bool(self.old)
            self.old, self.young = self.young, {}


class Ledger:
    """Pairs of 64-bit numbers, sorted into buckets by the first, in files once they are many.

    A bucket at a time is small enough for a dictionary, however many pairs there are.
    """

    def __init__(self, buckets: int = BUCKETS, piece: int = PIECE) -> None:
        self._buckets = [array("q") for _ in range(buckets)]
        self._mask = buckets - 1
        self._piece = piece
        self._directory: TemporaryDirectory[str] | None = None

    def note(self, first: int, second: int) -> None:
        """Add a pair."""
        bucket = self._buckets[first & self._mask]
        bucket.append(first)
        bucket.append(second)
        if len(bucket) >= self._piece:
            self._write(first & self._mask)

    def _file(self, number: int) -> Path:
        if self._directory is None:
            self._directory = TemporaryDirectory(prefix="thespis-proof-")
        return Path(self._directory.name) / str(number)

    def _write(self, number: int) -> None:
        with self._file(number).open("ab") as file:
            self._buckets[number].tofile(file)
        del self._buckets[number][:]

    def buckets(self) -> Iterator[list[tuple[int, int]]]:
        """The pairs of each bucket, in the order they came. Afterwards there are none any more."""
        for number, rest in enumerate(self._buckets):
            numbers = array("q")
            if self._directory is not None and (file := self._file(number)).exists():
                numbers.frombytes(file.read_bytes())
                file.unlink()
            numbers.extend(rest)
            del rest[:]
            yield list(zip(numbers[::2], numbers[1::2], strict=True))
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None
