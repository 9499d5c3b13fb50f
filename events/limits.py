"""Limits as a story: units are wanted, granted in turn, and given back."""

from __future__ import annotations

import msgspec


class LimitChanged(msgspec.Struct, frozen=True):
    """There are this many units."""

    size: int


class UnitsWanted(msgspec.Struct, frozen=True):
    """`asker` is to be told when `holder` has them."""

    holder: str
    ref: str
    group: str
    units: int
    priority: int
    asker: str


class UnitsGranted(msgspec.Struct, frozen=True):
    """The holder has what it wanted."""

    holder: str


class UnitsReleased(msgspec.Struct, frozen=True):
    """The holder has nothing any more, and waits for nothing."""

    holder: str


LIMIT_EVENTS = (LimitChanged, UnitsWanted, UnitsGranted, UnitsReleased)
