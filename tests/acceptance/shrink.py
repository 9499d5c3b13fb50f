"""A failure made short: operations and strikes are left out for as long as what is left still fails (ddmin: A. Zeller,
R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TypeVar

from msgspec.structs import replace

from tests.acceptance.faults import Strike
from tests.acceptance.ordeal import Ordeal

T = TypeVar("T")

RUNS = 400
"""Tries after which what has been reached is good enough."""
DRAWS = 4
"""Other places that are tried for the strikes of each part of the operations."""


def shrink(ordeal: Ordeal, fails: Callable[[Ordeal], bool], runs: int = RUNS) -> Ordeal:
    """The smallest ordeal found that still fails."""
    tries = Tries(fails, runs)
    before: Ordeal | None = None
    while ordeal != before:
        before = ordeal
        late = tries.least(ordeal.late, lambda late, o=ordeal: replace(o, late=list(late)))
        ordeal = _fewer_strikes(replace(ordeal, late=list(late)), tries)
        ordeal = _fewer_steps(ordeal, tries)
        for hosts in range(1, ordeal.hosts):
            if tries(replace(ordeal, hosts=hosts)):
                ordeal = replace(ordeal, hosts=hosts)
                break
    return ordeal


class Tries:
    """Asks whether an ordeal fails, so many times."""

    def __init__(self, fails: Callable[[Ordeal], bool], runs: int) -> None:
        self._fails = fails
        self._left = runs

    def __call__(self, ordeal: Ordeal) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        # What never ends fails, too: it need not be waited for as long.
        return self._fails(replace(ordeal, patience=min(ordeal.patience, 120.0)))

    def least(self, items: Sequence[T], ordeal_of: Callable[[Sequence[T]], Ordeal]) -> Sequence[T]:
        """A part of the items that still fails, and none of whose own parts of a certain size does."""
        if items and self(ordeal_of([])):
            return []
        parts = 2
        while len(items) >= 2:
            size = -(-len(items) // parts)
            for start in range(0, len(items), size):
                without = [*items[:start], *items[start + size :]]
                if self(ordeal_of(without)):
                    items, parts = without, max(2, parts - 1)
                    break
            else:
                if parts >= len(items):
                    break
                parts = min(len(items), parts * 2)
        return items


def _fewer_strikes(ordeal: Ordeal, tries: Tries) -> Ordeal:
    least = tries.least(ordeal.strikes, lambda strikes: replace(ordeal, strikes=list(strikes)))
    return replace(ordeal, strikes=list(least))


def _fewer_steps(ordeal: Ordeal, tries: Tries) -> Ordeal:
    """With fewer operations there are other awaits: the same failure may need its strikes elsewhere."""
    if ordeal.strikes:
        size = len(ordeal.steps)
        for keep in sorted({size // 8, size // 4, size // 2, size * 3 // 4} - {0}):
            for start in range(0, size - keep + 1, max(1, keep)):
                steps = ordeal.steps[start : start + keep]
                for strikes in _elsewhere(ordeal.strikes, keep / size, Random(f"{ordeal.seed} {keep} {start}")):
                    smaller = replace(ordeal, steps=steps, strikes=strikes)
                    if tries(smaller):
                        return _fewer_steps(smaller, tries)
    least = tries.least(ordeal.steps, lambda steps: replace(ordeal, steps=list(steps)))
    return replace(ordeal, steps=list(least))


def _elsewhere(strikes: Sequence[Strike], share: float, draw: Random) -> Iterator[list[Strike]]:
    """Where they are, earlier in the same measure, and anywhere up to the last."""
    yield list(strikes)
    yield [replace(strike, at=int(strike.at * share)) for strike in strikes]
    last = max(strike.at for strike in strikes)
    for _ in range(DRAWS):
        yield [replace(strike, at=draw.randint(0, last)) for strike in strikes]


def snippet(ordeal: Ordeal) -> str:
    """The ordeal as a program."""
    steps = "".join(f"\n    {step}," for step in ordeal.steps)
    late = "".join(f"\n    {step}," for step in ordeal.late)
    strikes = "".join(f"\n    {strike}," for strike in ordeal.strikes)
    return (
        "from gateway.demo.plan import Step\n"
        "from tests.acceptance.faults import Strike\n"
        "from tests.acceptance.ordeal import Ordeal\n"
        "from tests.acceptance.torture import torture\n\n"
        f"steps = [{steps}\n]\nstrikes = [{strikes}\n]\nlate = [{late}\n]\n"
        f"print(*torture(Ordeal(steps, strikes, {ordeal.hosts}, {ordeal.seed}, late)).failed, sep='\\n')"
    )
