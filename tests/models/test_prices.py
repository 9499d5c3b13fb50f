"""What calls cost: exact to the last digit, and never 0 for want of a price."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby

import genai_prices
import pytest
from msgspec.structs import replace

from events.models import Cost, ModelAnswer, Price, Usage
from events.pricing import most, plain, priced, total
from infra.models.openai import OpenAI
from infra.models.prices import Prices, price_row
from infra.models.scripted import Scripted
from tests.models.said import hello

AT = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1e6)


class Named:
    """A provider of which only the name matters here."""

    def __init__(self, name: str, priced_as: str = "") -> None:
        self.name = name
        if priced_as:
            self.priced_as = priced_as


PRICES = Prices([Named("mistral", "mistral"), Named("local", "http://127.0.0.1:11434/v1"), Scripted()], lambda: AT)  # pyright: ignore


def row(**rates: str) -> Price:
    return Price("a list", "1", "2026-11-01", "p", "m", rates)


def test_a_cost_has_the_price_row_it_was_computed_with() -> None:
    answer = ModelAnswer(usage=Usage(1_234_567, 89, cache_read=1_000), model="mistral-large-2512")
    cost = PRICES.cost("mistral", "mistral-large-latest", answer)
    assert cost.price is not None
    assert (cost.price.source, cost.price.version) == ("genai-prices", genai_prices.__version__)
    assert (cost.price.provider, cost.price.model, cost.price.date) == ("mistral", "mistral-large-2512", "2026-11-01")
    assert cost.price.rates == {"input": "0.5", "output": "1.5", "cache_read": "0.05"}
    assert cost.usd == plain(Decimal("0.5") * 1_233_567 / 10**6 + Decimal("1.5") * 89 / 10**6 + Decimal("0.05") / 1000)
    assert priced(answer.usage, cost.price) == cost, "the row alone tells it again"


@pytest.mark.parametrize(
    "model", ["mistral-small-latest", "mistral-large-2512", "codestral-2508", "mistral-large-4", "mistral-embed"]
)
def test_costs_are_those_of_the_library_whose_prices_they_are(model: str) -> None:
    seed = random.Random(model)
    for _ in range(50):
        input = seed.randrange(3_000_000)
        usage = Usage(input, seed.randrange(100_000), cache_read=seed.randrange(input + 1))
        found = genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=usage.input, output_tokens=usage.output, cache_read_tokens=usage.cache_read
            ),
            model, provider_id="mistral", genai_request_timestamp=datetime.fromtimestamp(AT / 1e6, UTC),
        )  # fmt: skip
        assert PRICES.cost("mistral", model, ModelAnswer(usage=usage, model=model)).usd == plain(found.total_price)


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-5.4-pro"])
@pytest.mark.parametrize("input", [1000, 272_000, 272_001, 900_000])
def test_prices_that_rise_with_the_prompt_are_the_librarys_too(model: str, input: int) -> None:
    found = genai_prices.calc_price(
        genai_prices.Usage(input_tokens=input, output_tokens=77), model, provider_id="openai",
        genai_request_timestamp=datetime.fromtimestamp(AT / 1e6, UTC),
    )  # fmt: skip
    price = price_row("openai", model, AT)
    assert price is not None
    assert priced(Usage(input, 77), price).usd == plain(found.total_price)


def test_a_price_that_changed_is_the_one_of_the_day_of_the_call() -> None:
    before, after = (int(datetime(2026, month, 20, tzinfo=UTC).timestamp() * 1e6) for month in (2, 4))
    rates = [price_row("mistral", "mistral-small-latest", at) for at in (before, after)]
    assert [r.rates["output"] for r in rates if r is not None] == ["0.3", "0.6"]


def test_a_model_is_listed_now_by_the_name_that_the_list_gave_it_then() -> None:
    answer = ModelAnswer(usage=Usage(1_000, 100), model="mistral-large-2512")
    then = PRICES.cost("mistral", "mistral-large-latest", answer).price
    assert then is not None
    dear = replace(then, rates={"input": "99"}, date="2025-01-01")
    assert PRICES.current("mistral:mistral-large-latest", dear) == then, "that row's model, at what it costs now"
    assert PRICES.current("mistral:mistral-large-2512") == then
    assert PRICES.current("mistral:no-such-model") is None
    assert PRICES.current("gone:mistral-large-latest", dear) == then, "whoever had it is not here any more"
    free = PRICES.current("scripted:echo")
    assert free is not None
    assert (free.source, free.rates) == ("thespis", {"input": "0", "output": "0"})
    assert PRICES.current("gone:echo", free) == free


def test_an_unknown_model_costs_unknown_and_says_why() -> None:
    for provider, model in (("mistral", "no-such"), ("local", "llama3"), ("nobody", "gpt-4o")):
        cost = PRICES.cost(provider, model, ModelAnswer(usage=Usage(1, 1)))
        assert (cost.usd, cost.price) == (None, None)
        assert model in cost.why


def test_a_server_of_ones_own_has_no_price_but_a_known_url_has() -> None:
    prices = Prices([OpenAI("http://127.0.0.1:8000/v1"), OpenAI(name="theirs")], lambda: AT)
    answer = ModelAnswer(usage=Usage(1_000_000, 0), model="gpt-4o-mini")
    assert prices.cost("openai", "gpt-4o-mini", answer).usd is None
    assert prices.cost("theirs", "gpt-4o-mini", answer).usd == "0.15"


def test_a_usage_nobody_reported_costs_unknown() -> None:
    cost = PRICES.cost("mistral", "mistral-embed", ModelAnswer(usage=Usage(10, 0, reported=False)))
    assert (cost.usd, cost.why) == (None, "the provider did not say what was used")


def test_a_script_costs_nothing_and_its_row_says_that_it_is_one() -> None:
    cost = PRICES.cost("scripted", "files", ModelAnswer(usage=Usage(10, 10)))
    assert cost.price is not None
    assert (cost.usd, cost.price.source) == ("0", "thespis")
    assert "not a model" in cost.price.model


def test_a_missing_rate_is_not_zero() -> None:
    assert priced(Usage(1, 1), row(input="1")).usd is None
    assert priced(Usage(1, 0), row(input="1")).usd == "0.000001"
    assert priced(Usage(1, 1), row()).usd is None


def test_parts_that_are_more_than_the_whole_cost_unknown() -> None:
    cost = priced(
        Usage(10, 0, cache_read=8, cache_write=3), row(input="1", output="1", cache_read="1", cache_write="1")
    )
    assert (cost.usd, cost.why) == (None, "the parts of input are more than all of it")


def test_every_token_is_counted_once() -> None:
    rates = row(input="1", output="10", cache_read="100", cache_write="1000", reasoning="10000")
    assert priced(Usage(7, 5, cache_read=2, cache_write=1, reasoning=3), rates).usd == plain(
        Decimal(4 * 1 + 2 * 10 + 2 * 100 + 1 * 1000 + 3 * 10000) / 10**6
    )


def test_sums_over_any_grouping_equal_the_total_to_the_last_digit() -> None:
    seed = random.Random(7)
    rates = [row(input=f"0.{n}{n}{n}7", output=f"{n}.0000003", cache_read="0.0071") for n in range(1, 9)]
    calls = [
        (seed.choice("abc"), seed.randrange(5), priced(Usage(seed.randrange(10**9), seed.randrange(10**7)), each))
        for each in rates for _ in range(200)
    ]  # fmt: skip
    whole, unknown = total(cost for _, _, cost in calls)
    assert unknown == 0
    for key in (0, 1):
        ordered = sorted(calls, key=lambda call: str(call[key]))
        parts = [total(c for _, _, c in group)[0] for _, group in groupby(ordered, key=lambda call: call[key])]
        assert total(Cost(part) for part in parts) == (whole, 0)
    assert len(whole.partition(".")[2]) == 13, "nothing was rounded"


def test_a_sum_says_how_much_of_it_is_unknown() -> None:
    assert total([Cost("0.1"), Cost("0.2"), Cost(None, why="?")]) == ("0.3", 1)


def test_an_estimate_is_never_below_the_cost() -> None:
    request = hello("a question " * 200, max_tokens=500)
    estimate = PRICES.estimate("mistral", "mistral-small-latest", request)
    used = Usage(650, 500)
    cost = PRICES.cost("mistral", "mistral-small-latest", ModelAnswer(usage=used))
    assert Decimal(estimate.usd or "-1") >= Decimal(cost.usd or "1")
    assert PRICES.estimate("mistral", "no-such", request).usd is None
    assert PRICES.estimate("scripted", "files", request).usd == "0"


def test_the_most_a_call_can_cost_counts_the_dearest_way_it_can_go() -> None:
    rates = row(input="1", output="2", cache_write="3", reasoning="4", cache_read="0.1")
    assert most(rates, 1_000_000, 1_000_000).usd == "7"
    assert most(row(input="2", output="2", cache_write="1"), 1_000_000, 0).usd == "2"


def test_a_tier_that_is_said_in_the_usage_has_its_price() -> None:
    slow, fast = (price_row("openai", "gpt-4o", AT, tier) for tier in ("", "priority"))
    assert slow is not None
    assert fast is not None
    assert (slow.rates["input"], fast.rates["input"]) == ("2.5", "4.25")
