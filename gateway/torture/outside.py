"""The world outside: strict fakes that remember every call that reached them, whatever becomes of the caller."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import msgspec

CALLS = "THESPIS_TORTURE_CALLS"
"""The variable that names the file of calls to hosts that are processes of their own."""


class Call(msgspec.Struct, frozen=True):
    """A call as the world saw it: that it began, and then (`ended`) that it did what it was to do."""

    effect: str
    attempt: str
    key: str
    n: int
    ended: bool = False


class Outside(Protocol):
    """What performers need of the world."""

    async def call(self, effect: str, attempt: str, key: str, n: int) -> Any:
        """Make a call. Some fail, and some break off without saying what came of them, see `trouble`."""
        ...

    async def known(self, effect: str) -> tuple[str, Any] | None:
        """What the world says of an effect afterwards: `("succeeded", result)`, or None when it does not know."""
        ...


def takes(n: int) -> float:
    """Seconds a call takes; some take longer than a lease."""
    return 3.0 if n % 50 == 17 else (n * 7 % 40) / 1000


def trouble(n: int) -> Exception | None:
    """What goes wrong with a call of that number, every time: it fails, or breaks off."""
    match n % 13:
        case 5:
            return RuntimeError("no")
        case 7:
            return ConnectionError("broken off")
        case _:
            return None


class MemoryOutside:
    """A world in this process, for hosts in it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._ended: dict[str, int] = {}

    async def call(self, effect: str, attempt: str, key: str, n: int) -> Any:
        """See `Outside.call`."""
        await asyncio.sleep(takes(n) / 2)
        self.calls.append(Call(effect, attempt, key, n))
        await asyncio.sleep(takes(n) / 2)
        if (error := trouble(n)) is not None:
            raise error
        self.calls.append(Call(effect, attempt, key, n, ended=True))
        self._ended[effect] = n
        return {"n": n}

    async def known(self, effect: str) -> tuple[str, Any] | None:
        """See `Outside.known`."""
        return ("succeeded", {"n": self._ended[effect]}) if effect in self._ended else None


class FileOutside:
    """A world that outlives the processes that call it: one line for each call, appended in one write."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    async def call(self, effect: str, attempt: str, key: str, n: int) -> Any:
        """See `Outside.call`."""
        await asyncio.sleep(takes(n) / 2)
        self._note(Call(effect, attempt, key, n))
        await asyncio.sleep(takes(n) / 2)
        if (error := trouble(n)) is not None:
            raise error
        self._note(Call(effect, attempt, key, n, ended=True))
        return {"n": n}

    async def known(self, effect: str) -> tuple[str, Any] | None:
        """See `Outside.known`."""
        found = next((call for call in read_calls(self._path) if call.effect == effect and call.ended), None)
        return ("succeeded", {"n": found.n}) if found is not None else None

    def _note(self, call: Call) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(call) + b"\n")
        finally:
            os.close(descriptor)


def read_calls(path: Path) -> list[Call]:
    """The calls in a file, in the order they came."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Call) for line in lines]


class Calls:
    """What the world saw, by effect."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.attempts: defaultdict[str, list[str]] = defaultdict(list)
        self.keys: defaultdict[str, set[str]] = defaultdict(set)
        self.succeeded: set[str] = set()
        self.number = 0
        for call in calls:
            if call.ended:
                self.succeeded.add(call.effect)
                continue
            self.number += 1
            self.attempts[call.effect].append(call.attempt)
            self.keys[call.effect].add(call.key)
