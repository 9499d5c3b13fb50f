"""What the read models of agents, conversations, costs and budgets say about a log."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations
from typing import Any

import msgspec
import pytest
from hypothesis import given as given_data
from hypothesis import settings
from hypothesis import strategies as st

from actors.budget import budget
from events import conversations as ev
from events.agents import (
    AgentMoved,
    AgentPublished,
    AgentTurnAdmitted,
    AgentTurnEnded,
    AgentTurnQueued,
    AgentTurnStuck,
    BudgetRefused,
    BudgetReserved,
    BudgetSet,
    BudgetSettled,
    VariableDeclared,
    VariableRemoved,
    VariableSet,
)
from events.models import ModelAnswer, ModelFailure, Price, Usage
from events.pricing import priced
from events.system import EffectResolved, EffectUnknown
from events.tools import ToolApproved, ToolDefinition, ToolDisabled, ToolSeen
from events.whatif import WhatIfAnswered, WhatIfBegun, WhatIfFailed, WhatIfLost
from projections import PROJECTIONS, Row, replay
from projections.costs import GROUPINGS, repriced, summed
from tests.projections.scenes import ListLog

BY_NAME = {p.name: p for p in PROJECTIONS}
CONVERSATION = "conversation/c1"
NOW = 1_700_000_000_000_000
PRICE = Price("list", "1", "2026-11-29", "mistral", "small", {"input": "0.1", "output": "0.3"})


def rows(log: ListLog, name: str, table: str = "") -> list[Row]:
    return replay(BY_NAME[name], log.events)[table or name]


def said(log: ListLog, *events: Any, stream: str = CONVERSATION, **fields: Any) -> None:
    for event in events:
        log.add(stream, event, **fields)


def answered(
    call: str = "c1.1.1", attempt: int = 1, cost: str | None = "0.1", turn: int = 1, **more: Any
) -> ev.ModelAnswered:
    usage = Usage(100, 20, 10, 0, 5, {"prompt_tokens": 100})
    return ev.ModelAnswered(
        turn, 1, attempt, call, more.pop("model", "mistral:small"), ModelAnswer("hi", usage=usage), NOW + 5_000_000,
        cost, PRICE, **more,
    )  # fmt: skip


def opened(agent: str = "ada", channel: str = "http") -> ev.ConversationOpened:
    return ev.ConversationOpened(agent, channel, NOW, "user:ben", "a title")


def asked(turn: int = 1, attempt: int = 1) -> ev.ModelAsked:
    return ev.ModelAsked(turn, 1, attempt, f"c1.{turn}.1", ["mistral:small"], "d", NOW)


# -- conversations and turns


def test_a_turn_from_the_message_to_the_reply() -> None:
    log = ListLog()
    said(log, opened(), ev.MessageReceived(1, "m1", "user:ben", "What is\nthis? " + "x" * 500, NOW + 1))
    said(log, ev.TurnStarted(1, [1], NOW + 2, "cause-1"))
    assert rows(log, "conversations", "turns")[0]["status"] == "queued"
    said(log, ev.TurnAdmitted(1, 3, "h", NOW + 3), asked())
    turn = rows(log, "conversations", "turns")[0]
    assert (turn["status"], turn["waiting_for"], turn["version"]) == ("running", [{"model": "mistral:small"}], 3)
    said(log, answered(), ev.ToolAsked(1, 1, 1, "u", "files.write", "{}", "call-1", "d", "trusted/private", NOW))
    said(log, ev.ToolWaits(1, 1, "call-1", "a-1", "d", NOW))
    turn, row = rows(log, "conversations", "turns")[0], rows(log, "conversations")[0]
    assert (turn["status"], row["status"]) == ("waiting", "waiting")
    assert turn["waiting_for"] == [{"tool": "files.write", "call": "call-1", "approval": "a-1"}]
    said(log, ev.ToolAnswered(1, 1, "call-1", "succeeded", "done", NOW), asked(), answered(cost=None))
    said(log, ev.TurnReplied(1, "It is this.", NOW + 9), ev.TurnEnded(1, "replied", NOW + 9_000_002))
    said(log, ev.OutboundIntended(1, 1, "reply", "It is this.", NOW), ev.OutboundDelivered(1, 1, NOW))
    turn, row = rows(log, "conversations", "turns")[0], rows(log, "conversations")[0]
    assert (turn["status"], turn["duration"], turn["steps"], turn["reply"]) == ("replied", 9_000_000, 1, "It is this.")
    assert (turn["model_calls"], turn["tool_calls"], turn["usd"], turn["unknown"]) == (2, 1, "0.1", 1)
    assert (turn["input"], turn["output"], turn["cause"], turn["waiting_for"]) == (200, 40, "cause-1", [])
    assert (row["status"], row["turns"], row["messages"], row["outbound"], row["undelivered"]) == ("idle", 1, 1, 1, 0)
    assert row["last_message"].startswith("What is this? xxx")
    assert len(row["last_message"]) == 200
    assert (row["usd"], row["unknown"], row["last_message_at"]) == ("0.1", 1, NOW + 1)


def test_a_lost_call_counts_as_estimated_until_its_answer_comes_late() -> None:
    log = ListLog()
    said(log, opened(), ev.TurnStarted(1, [1], NOW), asked(), ev.ModelLost(1, 1, 1, "c1.1.1", NOW, "0.05"))
    (row,) = rows(log, "conversations")
    assert (row["usd"], row["estimated"], row["model_calls"]) == ("0", "0.05", 1)
    assert [(c["status"], c["usd"], c["estimate"]) for c in rows(log, "costs")] == [("lost", None, "0.05")]
    said(log, asked(attempt=2), answered(attempt=2), ev.TurnEnded(1, "replied", NOW), answered(cost="0.07", late=True))
    (row,) = rows(log, "conversations")
    assert (row["usd"], row["estimated"], row["model_calls"], row["status"]) == ("0.17", "0", 2, "idle")
    assert [(c["attempt"], c["usd"]) for c in rows(log, "costs")] == [(1, "0.07"), (2, "0.1")]


def test_a_stuck_turn_is_shown_and_goes_on() -> None:
    log = ListLog()
    said(log, opened(), ev.TurnStarted(1, [1], NOW), asked(), ev.TurnStuck(1, NOW, NOW, ["model"]))
    assert rows(log, "conversations")[0]["status"] == "stuck"
    assert [(i["kind"], i["subject"], i["open"]) for i in rows(log, "inbox")] == [("stuck-turn", "1", True)]
    said(log, answered())
    assert rows(log, "conversations")[0]["status"] == "busy"
    said(log, ev.TurnEnded(1, "failed", NOW, "because", "model"), ev.ConversationClosed(NOW))
    turn = rows(log, "conversations", "turns")[0]
    assert (turn["status"], turn["code"], turn["reason"]) == ("failed", "model", "because")
    assert rows(log, "conversations")[0]["status"] == "closed"
    assert [i["open"] for i in rows(log, "inbox")] == [False]


def test_a_variable_is_in_its_row_with_its_last_value_until_it_is_removed() -> None:
    log = ListLog()
    said(
        log, VariableDeclared("tone", {"type": "string"}, "first", True, NOW, "user:ada"),
        VariableSet("tone", "env:TONE", None, NOW + 1, "run/r"), VariableSet("seen", [None], [None], NOW + 2),
    )  # fmt: skip
    seen, tone = rows(log, "variables")
    assert (tone["schema"], tone["merge"], tone["secret"]) == ('{"type":"string"}', "first", True)
    assert (tone["value"], tone["at"], tone["by"], tone["holder"]) == ('"env:TONE"', NOW + 1, "run/r", seen["holder"])
    assert (seen["name"], seen["value"]) == ("seen", "[null]")
    said(log, VariableRemoved("tone", NOW + 3))
    assert [(row["name"], row["value"]) for row in rows(log, "variables")] == [("seen", "[null]"), ("tone", None)]


# -- costs


def priced_log(costs: list[tuple[int, int, str | None, str]]) -> ListLog:
    """Calls of (conversation, turn, cost, model)."""
    log = ListLog()
    for conversation in {c for c, *_ in costs}:
        began = opened(f"agent{conversation % 2}", channel=f"call:tool{conversation}" if conversation % 3 else "http")
        said(log, began, stream=f"conversation/{conversation}")
        said(
            log, WhatIfBegun(str(conversation), f"agent{conversation % 2}", 1, {}, NOW), stream=f"whatif/{conversation}"
        )
    for n, (conversation, turn, cost, model) in enumerate(costs):
        stream = f"conversation/{conversation}"
        said(log, ev.TurnStarted(turn, [1], NOW, f"cause{turn}"), stream=stream)
        event = answered(f"{stream}.{n}", 1, cost, turn, model=model)
        event = msgspec.structs.replace(event, at=NOW + n * 30_000_000_000, step=n % 3)
        if n % 4 == 3:
            event, stream = msgspec.convert(msgspec.structs.asdict(event), WhatIfAnswered), f"whatif/{conversation}"
        said(log, event, stream=stream)
    return log


CALLS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(1, 3),
        st.none() | st.decimals(0, 10, places=18).map(lambda d: format(d, "f")),
        st.sampled_from(["mistral:a", "mistral:b"]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given_data(CALLS)
def test_sums_over_any_grouping_are_the_total_to_the_last_digit(costs: list[tuple[int, int, str | None, str]]) -> None:
    found = rows(priced_log(costs), "costs")
    (total,) = summed(found)
    exact = sum((Decimal(cost) for _, _, cost, _ in costs if cost is not None), Decimal(0))
    assert Decimal(total["usd"]) == exact
    assert total["unknown"] == sum(cost is None for _, _, cost, _ in costs)
    for size in (1, 2, 3):
        for by in combinations(GROUPINGS, size):
            groups = summed(found, by)
            assert sum((Decimal(g["usd"]) for g in groups), Decimal(0)) == exact
            for column in ("calls", "unknown", "input", "output", "cache_read", "reasoning"):
                assert sum(g[column] for g in groups) == total[column]
    with pytest.raises(KeyError):
        summed(found, ["weather"])


def test_a_call_has_its_price_row_and_whose_it_is() -> None:
    log = priced_log([(1, 2, "0.0000123", "mistral:a")])
    (row,) = rows(log, "costs")
    assert (row["agent"], row["conversation"], row["turn"], row["cause"]) == ("agent1", "1", 2, "cause2")
    assert (row["usd"], row["model"], row["day"], row["status"]) == ("0.0000123", "mistral:a", "2023-11-14", "answered")
    assert row["price"] == msgspec.to_builtins(PRICE)
    said(log, ev.ModelFailed(2, 1, 1, "x", ModelFailure("auth", "no"), NOW), stream="conversation/1")
    assert summed(rows(log, "costs"))[0]["failed"] == 1


def test_what_ifs_and_agents_that_are_tools_are_told_apart() -> None:
    log = ListLog()
    said(log, opened("ada"), ev.TurnStarted(1, [1], NOW, "m1"), answered(cost="0.1"))
    said(log, msgspec.structs.replace(answered("c1.1.0", cost="0.02"), step=0))
    said(log, opened("ben", "call:agent.ben"), answered("sub.1.1", cost="0.3"), stream="conversation/sub")
    said(log, WhatIfBegun("c1", "ada", 1, {"models": ["mistral:big"]}, NOW), stream="whatif/c1")
    kinds = (WhatIfAnswered, WhatIfLost, WhatIfFailed)
    tried = (
        answered(cost="0.5", model="mistral:big"), ev.ModelLost(1, 2, 1, "w.1.2.1", NOW, "0.07"),
        ev.ModelFailed(1, 3, 1, "w.1.3.1", ModelFailure("auth", "no"), NOW),
    )  # fmt: skip
    for kind, fact in zip(kinds, tried, strict=True):
        said(log, msgspec.convert(msgspec.to_builtins(fact), kind), stream="whatif/c1")
    found = rows(log, "costs")
    assert {g["purpose"]: (g["usd"], g["estimated"], g["calls"]) for g in summed(found, ["purpose"])} == {
        "turn": ("0.4", "0", 2), "summary": ("0.02", "0", 1), "what-if": ("0.5", "0.07", 3),
    }  # fmt: skip
    assert {g["tool"]: g["usd"] for g in summed(found, ["tool"])} == {"": "0.62", "agent.ben": "0.3"}
    assert {g["conversation"]: g["usd"] for g in summed(found, ["conversation"])} == {"c1": "0.62", "sub": "0.3"}
    (talk, _) = rows(log, "conversations")
    assert talk["usd"] == "0.12", "the conversation itself cost no more"


def test_the_same_usage_costs_by_other_prices() -> None:
    found = rows(priced_log([(1, 1, "0.5", "mistral:a"), (1, 1, None, "mistral:b")]), "costs")
    dear = msgspec.structs.replace(PRICE, rates={"input": "10", "output": "30"})
    again = repriced(found, lambda row: dear if row["model"] == "mistral:a" else None)
    expected = priced(Usage(100, 20, 10, 0, 5), dear).usd
    assert [(row["usd"], row["why"]) for row in again] == [(expected, None), (None, "there is no price of mistral:b")]
    assert found[0]["usd"] == "0.5"


# -- agents


def test_an_agent_with_its_state_its_versions_and_its_turns() -> None:
    log = ListLog()
    definition = msgspec.Raw(b'{"name":"ada","description":"d","models":["scripted:x"],"scripted":true}')
    said(log, AgentPublished(1, "h", definition, "src", NOW, "user:ben"), stream="agent/ada")
    said(log, AgentMoved("defined", "starting", "start", NOW), stream="agent/ada")
    said(log, AgentMoved("starting", "ready", "started", NOW, version=1), stream="agent/ada")
    said(log, AgentTurnAdmitted("c1", 1, 1, NOW), AgentTurnQueued("c2", 1, "r", NOW), stream="agent/ada")
    (row,) = rows(log, "agents")
    assert (row["state"], row["active"], row["queued"], row["current"], row["scripted"]) == ("busy", 1, 1, 1, True)
    said(log, AgentTurnStuck("c1", 1, NOW, NOW), AgentTurnEnded("c1", 1, "replied", NOW), stream="agent/ada")
    said(log, AgentTurnAdmitted("c2", 1, 1, NOW), AgentTurnEnded("c2", 9, "replied", NOW), stream="agent/ada")
    (row,) = rows(log, "agents")
    assert (row["state"], row["active"], row["queued"], row["turns"], row["stuck"]) == ("busy", 1, 0, 1, 1)
    said(log, AgentTurnEnded("c2", 1, "failed", NOW), stream="agent/ada")
    (row,) = rows(log, "agents")
    assert (row["state"], row["turns"], row["replied"]) == ("ready", 2, 1)
    assert rows(log, "agents", "agent_turns") == []
    assert rows(log, "agents", "agent_versions")[0]["source"] == "src"


# -- budgets


def test_a_budget_is_the_same_as_at_its_actor() -> None:
    day = 86_400_000_000
    events: list[Any] = [
        BudgetSet("5", "day", NOW, "user:ben"), BudgetReserved("a", "1.5", NOW), BudgetReserved("b", "0.25", NOW),
        BudgetSettled("a", "1.25", NOW, True, "1.5"), BudgetSettled("a", "1", NOW, False, "", "1.25"),
        BudgetRefused("c", "1", "-1", NOW), BudgetReserved("d", "2", NOW + day),
        BudgetSettled("d", "3", NOW, False, "2"), BudgetSet("9", "month", NOW + day),
    ]  # fmt: skip
    log = ListLog()
    state: Any = budget.state()
    for event in events:
        said(log, event, stream="budget/agent.ada")
        state = budget.evolve(state, event)
        (row,) = rows(log, "budgets")
        assert (row["usd"], row["period"], row["window"]) == (state.usd, state.period, state.window)
        assert (row["spent"], row["reserved"]) == (state.spent, state.held)
    assert (row["scope"], row["id"], row["calls"], row["refused"]) == ("agent", "ada", 2, 1)


# -- the inbox


def items(log: ListLog) -> list[tuple[str, str, bool, int]]:
    return [(i["kind"], i["subject"], i["open"], i["times"]) for i in rows(log, "inbox")]


def test_a_model_without_a_price_is_an_item_until_there_is_one() -> None:
    log = ListLog()
    said(log, answered(), answered(cost=None, why="no row"), answered(cost=None), answered(cost=None, model="x:y"))
    assert items(log) == [("unknown-price", "mistral:small", True, 2), ("unknown-price", "x:y", True, 1)]
    said(log, answered())
    assert items(log)[0] == ("unknown-price", "mistral:small", False, 2)


def test_a_lost_model_call_that_the_conversation_asks_again_needs_nobody() -> None:
    log = ListLog()
    said(log, EffectUnknown("e1", "model-call", 1, "host lost"))
    assert items(log) == [("unknown-effect", "e1", True, 1)]
    said(log, ev.ModelLost(1, 1, 1, "c1.1.1", NOW, "0.05"))
    assert items(log) == [("unknown-effect", "e1", False, 1)]
    said(log, EffectUnknown("e2", "tool-irreversible", 1, "host lost"), stream="call/x")
    said(log, ev.ModelLost(1, 1, 1, "c1.1.1", NOW, "0.05"), stream="conversation/other")
    assert [i for i in items(log) if i[2]] == [("unknown-effect", "e2", True, 1)]
    said(log, EffectResolved("e2", "tool-irreversible", "succeeded", "user:ben"), stream="call/x")
    assert not [i for i in items(log) if i[2]]


def test_an_agent_that_failed_or_is_quarantined_is_an_item_until_it_is_well() -> None:
    log = ListLog()
    said(log, AgentMoved("starting", "failed", "fail", NOW, reason="no tool"), stream="agent/ada")
    (item,) = rows(log, "inbox")
    assert (item["kind"], item["subject"], item["open"], item["detail"]) == ("agent", "failed", True, "no tool")
    said(log, AgentMoved("failed", "starting", "start", NOW), stream="agent/ada")
    assert not rows(log, "inbox")[0]["open"]
    said(log, AgentMoved("ready", "ready", "reject", NOW, reason="x"), stream="agent/ada")
    said(log, AgentMoved("ready", "quarantined", "quarantine", NOW), stream="agent/ada")
    (item,) = rows(log, "inbox")
    assert (item["open"], item["times"], item["subject"]) == (True, 3, "quarantined")


def test_a_tool_that_is_not_what_was_approved_is_an_item_until_it_is_approved() -> None:
    log = ListLog()
    definition = ToolDefinition("t", "d", {}, "read-local", "pure")
    said(log, ToolSeen("h1", definition, True, NOW), stream="tool/t")
    assert items(log) == []
    said(
        log,
        ToolSeen("h2", definition, False, NOW),
        ToolDisabled("h2", "it changed", NOW, diff=["-a", "+b"]),
        stream="tool/t",
    )
    (item,) = rows(log, "inbox")
    assert (item["kind"], item["subject"], item["open"], item["detail"]) == ("tool", "h2", True, "-a\n+b")
    said(log, ToolApproved("h2", NOW, "user:ben"), stream="tool/t")
    assert [(i["open"], i["closed_by"]) for i in rows(log, "inbox")] == [(False, "user:ben")]
