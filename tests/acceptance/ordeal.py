"""All that decides how a torture in memory goes: the same ordeal gives the same run, step by step."""

from __future__ import annotations

from msgspec import Struct

from gateway.demo.plan import Step
from tests.acceptance.faults import Strike

PATIENCE = 600.0
"""Virtual seconds until everything must be done."""


class Ordeal(Struct, frozen=True):
    """All that decides how a torture goes."""

    steps: list[Step]
    strikes: list[Strike] = []
    hosts: int = 1
    seed: int = 1
    late: list[Step] = []
    """Copies that are sent when all has ended."""
    patience: float = PATIENCE
    """Virtual seconds."""
