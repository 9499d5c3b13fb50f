"""What is asked for, decided beforehand from a seed. Any part of a script is a script: that is how it is shrunk."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec

from gateway.demo.plan import Step, plan
from gateway.torture.kinds import EFFECTS

CLERKS = 12
DESKS = 5
ACCOUNTS = 16


class Mixture(msgspec.Struct, frozen=True):
    """Of a hundred operations, how many are transfers; how often errands have each part, and are forged (one in)."""

    transfers: int = 20
    notes: float = 0.35
    calls: float = 0.2
    bells: float = 0.15
    forged: float = 0.02
    chokes: float = 0.0
    """Each parks its clerk until an operator has it go on without that errand."""


def script(seed: int, operations: int, mixture: Mixture | None = None) -> list[Step]:
    """So many operations: accounts are opened first, then transfers and errands come mixed.

    Every errand has a number of its own. A forged one has another body under the key of an earlier one: whichever of
    the two comes first is done, and the other is a conflict.
    """
    mixture = mixture or Mixture()
    random = Random(seed)
    transfers = operations * mixture.transfers // 100
    todo = plan(seed, transfers, ACCOUNTS)
    errands = [_errand(random, seed, n, mixture) for n in range(operations - transfers)]
    steps: list[Step] = []
    for errand in errands:
        steps.append(errand)
        if random.random() < mixture.forged:
            n = errand.data["n"] + 1_000_000_000
            steps.append(msgspec.structs.replace(errand, data=errand.data | {"n": n}))
    mixed: list[Step] = []
    rest: Sequence[Step] = todo.transfers
    each = max(1, len(steps) // (len(rest) or 1))
    for number, step in enumerate(steps):
        mixed.append(step)
        if number % each == 0 and number // each < len(rest):
            mixed.append(rest[number // each])
    left = rest[(len(steps) + each - 1) // each :]
    return [*todo.opening, *todo.closing, *mixed, *left]


def _errand(random: Random, seed: int, n: int, mixture: Mixture) -> Step:
    # One clerk in three operations is the same, so that it decides many of them at a time.
    clerk = 0 if random.random() < 0.3 else random.randrange(CLERKS)
    data: dict[str, object] = {"n": n, "add": random.randint(-8, 10)}
    if random.random() < mixture.notes:
        data["notes"] = f"desk/{random.randrange(DESKS)}"
    if random.random() < mixture.calls:
        data["call"] = random.choice(list(EFFECTS))
    if random.random() < mixture.bells:
        data["bell"] = random.choice((0.0, 0.05, 0.5, 2.0, 4.0))
    if mixture.chokes and random.random() < mixture.chokes:
        data["choke"] = True
    return Step(f"clerk/{clerk}", "Do", data, f"torture-{seed}-{n}")
