"""Budgets: what is set aside and spent, exactly, and how far many calls at once can overshoot."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given as given_data
from hypothesis import settings
from hypothesis import strategies as st

from actors.agents.messages import ReserveBudget, SetBudget, SettleBudget
from actors.budget import DescribeBudget, budget, minus, plus, query
from actors.core.outputs import Reply
from actors.testing import given
from actors.testing.clock import START
from actors.testing.scenario import Scenario
from events.agents import BudgetRefused, BudgetReserved, BudgetSet, BudgetSettled

DAY = 86_400_000_000
NOON = START - START % DAY + DAY // 2


def limited(usd: str | None, period: str = "total") -> Scenario:
    return given(budget, BudgetSet(usd, period, NOON))


def granted(scenario: Scenario, holder: str, usd: str, time: int = NOON) -> bool:
    scenario.when(ReserveBudget(holder, usd), time=time)
    (reply,) = [output.data for output in scenario.outputs if isinstance(output, Reply)]
    return bool(reply["granted"])


def test_a_reservation_holds_until_it_is_settled() -> None:
    scenario = limited("1").when(ReserveBudget("a", "0.4"), sender="conversation/c", time=NOON)
    scenario.then(BudgetReserved("a", "0.4", NOON, "conversation/c"), Reply({"granted": True, "left": "0.6"}))
    scenario.when(SettleBudget("a", "0.125"), time=NOON)
    scenario.then(BudgetSettled("a", "0.125", NOON, False, "0.4"), Reply({"settled": True}))
    assert query(scenario.state, DescribeBudget()) == {
        "usd": "1", "period": "total", "window": "", "spent": "0.125", "reserved": "0", "calls": 0,
    }  # fmt: skip


def test_the_same_holder_again_is_the_same_reservation() -> None:
    scenario = limited("1")
    assert granted(scenario, "a", "0.4")
    scenario.when(ReserveBudget("a", "0.4"), time=NOON).then(Reply({"granted": True, "left": "0.6"}))


def test_nothing_is_let_in_when_nothing_is_left() -> None:
    scenario = limited("1")
    assert granted(scenario, "a", "1.5")  # the one call by which it may overshoot
    scenario.when(ReserveBudget("b", "0.1"), time=NOON)
    scenario.then(BudgetRefused("b", "0.1", "-0.5", NOON, "user:test"), Reply({"granted": False, "left": "-0.5"}))
    scenario.when(SettleBudget("a", "0.2"), time=NOON)
    assert granted(scenario, "b", "0.1")


def test_without_a_limit_everything_is_let_in_and_counted() -> None:
    scenario = given(budget)
    assert granted(scenario, "a", "1000")
    scenario.when(SettleBudget("a", "999"), time=NOON).when(SetBudget("1000"), time=NOON)
    assert scenario.state.spent == "999"
    assert not granted(limited("0"), "a", "0.1")


def test_a_lost_call_counts_as_estimated_until_its_real_cost_is_told() -> None:
    scenario = limited("1")
    assert granted(scenario, "a", "0.4")
    scenario.when(SettleBudget("a", "0.4", estimated=True), time=NOON)
    assert scenario.state.spent == "0.4"
    scenario.when(SettleBudget("a", "0.1"), time=NOON)
    scenario.then(BudgetSettled("a", "0.1", NOON, False, "", "0.4"), Reply({"settled": True}))
    assert scenario.state.spent == "0.1"
    scenario.when(SettleBudget("b", "0.3"), time=NOON)  # nothing was set aside: it counts all the same
    assert scenario.state.spent == "0.4"


@pytest.mark.parametrize(("period", "later"), [("day", DAY), ("month", 40 * DAY)])
def test_a_new_day_or_month_begins_with_nothing_spent(period: str, later: int) -> None:
    scenario = limited("1", period)
    assert granted(scenario, "a", "1")
    scenario.when(SettleBudget("a", "1", estimated=True), time=NOON)
    assert not granted(scenario, "b", "1")
    assert granted(scenario, "b", "1", NOON + later)
    assert not granted(scenario, "c", "1", NOON + later)
    # A clock that is behind, and a correction of what counted before, change nothing in the new one.
    scenario.when(SettleBudget("b", "0.5"), time=NOON).when(SettleBudget("a", "0"), time=NOON + later)
    assert scenario.state.spent == "0.5"


@pytest.mark.parametrize("amount", ["", "-1", "1e5", "NaN", "1.", ".5", "1" * 19, "0." + "1" * 41])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    limited("1").when(ReserveBudget("a", amount)).refused("amount")
    limited("1").when(SettleBudget("a", amount)).refused("amount")
    limited("1").when(SetBudget(amount)).refused("amount")


def test_an_unknown_period_is_refused_and_the_same_again_changes_nothing() -> None:
    limited("1").when(SetBudget("1", "year")).refused("period")
    limited("1").when(SetBudget("1")).then(Reply({"usd": "1", "period": "total"}))


AMOUNTS = st.decimals(min_value=0, max_value=5, places=6).map(lambda d: format(d, "f"))
STEPS = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "lose"]), st.integers(0, 7), AMOUNTS, st.integers(0, 100)),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given_data(AMOUNTS, STEPS)
def test_calls_at_once_overshoot_by_less_than_one_call(limit: str, steps: list[tuple[str, int, str, int]]) -> None:
    """As far as no call costs more than was thought."""
    scenario = limited(limit)
    under_way: dict[str, Decimal] = {}
    spent = largest = Decimal(0)
    count = 0
    for what, which, amount, share in steps:
        if what == "reserve":
            count += 1
            if granted(scenario, f"c{count}", amount):
                under_way[f"c{count}"] = Decimal(amount)
                largest = max(largest, Decimal(amount))
        elif under_way:
            holder = sorted(under_way)[which % len(under_way)]
            estimate = under_way.pop(holder)
            cost = estimate if what == "lose" else (estimate * share / 100).quantize(Decimal("0.00000001"))
            scenario.when(SettleBudget(holder, format(cost, "f"), what == "lose"), time=NOON)
            spent += cost
        assert Decimal(scenario.state.spent) == spent
        assert Decimal(scenario.state.held) == sum(under_way.values(), Decimal(0))
        assert spent + sum(under_way.values(), Decimal(0)) <= Decimal(limit) + largest


@given_data(st.lists(st.decimals(min_value=0, max_value=10**17, places=20)))
def test_sums_are_exact(amounts: list[Decimal]) -> None:
    total = "0"
    for amount in amounts:
        total = plus(total, format(amount, "f"))
    for amount in amounts:
        total = minus(total, format(amount, "f"))
    assert Decimal(total) == 0
