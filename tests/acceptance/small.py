"""A script with one of everything: short enough to be struck at every single place."""

from __future__ import annotations

from typing import Any

from gateway.demo.plan import Step
from tests.acceptance.faults import Strike
from tests.acceptance.ordeal import Ordeal


def _do(clerk: int, n: int, **parts: Any) -> Step:
    return Step(f"clerk/{clerk}", "Do", {"n": n, **parts}, f"small-{n}")


SMALL = [
    Step("account/a", "Open", {"deposit": 100, "limit": None}, "open"),
    Step("account/b", "Open", {"deposit": 0, "limit": None}, "open"),
    _do(0, 1, add=5, notes="desk/0", call="irreversible", bell=0.5),
    _do(0, 2, notes="desk/0", call="keyed"),
    _do(1, 3, add=1, notes="desk/0", call="reconciled", bell=2.0),
    _do(0, 4, add=-9),
    _do(1, 7, call="irreversible"),
    Step("transfer/1", "Transfer", {"source": "account/a", "target": "account/b", "amount": 60}, "transfer"),
    _do(1, 5, bell=0.0, notes="desk/1"),
    Step("transfer/2", "Transfer", {"source": "account/a", "target": "account/b", "amount": 60}, "transfer"),
    _do(0, 2, notes="desk/0", call="keyed"),
    _do(0, 6, add=2, call="idempotent", bell=0.1),
]
"""Among them a refusal, a copy, a call that breaks off (7), a transfer that is refused; note 3 is rebuffed."""


def struck(hosts: int, *strikes: Strike) -> Ordeal:
    """The small script under these strikes; the first and the last operations come once more at the end."""
    return Ordeal(SMALL, list(strikes), hosts, late=[SMALL[2], SMALL[5], SMALL[7]])
