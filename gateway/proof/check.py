"""A statement about the log, and what was found when the log was held against it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from events.envelope import Event

SHOWN: Final = 10
"""Faults a check remembers; it counts them all."""


class Check(msgspec.Struct):
    """A statement about the log, how much it was held against, and where it does not hold."""

    statement: str
    over: str = ""
    """What was looked at, in words and figures."""
    faults: list[str] = []
    """The first places where it does not hold: a position or a row, its stream, and what is wrong there."""
    count: int = 0
    meaning: str = ""
    """What it means when it does not hold."""
    way_out: str = ""
    """What to do then."""
    figure: str = "lost"
    """What each of its faults comes to where faults are counted: lost, doubled, reordered or repeated."""

    @property
    def passed(self) -> bool:
        """Whether no fault was found."""
        return self.count == 0

    def fault(self, text: str) -> None:
        """Note a place where the statement does not hold."""
        self.count += 1
        if self.count <= SHOWN:
            self.faults.append(text)

    def require(self, holds: bool, text: str) -> None:
        """Note a fault unless it holds."""
        if not holds:
            self.fault(text)


def at(event: Event) -> str:
    """Where an event is, in words."""
    return f"position {event.position} ({event.stream} version {event.version})"


class Witness(Protocol):
    """Sees every event of the log once, in order, and then says what it found."""

    def see(self, event: Event) -> None:
        """Look at the next event."""
        ...

    def checks(self) -> list[Check]:
        """The statements, each with what was found."""
        ...


def verdict(checks: Iterable[Check]) -> list[str]:
    """One line per check; faults are indented below theirs, with what they mean and the way out."""
    lines: list[str] = []
    for check in checks:
        over = f" ({check.over})" if check.over else ""
        lines.append(f"{'proved' if check.passed else 'FAILED'}  {check.statement}{over}")
        lines += [f"        {fault}" for fault in check.faults]
        if check.count > len(check.faults):
            lines.append(f"        … and {check.count - len(check.faults):,} more")
        if not check.passed and check.meaning:
            lines.append(f"        means: {check.meaning}")
        if not check.passed and check.way_out:
            lines.append(f"        → {check.way_out}")
    return lines
