"""Slots: so many calls at once, so many of one task; of those who wait the most urgent first, then who came first."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Begin = Callable[[], None]


class Ticket:
    """A place in the line. `begin` is called when its turn comes; `left` is set when it no longer waits."""

    __slots__ = ("begin", "left")

    def __init__(self, begin: Begin) -> None:
        self.begin = begin
        self.left = False


class Lane:
    """`limit` slots, shared by tasks that may have limits of their own."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._used_by: dict[str, int] = {}
        self._waiting: dict[str, list[tuple[int, int, Ticket]]] = {}
        self._limits: dict[str, int | None] = {}
        self._count = 0

    def enter(self, task: str, at_once: int | None, priority: int, begin: Begin) -> Ticket | None:
        """Begin now, or wait: then the place in the line is returned. `leave` ends what was begun."""
        if self.used < self.limit and task not in self._waiting:
            if at_once is None:
                self.used += 1
                begin()
                return None
            if self._used_by.get(task, 0) < at_once:
                self._occupy(task, at_once)
                begin()
                return None
        self._count += 1
        ticket = Ticket(begin)
        self._limits[task] = at_once
        heappush(self._waiting.setdefault(task, []), (-priority, self._count, ticket))
        return ticket

    def leave(self, task: str, at_once: int | None) -> None:
        """A slot is free: whoever is next begins."""
        self.used -= 1
        if at_once is not None:
            self._used_by[task] -= 1
        while self._waiting and self.used < self.limit and (found := self._next()) is not None:
            self._occupy(*found[0])
            found[1].left = True
            found[1].begin()

    def _occupy(self, task: str, at_once: int | None) -> None:
        self.used += 1
        if at_once is not None:
            self._used_by[task] = self._used_by.get(task, 0) + 1

    def _next(self) -> tuple[tuple[str, int | None], Ticket] | None:
        best: tuple[Any, ...] | None = None
        name = ""
        for task in list(self._waiting):
            line = self._waiting[task]
            while line and line[0][2].left:
                heappop(line)
            if not line:
                del self._waiting[task]
                continue
            limit = self._limits[task]
            if (limit is None or self._used_by.get(task, 0) < limit) and (best is None or line[0][:2] < best):
                best, name = line[0][:2], task
        if best is None:
            return None
        line = self._waiting[name]
        ticket = heappop(line)[2]
        if not line:
            del self._waiting[name]
        return (name, self._limits[name]), ticket
