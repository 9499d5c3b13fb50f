"""Which models and providers are left alone for a while, known to every call of this host."""

from __future__ import annotations

from collections.abc import Callable

Now = Callable[[], int]
"""µs since 1970."""


class Cooldowns:
    """What rests, until when and why. A key is a model's reference, or a provider's name for all its models."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._until: dict[str, tuple[int, str]] = {}

    def rest(self, key: str, seconds: float, why: str) -> None:
        """Leave it alone for at least so long."""
        until = self._now() + int(seconds * 1e6)
        if until > self._until.get(key, (0, ""))[0]:
            self._until[key] = until, why

    def well(self, *keys: str) -> None:
        """They answered."""
        for key in keys:
            self._until.pop(key, None)

    def left(self, *keys: str) -> tuple[float, str]:
        """(seconds, why) until all of them may be asked again; (0, "") now."""
        now = self._now()
        for key in keys:
            if key in self._until and self._until[key][0] <= now:
                del self._until[key]
        until, why = max((self._until[key] for key in keys if key in self._until), default=(now, ""))
        return (until - now) / 1e6, why
