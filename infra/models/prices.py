"""Prices of models, from the data that comes with `genai-prices`: nothing is fetched. The arithmetic is ours and exact
(`events/pricing.py`), so that a recorded price row alone tells what a call cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, cast

import genai_prices
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, TieredPrices

from actors.models import tokens
from actors.models.port import Provider
from events.models import Cost, ModelAnswer, ModelRequest, Price
from events.pricing import most, plain, priced

SOURCE: Final = "genai-prices"
OWN: Final = "thespis"
"""The source of the price of what is no model at all."""
ANSWER: Final = 4096
"""Tokens of an answer that has no limit, for estimates."""

_RATES: Final = {
    "input_mtok": "input", "output_mtok": "output", "cache_read_mtok": "cache_read", "cache_write_mtok": "cache_write",
    "output_reasoning_mtok": "reasoning",
}  # fmt: skip


class Prices:
    """What calls cost. `now` gives µs since 1970: some prices hold from a day on, or at certain hours."""

    def __init__(self, providers: Iterable[Provider], now: Any) -> None:
        self._places = {p.name: str(getattr(p, "priced_as", p.name)) for p in providers}
        self._now = now

    def row(self, provider: str, model: str, tier: str = "") -> Price | None:
        """The price row of a model as its provider calls it; None when there is none."""
        return price_row(self._places.get(provider, provider), model, int(self._now()), tier)

    def cost(self, provider: str, model: str, answer: ModelAnswer) -> Cost:
        """What an answer cost. Its own name of the model counts first, then the one that was asked for."""
        if self._places.get(provider) == FREE:
            return Cost("0", free(provider, model, int(self._now())))
        tier = str(answer.usage.raw.get("service_tier") or "")
        for name in dict.fromkeys((answer.model, model)):
            if name and (row := self.row(provider, name, tier)) is not None:
                return priced(answer.usage, row)
        return Cost(None, None, f"{SOURCE} {genai_prices.__version__} has no price of {model} at {provider}")

    def current(self, model: str, known: Price | None = None, tier: str = "") -> Price | None:
        """The row of `provider:name` as it is listed now; `known` is the row a call was priced by, which says what the
        list calls that model. None when there is none."""
        provider, _, name = model.partition(":")
        if known is not None and known.source == OWN:
            return known
        if self._places.get(provider) == FREE:
            return free(provider, name, int(self._now()))
        if known is not None and known.source == SOURCE:
            return price_row(known.provider, known.model, int(self._now()), tier)
        return self.row(provider, name, tier)

    def estimate(self, provider: str, model: str, request: ModelRequest, max_tokens: int = 0) -> Cost:
        """What a call may cost at most: a prompt a quarter larger than estimated, and the longest answer allowed."""
        if self._places.get(provider) == FREE:
            return Cost("0", free(provider, model, int(self._now())))
        row = self.row(provider, model)
        if row is None:
            return Cost(None, None, f"{SOURCE} {genai_prices.__version__} has no price of {model} at {provider}")
        input = int(tokens.of_request(request) * tokens.MARGIN) + 16
        return most(row, input, max_tokens or request.max_tokens or ANSWER)


FREE: Final = "free"
"""What a provider is priced as that costs nothing because nothing is called."""


def free(provider: str, model: str, at: int) -> Price:
    """The row of what costs nothing: it says why."""
    rates = {"input": "0", "output": "0"}
    return Price(OWN, "1", f"{_when(at):%Y-%m-%d}", provider, f"{model} (a script on this host, not a model)", rates)


def price_row(place: str, model: str, at: int, tier: str = "") -> Price | None:
    """The row of a model. `place` is a provider's id in the price list or the URL of its interface, `at` in µs."""
    return _row(place, model, at // 60_000_000, tier)


@lru_cache(maxsize=4096)
def _row(place: str, model: str, minute: int, tier: str) -> Price | None:
    prices = get_snapshot()
    url = place if "://" in place else None
    if url is None and place not in {each.id for each in prices.providers}:
        return None
    try:
        provider, found = prices.find_provider_model(model, None, None if url else place, url)
    except LookupError:
        return None
    when = datetime.fromtimestamp(minute * 60, UTC)
    rates = _rates(found.get_prices(when, {"service_tier": tier} if tier else None))
    return Price(SOURCE, genai_prices.__version__, f"{when:%Y-%m-%d}", provider.id, found.id, rates) if rates else None


def _rates(price: ModelPrice) -> dict[str, str]:
    rates: dict[str, str] = {}
    for key, name in _RATES.items():
        value = getattr(price, key)
        if isinstance(value, TieredPrices):
            rates[name] = plain(value.base)
            rates |= {f"{name}>{tier.start}": plain(tier.price) for tier in value.tiers}
        elif value is not None:
            rates[name] = plain(value)
    requests = cast("Decimal | None", getattr(price, "requests_kcount"))  # noqa: B009 - not an attribute to pyright
    if rates and requests is not None:
        rates["request"] = plain(requests * 1000)
    return rates


def _when(at: int) -> datetime:
    return datetime.fromtimestamp(at // 1_000_000, UTC)
