"""Memory with an end: what was used last is kept, the rest is forgotten or written to files."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Generic, TypeVar

V = TypeVar("V")

BUCKETS: Final = 64
"""A power of two."""
PIECE: Final = 16_384
"""Numbers of a bucket in memory before they go to its file."""


class Recent(Generic[V]):
    """A dictionary of the `window` to 2 × `window` keys used last.

    Two generations, open to whoever is in a hurry: look in `young`, then in `old`; write to `young`; call `settle` now
    and then. When the young one is full it becomes the old one, and what nobody wrote meanwhile is gone.
    """

    __slots__ = ("forgotten", "old", "window", "young")

    def __init__(self, window: int) -> None:
        self.window = window
        self.young: dict[str, V] = {}
        self.old: dict[str, V] = {}
        self.forgotten = 0
        """How many generations were dropped; 0: everything there ever was is still here."""

    def settle(self) -> None:
        """Begin a new generation if the young one is full."""
        if len(self.young) >= self.window:
            self.forgotten += bool(self.old)
            self.old, self.young = self.young, {}


class Ledger:
    """Pairs of 64-bit numbers, sorted into buckets by the first, in files once they are many.

    A bucket at a time is small enough for a dictionary, however many pairs there are.
    """

    def __init__(self, piece: int = PIECE) -> None:
        self.open = [array("q") for _ in range(BUCKETS)]
        """Append both numbers of a pair to the bucket `first % BUCKETS`, and call `settle` now and then."""
        self._piece = piece
        self._directory: TemporaryDirectory[str] | None = None

    def settle(self) -> None:
        """Write full buckets to their files."""
        for number, bucket in enumerate(self.open):
            if len(bucket) >= self._piece:
                with self._file(number).open("ab") as file:
                    bucket.tofile(file)
                del bucket[:]

    def _file(self, number: int) -> Path:
        if self._directory is None:
            self._directory = TemporaryDirectory(prefix="thespis-proof-")
        return Path(self._directory.name) / str(number)

    def buckets(self) -> Iterator[list[tuple[int, int]]]:
        """The pairs of each bucket, in the order they came. Afterwards there are none any more."""
        for number, rest in enumerate(self.open):
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
