"""The actor `agent`: versions, its life, who may take a turn."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.agents.admission import REFUSED_AT_ONCE
from actors.agents.agent import agent, query
from actors.agents.agent_state import AGENT_START, StartAgent, life_of
from actors.agents.definition.plan import AgentDefinition, Budgets, Limits, encode_definition, hash_of
from actors.agents.messages import (
    AdmitTurn,
    DescribeAgent,
    MoveAgent,
    PublishAgent,
    SetBudget,
    TurnAway,
    TurnIsStuck,
    TurnMayBegin,
    TurnOver,
    TurnRefused,
)
from actors.core.outputs import Effect, Outcome, Reply, Tell, TellRefused
from actors.testing import given
from actors.testing.clock import START
from actors.testing.scenario import Scenario
from events.agents import (
    AgentMoved,
    AgentPublished,
    AgentTurnAdmitted,
    AgentTurnEnded,
    AgentTurnQueued,
    AgentTurnStuck,
)
from events.errors import Refused

NOW = START


def definition(instructions: str = "Be kind.\n", **said: Any) -> AgentDefinition:
    return AgentDefinition("ada", instructions=instructions, models=["scripted:files"], **said)


def publish(made: AgentDefinition) -> PublishAgent:
    return PublishAgent(msgspec.Raw(encode_definition(made)), hash_of(made), "source", "user:ada")


def checked(version: int, *problems: str) -> Outcome:
    return Outcome("e", AGENT_START, f"start:{version}", "succeeded", {"problems": list(problems)})


def new() -> Scenario:
    return given(agent, address="agent/ada")


def ready(**said: Any) -> Scenario:
    return new().when(publish(definition(**said))).when(checked(1))


def admit(conversation: str, turn: int = 1, known: str = "") -> AdmitTurn:
    return AdmitTurn(conversation, turn, f"admit:{turn}", known)


def events(scenario: Scenario) -> list[Any]:
    return [output for output in scenario.outputs if not isinstance(output, Reply | Tell | Effect)]


def tells(scenario: Scenario) -> list[tuple[str, Any]]:
    return [(output.to, output.data) for output in scenario.outputs if isinstance(output, Tell)]


# -- versions


def test_the_first_version_starts_the_agent_which_asks_whether_models_and_tools_are_there() -> None:
    made = definition()
    scenario = new().when(publish(made))
    published, moved, effect, reply = scenario.outputs
    assert published == AgentPublished(
        1, hash_of(made), msgspec.Raw(encode_definition(made)), "source", NOW, "user:ada"
    )  # fmt: skip
    assert moved == AgentMoved("defined", "starting", "start", NOW, "user:ada")
    assert effect == Effect(AGENT_START, StartAgent("ada", 1, ["scripted:files"]), "start:1")
    assert reply.data == {"name": "ada", "version": 1, "hash": hash_of(made), "published": True}
    assert life_of(scenario.state) == "starting"
    scenario.when(checked(1)).then(AgentMoved("starting", "ready", "started", NOW, version=1))
    assert life_of(scenario.state) == "ready"


def test_the_same_definition_again_is_the_same_version() -> None:
    scenario = ready().when(publish(definition()))
    scenario.then(Reply({"name": "ada", "version": 1, "hash": hash_of(definition()), "published": False}))


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (PublishAgent(msgspec.Raw(b'{"nome":"ada"}'), "x"), "definition"),
        (publish(AgentDefinition("ben")), "name"),
        (PublishAgent(msgspec.Raw(encode_definition(definition())), "x"), "hash"),
    ],
)
def test_what_is_no_definition_of_this_agent_is_refused(made: PublishAgent, code: str) -> None:
    new().when(made).refused(code)


def test_what_is_missing_fails_the_agent_and_publishing_again_tries_again() -> None:
    scenario = new().when(publish(definition())).when(checked(1, "there is no tool 'x' here", "no model"))
    scenario.then(AgentMoved("starting", "failed", "fail", NOW, reason="there is no tool 'x' here; no model"))
    scenario.when(admit("c")).refused("not-ready")
    scenario.when(publish(definition()))
    assert events(scenario) == [AgentMoved("failed", "starting", "start", NOW, "user:ada")]
    scenario.when(Outcome("e", AGENT_START, "start:1", "failed", error="boom"))
    assert scenario.state.reason == "boom"


def test_a_new_version_is_used_once_it_is_checked_and_a_turn_under_way_ends_on_its_own() -> None:
    second = definition("Be rude.\n")
    scenario = ready().when(admit("c1")).when(publish(second))
    assert life_of(scenario.state) == "busy"
    scenario.when(admit("c2"))
    assert scenario.outputs[0] == AgentTurnAdmitted("c2", 1, 1, NOW)
    scenario.when(checked(2)).then(AgentMoved("busy", "busy", "reload", NOW, version=2))
    scenario.when(admit("c3"))
    assert scenario.outputs[0] == AgentTurnAdmitted("c3", 1, 2, NOW)
    # The one that began before hears of its own version when it asks again.
    raw = msgspec.Raw(encode_definition(definition()))
    said = {"admitted": True, "version": 1, "hash": hash_of(definition()), "definition": raw}
    scenario.when(admit("c1")).replied(said)


def test_a_version_that_cannot_be_used_leaves_the_one_before_in_place() -> None:
    scenario = ready().when(publish(definition("Be rude.\n"))).when(checked(2, "no such model"))
    scenario.then(AgentMoved("ready", "ready", "reject", NOW, reason="no such model"))
    scenario.when(admit("c"))
    assert scenario.outputs[0] == AgentTurnAdmitted("c", 1, 1, NOW)


def test_a_check_about_which_something_newer_is_asked_does_not_count() -> None:
    scenario = new().when(publish(definition())).when(publish(definition("Be rude.\n")))
    scenario.when(checked(1)).then()
    scenario.when(checked(2)).then(AgentMoved("starting", "ready", "started", NOW, version=2))


def test_old_versions_leave_and_the_one_in_use_stays() -> None:
    scenario = ready()
    for n in range(2, 30):
        scenario.when(publish(definition(f"{n}\n"))).when(checked(n, "no"))
    kept = sorted(map(int, scenario.state.versions))
    assert (kept[0], kept[1], len(kept)) == (1, 10, 21)


def test_budgets_of_the_agent_and_the_tenant_are_told_when_they_change() -> None:
    budgets = Budgets(tenant="100", agent="5", periods={"agent": "day"})
    scenario = new().when(publish(definition(budgets=budgets)))
    assert tells(scenario) == [
        ("budget/agent.ada", SetBudget("5", "day", "agent/ada")),
        ("budget/tenant.default", SetBudget("100", "total", "agent/ada")),
    ]
    assert tells(scenario.when(publish(definition("Be rude.\n", budgets=budgets)))) == []
    assert tells(scenario.when(publish(definition()))) == [
        ("budget/agent.ada", SetBudget(None, "total", "agent/ada")),
        ("budget/tenant.default", SetBudget(None, "total", "agent/ada")),
    ]


# -- turns


def test_whoever_has_the_definition_is_not_sent_it_again() -> None:
    hash = hash_of(definition())
    ready().when(admit("c", known=hash)).replied({"admitted": True, "version": 1, "hash": hash})


def test_as_many_turns_as_may_go_on_at_once_and_the_others_in_order() -> None:
    scenario = ready(limits=Limits(at_once=2))
    hash = hash_of(definition(limits=Limits(at_once=2)))
    for n in range(5):
        scenario.when(admit(f"c{n}", known=hash if n == 2 else ""))
        scenario.replied({**({"admitted": False} if n > 1 else scenario.outputs[-1].data)})
    assert list(scenario.state.queue) == ["c2", "c3", "c4"]
    scenario.when(TurnOver("c1", 1, "replied")).then(
        AgentTurnEnded("c1", 1, "replied", NOW),
        AgentTurnAdmitted("c2", 1, 1, NOW),
        Tell("conversation/c2", TurnMayBegin("admit:1", 1, hash, msgspec.Raw(b"null"))),
    )
    scenario.when(TurnOver("c3", 1, "cancelled")).then(AgentTurnEnded("c3", 1, "cancelled", NOW))
    scenario.when(TurnOver("c0", 1, "failed"))
    ((to, told),) = tells(scenario)
    assert (to, told.hash, told.definition) == ("conversation/c4", hash, scenario.state.versions["1"].definition)
    scenario.when(TurnOver("c0", 1, "failed")).then()


def test_asking_twice_is_asking_once_and_a_forgotten_turn_makes_room() -> None:
    scenario = ready(limits=Limits(at_once=1)).when(admit("c")).when(admit("c")).replied(scenario_answer())
    scenario.when(admit("d")).replied({"admitted": False}).when(admit("d")).then(Reply({"admitted": False}))
    scenario = ready(limits=Limits(at_once=1)).when(admit("c")).when(admit("c", 2))
    assert events(scenario) == [AgentTurnEnded("c", 1, "replaced", NOW), AgentTurnAdmitted("c", 2, 1, NOW)]


def scenario_answer() -> dict[str, Any]:
    made = definition(limits=Limits(at_once=1))
    return {"admitted": True, "version": 1, "hash": hash_of(made), "definition": msgspec.Raw(encode_definition(made))}


def test_the_line_is_bounded_and_an_agent_that_is_not_there_refuses() -> None:
    scenario = ready(limits=Limits(at_once=1, queue=1)).when(admit("a")).when(admit("b"))
    scenario.when(admit("c")).refused("busy")
    new().when(admit("a")).refused("not-found")


def test_turns_that_come_while_it_starts_wait_and_begin_with_it() -> None:
    scenario = new().when(publish(definition())).when(admit("c"))
    scenario.then(AgentTurnQueued("c", 1, "admit:1", NOW), Reply({"admitted": False}))
    scenario.when(checked(1))
    assert events(scenario) == [
        AgentMoved("starting", "ready", "started", NOW, version=1),
        AgentTurnAdmitted("c", 1, 1, NOW),
    ]
    assert life_of(scenario.state) == "busy"


def test_a_conversation_that_does_not_want_its_turn_any_more_makes_room() -> None:
    scenario = ready(limits=Limits(at_once=1)).when(admit("a")).when(admit("b")).when(admit("c"))
    scenario.when(TurnOver("a", 1, "replied"))
    scenario.when(TellRefused("conversation/b", "m", "TurnMayBegin", "closed", "closed"))
    assert events(scenario) == [AgentTurnEnded("b", 1, "refused", NOW), AgentTurnAdmitted("c", 1, 1, NOW)]
    scenario.when(TellRefused("budget/agent.ada", "m", "SetBudget", "amount", "no")).then()


# -- its life


def test_it_drains_those_under_way_and_in_line_and_then_stops() -> None:
    scenario = ready(limits=Limits(at_once=1)).when(admit("a")).when(admit("b"))
    scenario.when(MoveAgent("drain", "user:ben", "upgrade"))
    scenario.then(AgentMoved("busy", "draining", "drain", NOW, "user:ben", "upgrade"), Reply({"state": "draining"}))
    scenario.when(admit("c")).refused("not-ready")
    scenario.when(TurnOver("a", 1, "replied"))
    assert events(scenario) == [AgentTurnEnded("a", 1, "replied", NOW), AgentTurnAdmitted("b", 1, 1, NOW)]
    scenario.when(TurnOver("b", 1, "replied")).then(
        AgentTurnEnded("b", 1, "replied", NOW), AgentMoved("draining", "stopped", "drained", NOW)
    )
    scenario.when(MoveAgent("start"))
    assert [type(out) for out in scenario.outputs] == [AgentMoved, Effect, Reply]


def test_an_agent_with_nothing_to_do_is_drained_at_once() -> None:
    ready().when(MoveAgent("drain")).replied({"state": "stopped"})


@pytest.mark.parametrize(("trigger", "target"), [("stop", "stopped"), ("quarantine", "quarantined")])
def test_who_waits_when_it_is_stopped_is_refused_with_the_reason(trigger: str, target: str) -> None:
    scenario = ready(limits=Limits(at_once=1)).when(admit("a")).when(admit("b")).when(admit("c", 3))
    why = f"agent/ada is {target}: maintenance"
    scenario.when(MoveAgent(trigger, "user:ben", "maintenance")).then(
        AgentMoved("busy", target, trigger, NOW, "user:ben", "maintenance"),
        AgentTurnEnded("b", 1, "refused", NOW),
        Tell("conversation/b", TurnRefused("admit:1", "not-ready", why)),
        AgentTurnEnded("c", 3, "refused", NOW),
        Tell("conversation/c", TurnRefused("admit:3", "not-ready", why)),
        Reply({"state": target, "refused": 2}),
    )
    scenario.when(admit("d")).refused("not-ready")
    scenario.when(TurnOver("b", 1, "failed")).then()
    scenario.when(TurnOver("a", 1, "replied")).then(AgentTurnEnded("a", 1, "replied", NOW))


def test_a_draining_agent_that_is_stopped_refuses_who_still_waits() -> None:
    scenario = ready(limits=Limits(at_once=1)).when(admit("a")).when(admit("b")).when(MoveAgent("drain"))
    scenario.when(MoveAgent("stop"))
    assert events(scenario)[1:] == [AgentTurnEnded("b", 1, "refused", NOW)]


def test_who_waits_for_an_agent_that_cannot_start_is_told_why() -> None:
    scenario = new().when(publish(definition())).when(admit("a"))
    scenario.when(checked(1, "there is no model x")).then(
        AgentMoved("starting", "failed", "fail", NOW, reason="there is no model x"),
        AgentTurnEnded("a", 1, "refused", NOW),
        Tell("conversation/a", TurnRefused("admit:1", "not-ready", "agent/ada is failed: there is no model x")),
    )


def test_a_long_line_is_refused_in_parts_unless_the_agent_is_started_meanwhile() -> None:
    scenario = ready(limits=Limits(at_once=1)).when(admit("a"))
    for n in range(REFUSED_AT_ONCE + 2):
        scenario.when(admit(f"c{n}"))
    scenario.when(MoveAgent("stop"))
    assert len(events(scenario)) == REFUSED_AT_ONCE + 1
    assert Tell("agent/ada", TurnAway()) in scenario.outputs
    scenario.when(TurnAway())
    assert events(scenario) == [
        AgentTurnEnded(f"c{n}", 1, "refused", NOW) for n in range(REFUSED_AT_ONCE, REFUSED_AT_ONCE + 2)
    ]
    assert scenario.state.queue == {}
    scenario.when(TurnAway()).then()
    begun = ready(limits=Limits(at_once=1)).when(admit("a")).when(admit("b"))
    begun.when(TurnAway()).then()


@pytest.mark.parametrize("trigger", ["started", "take", "dance", "release"])
def test_people_may_ask_for_what_is_theirs_and_legal(trigger: str) -> None:
    ready().when(MoveAgent(trigger)).refused("illegal")


def test_turns_that_make_no_progress_in_a_row_quarantine_it_until_it_is_released() -> None:
    scenario = ready(limits=Limits(stuck_turns=2))
    for name in ("a", "b", "c"):
        scenario.when(admit(name))
    scenario.when(TurnIsStuck("a", 1, 7)).then(AgentTurnStuck("a", 1, 7, NOW))
    scenario.when(TurnIsStuck("a", 1, 7)).then()
    scenario.when(TurnIsStuck("x", 1, 7)).then()
    scenario.when(TurnOver("c", 1, "replied"))  # progress: it begins anew
    scenario.when(TurnIsStuck("b", 1, 7)).then(AgentTurnStuck("b", 1, 7, NOW))
    scenario.when(admit("d")).when(TurnIsStuck("d", 1, 8)).then(
        AgentTurnStuck("d", 1, 8, NOW),
        AgentMoved("busy", "quarantined", "quarantine", NOW, reason="2 turns in a row made no progress"),
    )
    scenario.when(admit("e")).refused("not-ready")
    scenario.when(MoveAgent("release", "user:ben"))
    scenario.when(checked(1))
    assert life_of(scenario.state) == "busy"
    assert scenario.state.stuck == []


def test_it_describes_itself() -> None:
    scenario = ready().when(admit("c"))
    told = query(scenario.state, DescribeAgent())
    assert (told["version"], told["current"], told["state"], told["active"]) == (1, 1, "busy", {"c": 1})
    with pytest.raises(Refused):
        query(scenario.state, DescribeAgent(9))
    with pytest.raises(Refused):
        query(new().state, DescribeAgent())
