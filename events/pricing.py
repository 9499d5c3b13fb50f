"""What a call cost, from its usage and a price row alone: exact, so that sums of any grouping equal the total.

Rates are dollars per million, by what is counted: `input`, `output`, and where they have prices of their own
`cache_read`, `cache_write` (parts of the input) and `reasoning` (part of the output); `request` counts calls. A rate
`input>200000` holds instead of `input` for the whole call when its input is larger than that many tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Final

import msgspec

from events.models import Cost, Price, Usage

PARTS: Final = ("input", "output", "cache_read", "cache_write", "reasoning")
"""What of a usage may have a rate."""

_EXACT: Final = Context(prec=200, traps=[Inexact, InvalidOperation])


def priced(usage: Usage, price: Price) -> Cost:
    """What a usage costs by a price row. Unknown (None, with why) for want of a rate or of a sound usage, never 0."""
    if not usage.reported:
        return Cost(None, price, "the provider did not say what was used")
    counts, why = _counts(usage, price.rates)
    total = Decimal(0)
    for part, count in counts.items():
        rate = _rate(price.rates, part, usage.input)
        if rate is None and count:
            why = why or f"there is no price of {part}"
        elif rate is not None:
            total = _EXACT.add(total, _EXACT.multiply(Decimal(rate), Decimal(count)))
    if why:
        return Cost(None, price, why)
    return Cost(plain(total.scaleb(-6, _EXACT)), price)


def total(costs: Iterable[Cost]) -> tuple[str, int]:
    """The exact sum of what is known, and how many costs are unknown."""
    amount, unknown = Decimal(0), 0
    for cost in costs:
        if cost.usd is None:
            unknown += 1
        else:
            amount = _EXACT.add(amount, Decimal(cost.usd))
    return plain(amount), unknown


def plain(amount: Decimal) -> str:
    """A decimal without an exponent and without zeros at its end: the same text for equal amounts."""
    text = format(amount, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def most(price: Price, input: int, output: int) -> Cost:
    """What so many tokens cost at most: nothing read from a cache, everything written to it, all of it reasoned."""
    used = Usage(input=input, output=output)
    worst = [
        msgspec.structs.replace(used, cache_write=cached, reasoning=thought)
        for cached in (0, input if "cache_write" in price.rates else 0)
        for thought in (0, output if "reasoning" in price.rates else 0)
    ]
    costs = [priced(each, price) for each in worst]
    unknown = next((cost for cost in costs if cost.usd is None), None)
    return unknown or max(costs, key=lambda cost: Decimal(cost.usd or 0))


def _counts(usage: Usage, rates: dict[str, str]) -> tuple[dict[str, int], str]:
    """Each token counted once: what has a rate of its own is taken out of what it is a part of."""
    counts = {"input": usage.input, "output": usage.output, "request": 1 if "request" in rates else 0}
    for part, whole in (("cache_read", "input"), ("cache_write", "input"), ("reasoning", "output")):
        if part in rates:
            counts[part] = getattr(usage, part)
            counts[whole] -= counts[part]
    negative = next((part for part, count in counts.items() if count < 0), "")
    return counts, f"the parts of {negative} are more than all of it" if negative else ""


def _rate(rates: dict[str, str], part: str, size: int) -> str | None:
    found, above = rates.get(part), -1
    for name, rate in rates.items():
        base, mark, start = name.partition(">")
        if mark and base == part and above < int(start) < size:
            found, above = rate, int(start)
    return found
