"""Decimals as texts, added and subtracted exactly."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Final

from events.pricing import plain

_EXACT: Final = Context(prec=200, traps=[Inexact, InvalidOperation])


def plus(a: str, b: str) -> str:
    """The sum, without zeros at its end."""
    return plain(_EXACT.add(Decimal(a), Decimal(b)))


def minus(a: str, b: str) -> str:
    """The difference, without zeros at its end."""
    return plain(_EXACT.subtract(Decimal(a), Decimal(b)))
