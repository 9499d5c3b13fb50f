"""What the demo does, decided beforehand from a seed: who has an account, and who pays whom."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from gateway.demo.proof import Acknowledged

DEPOSIT = 1_000
"""What an account is opened with."""


class Step(msgspec.Struct, frozen=True):
    """A message to send under an idempotency key, which is the same however often it is tried."""

    to: str
    message: str
    data: dict[str, Any]
    key: str


class Plan(msgspec.Struct):
    """First all of `opening`, then all of `closing`, then `transfers` in no particular order."""

    opening: list[Step]
    closing: list[Step]
    transfers: list[Step]
    asked: dict[str, Acknowledged]
    """By transfer: what is asked for. Acknowledgements are added as they come."""


def plan(seed: int, transfers: int, accounts: int) -> Plan:
    """A tenth of the transfers is between few accounts. Some accounts are full and some closed, so they refuse credits;
    some transfers are larger than what is there, so the source refuses."""
    random = Random(seed)
    names = [f"account/{number:05d}" for number in range(1, accounts + 1)]
    busy = names[: max(2, accounts // 100)]
    opening: list[Step] = []
    closing: list[Step] = []
    for number, name in enumerate(names):
        limit = DEPOSIT + 50 if number % 25 == 3 else None
        opening.append(Step(name, "Open", {"deposit": DEPOSIT, "limit": limit}, f"demo-{seed}-open"))
        if number % 40 == 7:
            closing.append(Step(name, "Close", {}, f"demo-{seed}-close"))
    steps: list[Step] = []
    asked: dict[str, Acknowledged] = {}
    for number in range(1, transfers + 1):
        source, target = random.sample(busy if random.random() < 0.1 else names, 2)
        amount = random.randint(1, DEPOSIT // 2)
        name = f"transfer/{seed}-{number:06d}"
        steps.append(
            Step(name, "Transfer", {"source": source, "target": target, "amount": amount}, f"demo-{seed}-transfer")
        )
        asked[name] = Acknowledged(source, target, amount)
    return Plan(opening, closing, steps, asked)
