"""A conversation read back from its log, run again by today's code, and varied: never is anything called."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from actors.agents.definition.plan import AgentDefinition, Budgets, Limits
from actors.agents.messages import (
    CloseConversation,
    DeclareVariable,
    InterruptTurn,
    MoveAgent,
    SetBudget,
    SetVariable,
)
from actors.agents.replaying import Changes, Divergence, NotAsked, WhatIf, replay, rerun, whatif
from actors.models.port import ModelCall
from events.conversations import ModelAsked
from events.envelope import Event
from events.errors import NotFound
from events.models import Cost, ModelResult
from tests.conversations.place import Agree, Room, World, conversation, definition, echo, run, says


def recorded(script: Any, agent: AgentDefinition | None = None, world: World | None = None) -> list[Event]:
    """The stream of a conversation after a script."""

    async def main(room: Room) -> list[Event]:
        await script(room)
        await room.quiet()
        await room.settle()
        return await room.log()

    return run(main, agent=agent, world=world)


async def three_turns(room: Room) -> None:
    await room.say("hello")
    await room.quiet()
    await room.say('use look {"what":"x"}\nuse write {"text":"y"}')
    await room.quiet()
    await room.say("bye")


async def everything(room: Room) -> None:
    """Turns of all sorts, one after the other and at once."""
    await room.open(policy="merge", channel="telegram:1")
    await room.insist("conversation/c", DeclareVariable("tone", {"type": "array"}, "append"))
    for n in range(3):
        await room.say(f"hello {n}", channel="telegram:1")
    await room.quiet()
    await room.insist("conversation/c", SetVariable("tone", "soft"))
    await room.say('use write {"text":"agree"}', channel="telegram:1")
    await room.until("ToolWaits")
    await room.insist("call/c.3.1", Agree())
    await room.quiet()
    await room.say("stop me", channel="telegram:1")
    await room.say("and then", channel="telegram:1")
    await room.until("ModelAsked", 5)
    await room.insist("conversation/c", InterruptTurn())
    await room.quiet()
    await room.say("lost", channel="telegram:1")
    await room.until("ModelAsked", 7)
    await room.settle()
    await room.replace_host()
    await room.quiet()
    await room.say("use rocket {}\nuse look {}", channel="telegram:1")
    await room.quiet()
    await room.say("last", channel="telegram:1")
    await room.insist("conversation/c", CloseConversation(reason="enough"))


EVERYTHING = definition(
    budgets=Budgets(agent="9", conversation="9"), visible=["tenant.plan"], limits=Limits(compact_above=60),
    summary="model",
)  # fmt: skip


def test_a_transcript_has_what_was_said_and_done_and_calls_nothing() -> None:
    events = recorded(three_turns)
    transcript = replay(events)
    assert [(t.turn, t.status, t.text, t.path) for t in transcript.turns] == [
        (1, "replied", "you said hello", []),
        (2, "replied", 'tools said look({"what":"x"}), write({"text":"y"})', ["look", "write"]),
        (3, "replied", "you said bye", []),
    ]
    assert [t.cost for t in transcript.turns] == ["0.01", "0.02", "0.01"]
    whole = [(line.who, line.what) for line in transcript.lines if line.turn == 1 or line.version < 4]
    assert whole == [
        ("user", "wrote"), ("turn", "started"), ("agent", "asked"), ("model", "answered"), ("agent", "replied"),
        ("turn", "replied"),
    ]  # fmt: skip
    assert transcript.state.turns == 3


def test_a_transcript_can_end_at_a_version() -> None:
    events = recorded(three_turns)
    assert [t.status for t in replay(events, upto=5).turns] == ["under way"]


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_the_same_code_runs_a_conversation_again_without_a_divergence(turn: int) -> None:
    again = rerun(recorded(three_turns), turn, conversation.decide)
    assert (again.divergence, again.turns, again.notes) == (None, 4 - turn, [])


def test_turns_of_all_sorts_run_again_without_a_divergence() -> None:
    events = recorded(everything, EVERYTHING)
    turns = replay(events).state.turns
    assert turns >= 6
    for turn in range(1, turns + 1):
        again = rerun(events, turn, conversation.decide)
        assert (again.divergence, again.turns) == (None, turns - turn + 1), turn


@pytest.mark.parametrize("channel", ["http", "telegram:1"])
def test_turns_that_fail_before_a_model_answers_run_again_without_a_divergence(channel: str) -> None:
    async def script(room: Room) -> None:
        await room.open(channel=channel)
        await room.say("slow")  # the turn takes too long
        await room.quiet()
        await room.insist("budget/agent.ada", SetBudget("0"))
        await room.say("no money")
        await room.quiet()
        await room.insist("agent/ada", MoveAgent("stop"))
        await room.say("nobody there")

    world = World()
    world.seconds = lambda call: 900.0
    made = definition(budgets=Budgets(agent="9"), limits=Limits(turn_timeout=60.0))
    events = recorded(script, made, world=world)
    ended = [msgspec.json.decode(e.data)["code"] for e in events if e.type == "TurnEnded"]
    assert ended == ["timeout", "budget", "not-ready"]
    again = rerun(events, 1, conversation.decide)
    assert (again.divergence, again.turns) == (None, 3)


def changed(events: list[Event], type: str, **fields: Any) -> list[Event]:
    """The events with some fields of one of them changed: as if the code had been another then."""
    found = False
    result: list[Event] = []
    for event in events:
        if event.type == type and not found:
            found = True
            data = msgspec.json.encode({**msgspec.json.decode(event.data), **fields})
            event = msgspec.structs.replace(event, data=data)
        result.append(event)
    assert found
    return result


def test_another_request_is_a_divergence_and_the_recorded_answer_is_not_used() -> None:
    events = changed(recorded(three_turns), "ContextAssembled", digest="other")
    again = rerun(events, 1, conversation.decide)
    assert again.divergence is not None
    assert (again.divergence.where, again.divergence.event, again.divergence.field, again.divergence.expected) == (
        "turn 1, step 1", "ContextAssembled", "digest", "other",
    )  # fmt: skip
    assert again.turns == 0
    assert rerun(events, 2, conversation.decide).divergence is None


def test_another_tool_call_is_a_divergence() -> None:
    events = changed(recorded(three_turns), "ToolAsked", digest="other")
    divergence = rerun(events, 1, conversation.decide).divergence
    assert divergence is not None
    assert divergence.where == "turn 2, step 1, tool 1"


def test_another_event_is_a_divergence_that_names_both() -> None:
    events = [e for e in recorded(three_turns) if e.type != "OutboundIntended"]
    divergence = rerun(events, 1, conversation.decide).divergence
    assert divergence == Divergence("between turns", 11, "OutboundAttempted", "", "OutboundAttempted",
                                    "OutboundIntended", "something else happens")  # fmt: skip


def test_a_turn_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        rerun(recorded(three_turns), 9, conversation.decide)


# -- what if


class Other:
    """A model that counts."""

    def __init__(self, model: Any = echo, cost: str | None = "0.04") -> None:
        self.model = model
        self.cost = cost
        self.calls: list[ModelCall] = []

    async def __call__(self, call: ModelCall, asked: ModelAsked) -> ModelResult | None:
        self.calls.append(call)
        assert (asked.call, asked.models) == (call.call, call.models)
        return ModelResult(call.models[0], self.model(call.request), cost=Cost(self.cost))


def varied(events: list[Event], changes: Changes, ask: Any, from_turn: int = 1) -> WhatIf:
    return asyncio.run(whatif(events, changes, ask, conversation.decide, from_turn))


def test_another_model_answers_the_same_messages_with_tool_results_from_the_record() -> None:
    ask = Other()
    found = varied(recorded(three_turns), Changes(models=["fake:two"]), ask)
    assert found.stopped is None
    assert [(t.turn, t.same_answer, t.same_path, t.cost) for t in found.turns] == [
        (1, True, True, "0.03"), (2, True, True, "0.06"), (3, True, True, "0.03"),
    ]  # fmt: skip
    assert (found.cost_before, found.cost_after) == ("0.04", "0.16")
    assert {tuple(call.models) for call in ask.calls} == {("fake:two",)}


def test_other_instructions_are_what_the_model_is_shown() -> None:
    ask = Other(lambda request: says(request.messages[0].text))
    found = varied(recorded(three_turns), Changes(instructions="Be brief."), ask)
    assert [t.after.text for t in found.turns] == ["Be brief."] * 3
    assert [t.same_answer for t in found.turns] == [False] * 3
    assert found.turns[1].after.path == []


def test_a_tool_call_that_is_not_in_the_record_ends_it() -> None:
    ask = Other(lambda request: says("", ("look", '{"what": "other"}')))
    found = varied(recorded(three_turns), Changes(models=["fake:two"]), ask)
    assert found.stopped is not None
    assert (found.stopped.turn, found.stopped.tool, found.stopped.arguments) == (1, "look", '{"what": "other"}')
    assert len(found.turns) == 1


def test_arguments_written_otherwise_are_the_same_call() -> None:
    def model(request: Any) -> Any:
        last = request.messages[-1]
        wants = last.role == "user" and last.text.startswith("use")
        return says("", ("look", '{ "what" : "x" }')) if wants else says(last.text)

    found = varied(recorded(three_turns), Changes(models=["fake:two"]), Other(model))
    assert found.stopped is None
    assert found.turns[1].after.text == 'look({"what":"x"})'


def test_another_policy_denies_what_was_allowed() -> None:
    changes = Changes(judge=lambda request: "no writing" if request.tool == "write" else "")
    found = varied(recorded(three_turns), changes, Other())
    assert found.turns[1].after.text == 'tools said look({"what":"x"}), no writing'


def test_it_can_begin_at_a_turn() -> None:
    ask = Other()
    found = varied(recorded(three_turns), Changes(), ask, from_turn=3)
    assert [t.turn for t in found.turns] == [3]
    assert [m.text for m in ask.calls[0].request.messages[1:3]] == ["hello", "you said hello"]


def test_a_cost_nobody_knows_makes_the_difference_unknown() -> None:
    found = varied(recorded(three_turns), Changes(), Other(cost=None))
    assert [t.cost for t in found.turns] == [None] * 3
    assert found.cost_after is None


def test_turns_of_all_sorts_can_be_varied() -> None:
    events = recorded(everything, EVERYTHING)
    found = varied(events, Changes(models=["fake:two"]), Other())
    assert found.stopped is None
    assert [t.after.status for t in found.turns] == ["replied"] * len(found.turns)


def test_a_model_that_must_not_be_asked_ends_it() -> None:
    async def ask(_call: ModelCall, _asked: ModelAsked) -> ModelResult | None:
        raise NotAsked("budget/agent.ada has nothing left (0 dollars)")

    found = varied(recorded(three_turns), Changes(models=["fake:two"]), ask, 2)
    assert found.stopped is not None
    assert (found.stopped.turn, found.stopped.step, found.stopped.why) == (
        2, 1, "budget/agent.ada has nothing left (0 dollars)",
    )  # fmt: skip


def test_a_call_that_is_lost_is_made_again_as_another_attempt() -> None:
    class Lossy(Other):
        async def __call__(self, call: ModelCall, asked: ModelAsked) -> ModelResult | None:
            found = await super().__call__(call, asked)
            return None if call.attempt == 1 else found

    ask = Lossy()
    found = varied(recorded(three_turns), Changes(), ask, 3)
    assert [(call.step, call.attempt) for call in ask.calls] == [(1, 1), (1, 2)]
    assert [(t.after.status, t.same_answer) for t in found.turns] == [("replied", True)]
