"""Token buckets: how often each client may come."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from gateway.problems import RateLimited


class Buckets:
    """A bucket per key, filled at `rate` per second up to `burst`. The oldest unused of more than `keep` are forgotten
    (they are full again by then, or nearly)."""

    def __init__(
        self, rate: float, burst: float, *, keep: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = max(burst, 1.0)
        self._keep = keep
        self._clock = clock
        self._rows: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, cost: float = 1.0) -> None:
        """Pay for `cost` requests. Raises RateLimited with the seconds until that would be possible.

        A cost above the burst is possible when the bucket is full, and leaves a debt.
        """
        if not self._rate:
            return
        level, now = self._level(key)
        short = min(cost, self._burst) - level
        self._rows[key] = (level if short > 0 else level - cost, now)
        self._rows.move_to_end(key)
        if len(self._rows) > self._keep:
            self._rows.popitem(last=False)
        if short > 0:
            raise self._limited(short)

    def check(self, key: str) -> None:
        """Raise RateLimited when one more could not be paid for, without paying."""
        if self._rate and (short := 1.0 - self._level(key)[0]) > 0:
            raise self._limited(short)

    def _level(self, key: str) -> tuple[float, float]:
        now = self._clock()
        level, at = self._rows.get(key, (self._burst, now))
        return min(self._burst, level + (now - at) * self._rate), now

    def _limited(self, short: float) -> RateLimited:
        return RateLimited(
            f"more than {self._rate:g} requests a second, and {self._burst:g} at once",
            retry_after=max(short / self._rate, 0.001),
        )
