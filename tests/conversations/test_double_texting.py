"""Messages during a turn, turns that are stopped, conversations that are closed."""

from __future__ import annotations

from typing import Any

import pytest

from actors.agents.definition.plan import Limits
from actors.agents.messages import (
    CloseConversation,
    InterruptTurn,
)
from events.conversations import (
    MessageTurnedAway,
    ModelAnswered,
    ToolAnswered,
    TurnEnded,
    TurnReplied,
)
from events.errors import Refused
from tests.conversations.place import Room, World, definition, run


async def three(room: Room, policy: str) -> list[Any]:
    await room.open(policy=policy)
    for n in range(3):
        await room.say(f"m{n}")
    await room.quiet()
    return [(e.turn, e.status) for e in await room.only(TurnEnded)]


def said(room: Room) -> list[str]:
    return [call.request.messages[-1].text for call in room.world.asked]


def test_enqueue_answers_one_message_after_the_other() -> None:
    async def script(room: Room) -> None:
        assert await three(room, "enqueue") == [(1, "replied"), (2, "replied"), (3, "replied")]
        assert said(room) == ["m0", "m1", "m2"]

    run(script)


def test_merge_answers_all_that_waited_in_one_turn() -> None:
    async def script(room: Room) -> None:
        assert await three(room, "merge") == [(1, "replied"), (2, "replied")]
        assert [m.text for m in room.world.asked[-1].request.messages[-2:]] == ["m1", "m2"]

    run(script)


def test_interrupt_ends_the_turn_under_way_and_its_late_answer_only_costs() -> None:
    async def script(room: Room) -> None:
        await room.open(policy="interrupt")
        await room.say("first")
        await room.until("ModelAsked")
        await room.say("second")
        await room.quiet()
        await room.until("ModelAnswered", 2)
        await room.settle()
        assert [(e.turn, e.status) for e in await room.only(TurnEnded)] == [(1, "interrupted"), (2, "replied")]
        answered = await room.only(ModelAnswered)
        assert sorted((a.turn, a.late, a.cost) for a in answered) == [(1, True, "0.01"), (2, False, "0.01")]
        assert [r.text for r in await room.only(TurnReplied)] == ["you said second"]
        assert [m.text for m in room.world.asked[-1].request.messages[1:]] == ["first", "second"]

    run(script)


def test_reject_takes_no_message_during_a_turn() -> None:
    async def script(room: Room) -> None:
        await room.open(policy="reject")
        await room.say("first")
        with pytest.raises(Refused, match="under way") as refused:
            await room.say("second")
        assert refused.value.reason_code == "busy"
        await room.quiet()
        assert (await room.say("second"))["status"] == "started"

    run(script)


def test_the_agent_says_what_becomes_of_messages_when_the_conversation_does_not() -> None:
    async def script(room: Room) -> None:
        await room.say("first")
        await room.quiet()
        await room.say("second")
        with pytest.raises(Refused, match="under way"):
            await room.say("third")

    run(script, agent=definition(double_texting="reject"))


def test_no_more_messages_wait_than_allowed() -> None:
    async def script(room: Room) -> None:
        await room.say("first")
        await room.quiet()
        for n in range(3):
            await room.say(str(n))
        with pytest.raises(Refused) as refused:
            await room.say("one too many")
        assert refused.value.reason_code == "full"

    run(script, agent=definition(limits=Limits(waiting=2)))


def test_a_person_stops_a_turn_and_the_next_message_is_answered() -> None:
    async def script(room: Room) -> None:
        await room.say("first")
        await room.say("second")
        await room.until("ModelAsked")
        assert await room.insist("conversation/c", InterruptTurn(7)) == {"interrupted": False, "turn": 1}
        assert await room.insist("conversation/c", InterruptTurn()) == {"interrupted": True, "turn": 1}
        await room.quiet()
        assert [(e.turn, e.status) for e in await room.only(TurnEnded)] == [(1, "interrupted"), (2, "replied")]

    run(script)


def test_an_interrupted_turn_drops_its_tool_calls() -> None:
    world = World()
    world.tool_seconds = 50

    async def script(room: Room) -> None:
        await room.say("use look {}")
        await room.until("ToolAsked")
        await room.settle()
        await room.insist("conversation/c", InterruptTurn())
        await room.quiet()
        await room.settle()
        assert (await room.state("call/c.1.1"))["status"] == "cancelled"
        assert (await room.only(ToolAnswered)) == []

    run(script, world=world)


def test_closing_ends_the_turn_and_turns_away_what_waits() -> None:
    async def script(room: Room) -> None:
        await room.say("first")
        await room.say("second")
        await room.until("ModelAsked")
        assert await room.insist("conversation/c", CloseConversation()) == {"status": "closed"}
        await room.quiet()
        assert [(e.turn, e.status) for e in await room.only(TurnEnded)] == [(1, "cancelled")]
        assert [e.code for e in await room.only(MessageTurnedAway)] == ["closed"]
        with pytest.raises(Refused, match="closed"):
            await room.say("third")

    run(script)
