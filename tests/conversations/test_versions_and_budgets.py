"""Versions, context variables and budgets of a turn."""

from __future__ import annotations

from actors.agents.definition.plan import Budgets, Limits
from actors.agents.messages import (
    DeclareVariable,
    MoveAgent,
    Post,
    SetBudget,
    SetVariable,
)
from actors.agents.replaying import rerun
from events.conversations import (
    AgentAdopted,
    ModelAnswered,
    OutboundIntended,
    TurnEnded,
)
from tests.conversations.place import Room, World, conversation, definition, run


def test_a_running_turn_ends_on_the_version_it_began_with() -> None:
    async def script(room: Room) -> None:
        await room.say("use look {}")
        await room.until("ModelAsked")
        await room.publish(definition(instructions="You are Ada the second."))
        await room.quiet()
        await room.say("hello")
        await room.quiet()
        system = [call.request.messages[0].text for call in room.world.asked]
        assert system == ["You are Ada.", "You are Ada.", "You are Ada the second."]
        assert [a.version for a in await room.only(AgentAdopted)] == [1, 2]

    run(script)


def test_an_agent_that_takes_no_turn_fails_it_and_says_why() -> None:
    async def script(room: Room) -> None:
        await room.insist("agent/ada", MoveAgent("quarantine"))
        await room.say("hello")
        await room.quiet()
        assert (await room.only(TurnEnded))[0].code == "not-ready"
        await room.insist("conversation/x", Post("1", "hello", "nobody"))
        await room.quiet("x")
        assert (await room.only(TurnEnded, id="x"))[0].code == "not-found"

    run(script)


def test_a_turn_in_line_ends_with_the_reason_when_the_agent_is_stopped_and_the_one_under_way_with_its_answer() -> None:
    async def script(room: Room) -> None:
        await room.say("hello", "a")
        await room.until("ModelAsked")
        await room.say("hello", "b")
        await room.say("and again", "b")
        await room.until("AgentTurnQueued")
        said = await room.insist("agent/ada", MoveAgent("stop", reason="maintenance"))
        assert said == {"state": "stopped", "refused": 1}
        for id in "ab":
            await room.quiet(id)
        assert [e.status for e in await room.only(TurnEnded, id="a")] == ["replied"]
        why = "agent/ada is stopped: maintenance"
        ended = await room.only(TurnEnded, id="b")
        assert [(e.status, e.code, e.reason) for e in ended] == [("failed", "not-ready", why)] * 2
        sent = await room.only(OutboundIntended, id="b")
        assert [(s.kind, s.text) for s in sent] == [("failure", why)] * 2
        events = await room.log("b")
        assert rerun(events, 1, conversation.decide).divergence is None
        await room.insist("agent/ada", MoveAgent("start"))
        await room.settle()
        await room.say("hello", "b")
        await room.quiet("b")
        assert (await room.only(TurnEnded, id="b"))[-1].status == "replied"

    run(script, agent=definition(limits=Limits(at_once=1)))


def test_a_draining_agent_answers_who_is_in_line_and_then_stops() -> None:
    async def script(room: Room) -> None:
        await room.say("hello", "a")
        await room.until("ModelAsked")
        await room.say("hello", "b")
        await room.until("AgentTurnQueued")
        assert await room.insist("agent/ada", MoveAgent("drain")) == {"state": "draining"}
        await room.say("hello", "c")
        for id in "abc":
            await room.quiet(id)
        await room.settle()
        found = [(await room.only(TurnEnded, id=id))[0] for id in "abc"]
        assert [(e.status, e.code) for e in found] == [("replied", ""), ("replied", ""), ("failed", "not-ready")]
        assert (await room.state("agent/ada"))["life"] == "stopped"

    run(script, agent=definition(limits=Limits(at_once=1)))


def test_a_turn_waits_in_line_until_the_agent_has_room() -> None:
    async def script(room: Room) -> None:
        for id in "abc":
            await room.say("hello", id)
        for id in "abc":
            await room.quiet(id)
            assert (await room.only(TurnEnded, id=id))[0].status == "replied"

    run(script, agent=definition(limits=Limits(at_once=1)))


def test_context_variables_are_read_by_the_precedence_of_their_scopes() -> None:
    made = definition(instructions="Speak {{ tone }}.", visible=["tone", "tenant.plan"])

    async def script(room: Room) -> None:
        for scope, name, value in (
            ("platform.platform", "tone", "softly"), ("agent.ada", "tone", "loudly"),
            ("tenant.default", "plan", "gold"),
        ):  # fmt: skip
            await room.insist(f"variables/{scope}", DeclareVariable(name, {"type": "string"}))
            await room.insist(f"variables/{scope}", SetVariable(name, value))
        await room.say("hello")
        await room.quiet()
        system = room.world.asked[0].request.messages[0].text
        assert system == 'Speak loudly.\n\nContext:\n- tenant.plan: "gold"\n- tone: "loudly"'
        await room.insist("conversation/c", DeclareVariable("tone", {"type": "string"}, "first"))
        await room.insist("conversation/c", SetVariable("tone", "slowly"))
        await room.insist("conversation/c", SetVariable("tone", "fast"))
        await room.say("hello")
        await room.quiet()
        assert room.world.asked[-1].request.messages[0].text.startswith("Speak slowly.")

    run(script, agent=made)


def test_instructions_without_the_variable_they_need_fail_the_turn() -> None:
    async def script(room: Room) -> None:
        await room.say("hello")
        await room.quiet()
        assert (await room.only(TurnEnded))[0].code == "instructions"

    run(script, agent=definition(instructions="Speak {{ tone }}.", visible=["tenant.tone"]))


def test_budgets_are_reserved_before_a_call_and_settled_after_it() -> None:
    async def script(room: Room) -> None:
        await room.insist("budget/agent.ada", SetBudget("1"))
        await room.say("hello")
        await room.quiet()
        await room.settle()
        for address in ("budget/agent.ada", "budget/conversation.c"):
            state = await room.state(address)
            assert (state["spent"], state.get("reserved", {})) == ("0.01", {})

    run(script, agent=definition(budgets=Budgets(agent="1", conversation="0.5")))


def test_an_empty_budget_stops_the_turn_before_the_call() -> None:
    async def script(room: Room) -> None:
        for n in range(3):
            await room.say(str(n))
        await room.quiet()
        assert [e.code for e in await room.only(TurnEnded)] == ["", "", "budget"]
        assert len(room.world.asked) == 2

    run(script, agent=definition(budgets=Budgets(conversation="0.02")))


def test_a_cost_nobody_knows_is_unknown_and_never_nothing() -> None:
    world = World()
    world.cost = None

    async def script(room: Room) -> None:
        await room.say("hello")
        await room.quiet()
        await room.settle()
        assert (await room.only(TurnEnded))[0].cost is None
        assert (await room.state("budget/conversation.c"))["spent"] == "0.05"

    run(script, world=world, agent=definition(budgets=Budgets(conversation="9")))


def test_an_interrupted_reservation_is_given_back() -> None:
    async def script(room: Room) -> None:
        await room.open(policy="interrupt")
        for n in range(6):
            await room.say(str(n))
        await room.quiet()
        await room.advance(5)
        state = await room.state("budget/conversation.c")
        paid = len(await room.only(ModelAnswered))
        assert (state.get("reserved", {}), state["spent"]) == ({}, f"0.0{paid}")

    run(script, agent=definition(budgets=Budgets(conversation="9")))
