"""Counters: an actor and what is known of all of them. One file per actor and per projection."""

from .counter import counter
from .totals import totals

__all__ = ["counter", "totals"]
