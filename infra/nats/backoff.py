"""Waiting a little longer after each failure, with jitter, so that many who failed together do not return together."""

from __future__ import annotations

import asyncio
from random import random


class Backoff:
    """Delays from `first` seconds doubling up to `most`."""

    def __init__(self, first: float, most: float) -> None:
        self._first, self._most = first, most
        self._next = first

    def reset(self) -> None:
        """Begin with the first delay again: something worked."""
        self._next = self._first

    def delay(self) -> float:
        """The next delay in seconds: between half and the whole of the current step."""
        step = self._next
        self._next = min(step * 2, self._most)
        return step * (0.5 + random() / 2)

    async def wait(self) -> None:
        """Sleep for the next delay."""
        await asyncio.sleep(self.delay())
